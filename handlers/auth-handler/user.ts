import type { User } from '../../src/index.ts';
import type { Claims } from './verify.ts';

/**
 * The user that claims name: the id from `sub`, `userId` or `id`, the roles from `roles` or `role`, everything else kept.
 * What the application answered comes before what the token says, but not what the token says of itself.
 * @returns undefined where nobody is named
 */
export function userOf(token: Claims, answer: Claims = {}): User | undefined {
  const id = idOf(answer) ?? idOf(token);
  if (id === undefined) return undefined;
  const { exp = answer.exp, iat = answer.iat, jti = answer.jti } = token;
  const said = { ...token, ...answer, exp, iat, jti, id, roles: rolesOf(answer) ?? rolesOf(token) ?? [] };
  // Whoever copies a user by assignment must not change a prototype.
  return Object.fromEntries(Object.entries(said).filter(([name, value]) => name !== '__proto__' && value !== undefined)) as unknown as User;
}

function idOf({ sub, userId, id }: Claims): string | undefined {
  for (const given of [sub, userId, id]) {
    if (typeof given === 'string' && given !== '') return given;
    if (Number.isSafeInteger(given)) return String(given);
  }
  return undefined;
}

function rolesOf({ roles, role }: Claims): string[] | undefined {
  const given = roles ?? role;
  if (given === undefined || given === null) return undefined;
  return (Array.isArray(given) ? given : [given]).filter((one): one is string => typeof one === 'string' && one !== '');
}
