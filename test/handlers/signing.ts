import { createHmac, generateKeyPairSync, randomBytes, sign as signWith, type KeyObject } from 'node:crypto';
import type { Secret, SignOptions } from 'jsonwebtoken';

/** What the servers under test sign with. */
export const SECRET = randomBytes(48).toString('base64url');
export const rsa = generateKeyPairSync('rsa', { modulusLength: 2_048 });
export const ec = generateKeyPairSync('ec', { namedCurve: 'P-256' });

export const pem = (key: KeyObject): string => key.export({ type: 'spki', format: 'pem' }) as string;

/** Seconds since the epoch, as claims have it. */
export const now = (): number => Date.now() / 1_000;

/** A good token of user u1, of ten minutes; claims replace or, undefined, remove. */
export function tokenFor(claims: Record<string, unknown> = {}, secret: Secret = SECRET, options: SignOptions = {}): string {
  const all = { sub: 'u1', iat: Math.floor(now()), exp: now() + 600, ...claims };
  return craft({ alg: options.algorithm ?? 'HS256', typ: 'JWT', ...options.header }, all, secret);
}

/** A token put together by hand, of any header and any payload, as no library would sign it. */
export function craft(header: Record<string, unknown>, payload: unknown, key?: Secret, signature?: string): string {
  const body = [header, payload].map((part) => Buffer.from(typeof part === 'string' ? part : JSON.stringify(part)).toString('base64url')).join('.');
  return `${body}.${signature ?? (key === undefined ? '' : signatureOf(String(header.alg), body, key))}`;
}

function signatureOf(algorithm: string, body: string, key: Secret): string {
  const hash = `sha${algorithm.slice(2)}`;
  if (algorithm.startsWith('HS')) return createHmac(hash, key as string).update(body).digest('base64url');
  return signWith(hash, Buffer.from(body), { key: key as KeyObject, dsaEncoding: 'ieee-p1363' }).toString('base64url');
}
