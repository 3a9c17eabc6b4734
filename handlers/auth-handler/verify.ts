import jwt from 'jsonwebtoken';
import { isRecord, ModuleError } from '../../src/index.ts';
import './auth-errors.ts';
import type { AuthSettings } from './options.ts';

/** What a token says. */
export type Claims = Readonly<Record<string, unknown>>;

/** Bytes of a token; it is refused before it is parsed. */
const MOST_BYTES = 8_192;
/** ECMA-262 21.4.1.1: milliseconds of the last date there is. */
const LAST_DATE = 8.64e15;

const invalid = (reason: string, cause?: unknown): ModuleError => new ModuleError('TOKEN_INVALID', { reason }, { cause });

/** Something that may be a token at all. @throws TOKEN_INVALID */
export function assertToken(given: unknown): asserts given is string {
  if (given === undefined || given === '') throw invalid('there is none');
  if (typeof given !== 'string') throw invalid('it is no string');
  if (Buffer.byteLength(given) > MOST_BYTES) throw invalid(`it is longer than ${MOST_BYTES} bytes`);
}

/**
 * What a JWT says, once its signature is known to be right. The key and the algorithms are ours, never the token's. The
 * signatures are compared in constant time: `jwa` uses `crypto.timingSafeEqual`.
 * @throws TOKEN_INVALID, TOKEN_EXPIRED
 */
export function verifyJwt(token: string, { key, algorithms, issuer, audience }: NonNullable<AuthSettings['jwt']>, clockTolerance: number): Claims {
  const options = { algorithms, issuer, audience, complete: true, clockTolerance: clockTolerance / 1_000, clockTimestamp: Date.now() / 1_000 };
  let verified: jwt.Jwt;
  try {
    verified = jwt.verify(token, key, options as jwt.VerifyOptions & { complete: true });
  } catch (cause) {
    throw refusal(cause);
  }
  // RFC 7515 4.1.11: an extension that must be understood, and we understand none. jsonwebtoken does not look.
  if ('crit' in verified.header) throw invalid('it has a critical extension');
  if (!isRecord(verified.payload)) throw invalid('it makes no claims');
  return verified.payload;
}

/** Holds `exp` to what it must be. @throws TOKEN_INVALID, TOKEN_EXPIRED */
export function checkExpiry(exp: unknown, { requireExpiry, clockTolerance }: Pick<AuthSettings, 'requireExpiry' | 'clockTolerance'>): void {
  if (exp === undefined && requireExpiry) throw invalid('it has no exp');
  if (exp === undefined) return;
  // `1e999` in JSON is Infinity, a token for ever.
  if (typeof exp !== 'number' || !(Math.abs(exp) * 1_000 <= LAST_DATE)) throw invalid('its exp is no date');
  if (Date.now() >= exp * 1_000 + clockTolerance) throw new ModuleError('TOKEN_EXPIRED');
}

// jsonwebtoken's own words tell the issuers and audiences that are accepted.
const REASONS: readonly (readonly [start: string, reason: string])[] = [
  ['jwt signature is required', 'it is not signed'],
  ['invalid signature', 'its signature does not fit'],
  ['invalid algorithm', 'its algorithm is not accepted'],
  ['jwt issuer invalid', 'it is of another issuer'],
  ['jwt audience invalid', 'it is for another audience'],
  ['jwt not active', 'it is not valid yet'],
  ['invalid exp value', 'its exp is no date'],
  ['invalid nbf value', 'its nbf is no date'],
];

function refusal(cause: unknown): ModuleError {
  if (cause instanceof jwt.TokenExpiredError) return new ModuleError('TOKEN_EXPIRED', {}, { cause });
  const text = cause instanceof jwt.JsonWebTokenError ? cause.message : '';
  return invalid(REASONS.find(([start]) => text.startsWith(start))?.[1] ?? 'it is malformed', cause);
}
