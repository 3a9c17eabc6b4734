import {
  canonical, check, describe, isRecord, ModuleError, rules, type Handler, type Message, type MessageLayer, type User,
} from '../../src/index.ts';

export interface GuardOptions {
  /** Message types to guard. @default all but `auth` and `auth:refresh` */
  readonly types?: readonly string[] | undefined;
}

/** The types by which a client authenticates. */
const AUTH_TYPES: ReadonlySet<string> = new Set(['auth', 'auth:refresh']);
/** The plugin's handlers of these types. They check the sender themselves. */
export const authHandlers = new WeakSet<Handler>();

/**
 * Rejects messages of anonymous connections with AUTH_REQUIRED.
 *
 * @example manager.use(requireAuth({ types: ['chat:say'] }))
 */
export function requireAuth(options: GuardOptions = {}): MessageLayer {
  const isGuarded = guardedBy(options, 'requireAuth');
  return {
    type: 'message',
    name: 'require-auth',
    handler(message, { user }, next) {
      if (!user && isGuarded(message)) throw new ModuleError('AUTH_REQUIRED');
      return next();
    },
  };
}

/**
 * Rejects messages of users without any of these roles with FORBIDDEN, and those of anonymous connections with
 * AUTH_REQUIRED.
 *
 * @example manager.use(requireRole('admin', 'moderator', { types: ['chat:ban'] }))
 */
export function requireRole(...given: [string, ...string[]] | [string, ...string[], GuardOptions]): MessageLayer {
  const last = given.at(-1);
  const roles = (isRecord(last) ? given.slice(0, -1) : given) as string[];
  const isGuarded = guardedBy(isRecord(last) ? last : {}, 'requireRole');
  if (roles.length === 0 || !roles.every((role) => typeof role === 'string' && role !== '')) {
    const expected = 'one or more names of roles';
    throw new ModuleError('OPTION_INVALID', { path: 'requireRole(roles)', given: describe(roles), expected });
  }
  const needs = `the role ${roles.map((role) => `"${role}"`).join(' or ')}`;
  return {
    type: 'message',
    name: 'require-role',
    handler(message, { user }, next) {
      if (!isGuarded(message)) return next();
      if (!user) throw new ModuleError('AUTH_REQUIRED');
      if (!hasRole(user, roles)) throw new ModuleError('FORBIDDEN', { needs });
      return next();
    },
  };
}

/**
 * Whether a user has one of these roles. If the roles are not a list, the user has none: `includes` of a string would
 * find parts of it.
 */
function hasRole({ roles: held }: User, roles: readonly string[]): boolean {
  return Array.isArray(held) && roles.some((role) => held.includes(role));
}

/** Whether a guard applies to a message. */
function guardedBy(options: GuardOptions, name: string): (message: Message) => boolean {
  const { types } = check(options, { types: rules.list('message types') }, name);
  if (!types) return (message) => !isAuthMessage(message);
  const guarded = new Set(types.map(canonical));
  return ({ type }) => guarded.has(canonical(type));
}

/** A namespace may have a handler of such a type, too. It is guarded, unless it is the plugin's handler. */
function isAuthMessage({ type, namespace, route }: Message): boolean {
  if (!AUTH_TYPES.has(canonical(type))) return false;
  return namespace === undefined || (route !== undefined && authHandlers.has(route.handler as Handler));
}
