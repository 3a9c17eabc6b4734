import { isRecord, ModuleError, toUser, type User } from '../../src/index.ts';
import type { Claims } from './verify-jwt.ts';

/** UTF-16 units of a user id. The same as in toUser(). */
const MAX_ID_LENGTH = 255;
/** Seconds by which the clock of another machine may be ahead. A later `iat` is ignored: it may be in milliseconds. */
const MAX_AHEAD = 86_400;

/**
 * The user of a token: the id from `sub`, `userId` or `id`, the roles from `roles` or `role`, and all other claims. The
 * fields that the application returned replace the claims, except `exp`, `iat` and `jti`, which describe the token.
 * @throws TOKEN_INVALID without a user id, USER_ID_RESERVED
 */
export function claimedUser(token: Claims, answer: Claims = {}): User {
  const id = idOf(answer) ?? idOf(token);
  if (id === undefined || id.length > MAX_ID_LENGTH) {
    const expected = `a string of 1 to ${MAX_ID_LENGTH} characters or a safe integer`;
    throw new ModuleError('TOKEN_INVALID', { reason: `it names no user: "sub", "userId" or "id" must be ${expected}` });
  }
  const { exp = answer.exp, iat = answer.iat, jti = answer.jti } = token;
  const fields = { ...token, ...answer, exp, iat, jti, id, roles: rolesOf(answer) ?? rolesOf(token) ?? [] };
  // A field `__proto__` would change the prototype of an object that the user is assigned to.
  const own = Object.entries(fields).filter(([name, value]) => name !== '__proto__' && value !== undefined);
  return toUser(Object.fromEntries(own), 'the user of a token');
}

/**
 * The fields of the object that the application returned. Documents of a database have `toJSON()`, often without `id`.
 */
export function fieldsOf(answer: Claims): Claims {
  const { toJSON } = answer;
  const json: unknown = typeof toJSON === 'function' ? toJSON.call(answer) : answer;
  return isRecord(json) ? { ...json, id: json.id ?? answer.id } : answer;
}

/** When a user's token was issued, in seconds since the epoch; undefined if `iat` is missing or too far ahead. */
export function issuedAt({ iat }: User): number | undefined {
  return typeof iat === 'number' && iat <= Date.now() / 1_000 + MAX_AHEAD ? iat : undefined;
}

function idOf({ sub, userId, id }: Claims): string | undefined {
  for (const given of [sub, userId, id]) {
    if (typeof given === 'string' && given !== '') return given;
    if (typeof given === 'bigint' || Number.isSafeInteger(given)) return String(given);
  }
  return undefined;
}

function rolesOf({ roles, role }: Claims): string[] | undefined {
  const given = roles ?? role;
  if (given === undefined || given === null) return undefined;
  return (Array.isArray(given) ? given : [given]).filter((one): one is string => typeof one === 'string' && one !== '');
}
