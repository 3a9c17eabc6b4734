import { createPublicKey, createSecretKey, KeyObject } from 'node:crypto';
import { ModuleError } from '../../src/index.ts';

export type Algorithm = `${'HS' | 'RS' | 'PS' | 'ES'}${'256' | '384' | '512'}`;

/**
 * A key, and its algorithms: all of one family, so that no token can choose how its signature is verified.
 */
export interface VerificationKey {
  readonly key: KeyObject;
  readonly algorithms: readonly Algorithm[];
  /** Why the key is weak; undefined for a strong one. */
  readonly weakness: string | undefined;
}

const family = (name: 'HS' | 'RS' | 'PS' | 'ES'): readonly Algorithm[] => [`${name}256`, `${name}384`, `${name}512`];
// RFC 7518 3.4: each of these is bound to one curve.
const CURVES: Readonly<Record<string, Algorithm>> = { prime256v1: 'ES256', secp384r1: 'ES384', secp521r1: 'ES512' };

export const ALGORITHMS: readonly string[] = [...family('HS'), ...family('RS'), ...family('PS'), ...family('ES')];

/** RFC 7518 3.2: a key of at least the hash's size, and 3.3: one of at least 2,048 bits. */
const MIN_BYTES = 32;
const MIN_BITS = 2_048;

/**
 * The key of the option `jwtSecret`: a secret, or a public key in PEM. Without `algorithms`, a secret means HS256; a
 * public key requires them.
 * @throws OPTION_INVALID, which never shows the secret
 */
export function verificationKey(given: unknown, algorithms: readonly string[] | undefined): VerificationKey {
  const key = toKey(given);
  const usable = algorithmsOf(key);
  if (usable.length === 0) throw secretInvalid(given, 'a secret, or a public key of RSA or of an EC curve of JWT');
  const chosen = algorithms ?? (key.type === 'secret' ? ['HS256'] : undefined);
  const families = new Set(chosen?.map((name) => name.slice(0, 2)));
  if (!chosen || families.size !== 1 || !chosen.every((name) => (usable as readonly string[]).includes(name))) {
    const kind = key.type === 'secret' ? 'a secret' : `a public key of type ${key.asymmetricKeyType ?? 'unknown'}`;
    throw new ModuleError('OPTION_INVALID', {
      path: 'auth.algorithms',
      given: chosen ? chosen.join(', ') : 'undefined',
      expected: `a list of algorithms of one family that fit ${kind}: ${usable.join(', ')}`,
    });
  }
  return { key, algorithms: chosen as readonly Algorithm[], weakness: weaknessOf(key) };
}

function toKey(given: unknown): KeyObject {
  if (given instanceof KeyObject && given.type !== 'private') return given;
  if (!(typeof given === 'string' || given instanceof Uint8Array) || given.length === 0) {
    throw secretInvalid(given, 'a secret or a public key, unless "authenticate" is given');
  }
  const bytes = Buffer.from(given as string);
  // PEM is read as a public key or refused. Used as a secret, it would be one that is public (CWE-347).
  if (!bytes.includes('-----BEGIN')) return createSecretKey(bytes);
  if (bytes.includes('PRIVATE KEY-----')) throw secretInvalid(given, 'the public key; verifying needs no private key');
  try {
    return createPublicKey(bytes);
  } catch {
    throw secretInvalid(given, 'a public key in PEM that can be read');
  }
}

function algorithmsOf({ type, asymmetricKeyType, asymmetricKeyDetails }: KeyObject): readonly Algorithm[] {
  if (type === 'secret') return family('HS');
  if (asymmetricKeyType === 'rsa') return [...family('RS'), ...family('PS')];
  if (asymmetricKeyType === 'rsa-pss') return family('PS');
  const curve = asymmetricKeyType === 'ec' ? CURVES[asymmetricKeyDetails?.namedCurve ?? ''] : undefined;
  return curve ? [curve] : [];
}

function weaknessOf({ symmetricKeySize, asymmetricKeyDetails }: KeyObject): string | undefined {
  const bits = asymmetricKeyDetails?.modulusLength;
  if (symmetricKeySize !== undefined && symmetricKeySize < MIN_BYTES) {
    return `jwtSecret has ${symmetricKeySize} bytes; with fewer than ${MIN_BYTES} it can be guessed from one token, `
      + 'and tokens of any user can be forged. Use crypto.randomBytes(32)';
  }
  if (bits === undefined || bits >= MIN_BITS) return undefined;
  return `jwtSecret is an RSA key of ${bits} bits; use a key of at least ${MIN_BITS} bits`;
}

function secretInvalid(given: unknown, expected: string): ModuleError {
  return new ModuleError('OPTION_INVALID', { path: 'auth.jwtSecret', given: kindOf(given), expected });
}

/** Describes a secret without any of its characters. */
function kindOf(given: unknown): string {
  if (typeof given === 'string') return `a string of ${given.length} characters`;
  if (given instanceof Uint8Array) return `${given.length} bytes`;
  if (given instanceof KeyObject) return `a ${given.type} key`;
  return given === undefined ? 'undefined' : given === null ? 'null' : `a value of type ${typeof given}`;
}
