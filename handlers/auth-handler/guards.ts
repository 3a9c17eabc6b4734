import { canonical, check, isRecord, ModuleError, rules, type MessageLayer, describe } from '../../src/index.ts';

export interface GuardOptions {
  /** Message types that it guards. @default all but `auth` and `auth:refresh` */
  readonly types?: readonly string[];
}

/** The types by which a client becomes somebody; they look after themselves. */
const OWN: ReadonlySet<string> = new Set(['auth', 'auth:refresh']);

/**
 * Refuses messages of clients that have not said who they are, with AUTH_REQUIRED.
 *
 * @example manager.use(requireAuth({ types: ['chat:say'] }))
 */
export function requireAuth(options: GuardOptions = {}): MessageLayer {
  const guards = guarded(options, 'requireAuth');
  return {
    type: 'message',
    name: 'require-auth',
    handler(message, connection, next) {
      if (guards(message.type) && !connection.user) throw new ModuleError('AUTH_REQUIRED');
      return next();
    },
  };
}

/**
 * Refuses messages of users that have none of these roles, with FORBIDDEN, and of anybody unknown, with AUTH_REQUIRED.
 *
 * @example manager.use(requireRole('admin', 'moderator', { types: ['chat:ban'] }))
 */
export function requireRole(...given: [string, ...string[]] | [string, ...string[], GuardOptions]): MessageLayer {
  const last = given.at(-1);
  const roles = (isRecord(last) ? given.slice(0, -1) : given) as string[];
  const guards = guarded(isRecord(last) ? last : {}, 'requireRole');
  if (roles.length === 0 || !roles.every((role) => typeof role === 'string' && role !== '')) {
    throw new ModuleError('OPTION_INVALID', { path: 'requireRole(roles)', given: describe(roles), expected: 'one or more names of roles' });
  }
  const needs = `the role ${roles.map((role) => `"${role}"`).join(' or ')}`;
  return {
    type: 'message',
    name: 'require-role',
    handler(message, { user }, next) {
      if (!guards(message.type)) return next();
      if (!user) throw new ModuleError('AUTH_REQUIRED');
      if (!roles.some((role) => user.roles?.includes(role))) throw new ModuleError('FORBIDDEN', { needs });
      return next();
    },
  };
}

/** Whether a guard looks at a type. */
function guarded(options: GuardOptions, name: string): (type: string) => boolean {
  const { types } = check(options, { types: rules.list('message types') }, name);
  const guards = types && new Set(types.map(canonical));
  return (type) => (guards ? guards.has(canonical(type)) : !OWN.has(canonical(type)));
}
