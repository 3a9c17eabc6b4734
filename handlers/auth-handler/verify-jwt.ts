import jwt from 'jsonwebtoken';
import { isRecord, ModuleError } from '../../src/index.ts';
import './auth-errors.ts';
import type { AuthSettings } from './auth-options.ts';

/** The claims of a token. */
export type Claims = Readonly<Record<string, unknown>>;

/** Bytes of a token. A longer one is refused before it is parsed. */
const MAX_BYTES = 8_192;
/** ECMA-262 21.4.1.1: milliseconds of the last date. */
const LAST_DATE = 8.64e15;

const invalid = (reason: string, cause?: unknown): ModuleError =>
  new ModuleError('TOKEN_INVALID', { reason }, { cause });

/** Asserts that a value may be a token. @throws TOKEN_INVALID */
export function assertToken(given: unknown): asserts given is string {
  if (given === undefined || given === '') throw invalid('there is none');
  if (typeof given !== 'string') throw invalid('it is not a string');
  if (Buffer.byteLength(given) > MAX_BYTES) throw invalid(`it is longer than ${MAX_BYTES} bytes`);
}

/**
 * Verifies a JWT, and returns its claims. The options choose the key and the algorithms, never the token. Signatures
 * are compared in constant time: `jwa` uses `crypto.timingSafeEqual`.
 * @throws TOKEN_INVALID, TOKEN_EXPIRED
 */
export function verifyJwt(
  token: string, { key, algorithms, issuer, audience }: NonNullable<AuthSettings['jwt']>, clockTolerance: number,
): Claims {
  const times = { clockTolerance: clockTolerance / 1_000, clockTimestamp: Date.now() / 1_000 };
  const options = { algorithms, issuer, audience, complete: true, ...times };
  let verified: jwt.Jwt;
  try {
    verified = jwt.verify(token, key, options as jwt.VerifyOptions & { complete: true });
  } catch (cause) {
    throw refusal(cause);
  }
  // RFC 7515 4.1.11: a critical extension must be supported, and none is. jsonwebtoken does not check it.
  if ('crit' in verified.header) throw invalid('it has a critical extension');
  if (!isRecord(verified.payload)) throw invalid('it has no claims');
  return verified.payload;
}

/** Checks `exp`. @throws TOKEN_INVALID, TOKEN_EXPIRED */
export function checkExpiry(exp: unknown, settings: Pick<AuthSettings, 'requireExpiry' | 'clockTolerance'>): void {
  const { requireExpiry, clockTolerance } = settings;
  if (exp === undefined && requireExpiry) throw invalid('it has no exp');
  if (exp === undefined) return;
  // `1e999` in JSON is Infinity: the token would never expire.
  if (typeof exp !== 'number' || !(Math.abs(exp) * 1_000 <= LAST_DATE)) throw invalid('its exp is not a date');
  if (Date.now() >= exp * 1_000 + clockTolerance) throw new ModuleError('TOKEN_EXPIRED');
}

// The texts of jsonwebtoken are not used, because they name the accepted issuers and audiences.
const REASONS: readonly (readonly [start: string, reason: string])[] = [
  ['jwt signature is required', 'it is not signed'],
  ['invalid signature', 'its signature does not match'],
  ['invalid algorithm', 'its algorithm is not accepted'],
  ['jwt issuer invalid', 'it is from another issuer'],
  ['jwt audience invalid', 'it is for another audience'],
  ['jwt not active', 'it is not valid yet'],
  ['invalid exp value', 'its exp is not a date'],
  ['invalid nbf value', 'its nbf is not a date'],
];

function refusal(cause: unknown): ModuleError {
  if (cause instanceof jwt.TokenExpiredError) return new ModuleError('TOKEN_EXPIRED', {}, { cause });
  const text = cause instanceof jwt.JsonWebTokenError ? cause.message : '';
  return invalid(REASONS.find(([start]) => text.startsWith(start))?.[1] ?? 'it is malformed', cause);
}
