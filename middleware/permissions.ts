import { byType, canonical, check, definePlugin, describe, ModuleError, rules as are, type Connection, type Handler, type Plugin, type User } from '../src/index.ts';

export interface PermissionsOptions {
  /** What each role may do; `'*'` is everything. @default { admin: ['*'] } */
  readonly roles?: Readonly<Record<string, readonly string[]>>;
  /** By message type, the permission that its sender needs, or a list of which all are needed. @default {} */
  readonly rules?: Readonly<Record<string, string | readonly string[]>>;
}

export interface PermissionsApi {
  /** Whether the user of a connection has a permission. An anonymous one has none. */
  can(connection: Connection, permission: string): boolean;
  /** The user of a connection, who has a permission. @throws AUTH_REQUIRED, FORBIDDEN */
  require(connection: Connection, permission: string): User;
}
declare module '../src/index.ts' {
  interface PluginApis { permissions: PermissionsApi }
  interface Connection {
    /** Whether its user has a permission. There while `permissions` is loaded. */
    can?(permission: string): boolean;
  }
}

type Table = ReadonlyMap<string, readonly string[]>;

/** Every permission there is. */
const ALL = '*';
/** Without the plugin a role gives its own name, and nothing else. */
const NO_TABLE: Table = new Map();

const name = are.rule('a text that is not empty', (value) => typeof value === 'string' && value !== '');
const names = are.rule('a list of permissions that is not empty', (value) => are.list('permissions').test(value) && (value as unknown[]).length > 0);
const RULES = {
  roles: are.group({ each: are.list('permissions') }),
  rules: are.group({ each: are.either(name, names) }),
};

/**
 * What users may do: those of each role, and of each user. Refuses messages whose type needs a permission that the sender does
 * not have, with FORBIDDEN, and those of who is nobody, with AUTH_REQUIRED.
 *
 * @throws OPTION_INVALID, OPTION_UNKNOWN
 * @example manager.use(permissions({ roles: { admin: ['*'], moderator: ['kick', 'ban'] }, rules: { 'ban-user': 'ban' } }))
 */
export function permissions(options: PermissionsOptions = {}): Plugin<'permissions', never, PermissionsApi> {
  const { roles = { admin: [ALL] }, rules = {} } = check(options, RULES, 'permissions');
  const table: Table = new Map(Object.entries(roles));
  const needs = new Map([...byType(rules, 'permissions.rules')].map(([type, needed]) => [type, [needed].flat()]));

  return definePlugin({
    name: 'permissions',
    setup(context): PermissionsApi {
      let refused = 0;
      const can = ({ user }: Connection, permission: string): boolean => user !== undefined && holds(user, permission, table);

      context.decorate('connection', { can: { value(this: Connection, permission: string) { return can(this, permission); } } });
      context.use({
        type: 'message',
        name: 'permissions',
        handler(message, connection, next) {
          const missing = needs.get(canonical(message.type))?.find((permission) => !can(connection, permission));
          if (missing === undefined) return next();
          refused++;
          throw refusal(connection, missing);
        },
      });
      context.metrics(() => ({ permissions_refused_total: { type: 'counter', help: 'Messages refused for want of a permission since start.', value: refused } }));
      return {
        can,
        require(connection, permission) {
          if (!connection.user || !can(connection, permission)) throw refusal(connection, permission);
          return connection.user;
        },
      };
    },
  });
}

/**
 * Wraps a handler, so that only who has a permission gets to it. Without a handler it is the check alone, for use within one.
 * It goes by the table of `permissions`, where that is loaded, and else by what the user itself carries.
 *
 * @throws AUTH_REQUIRED, FORBIDDEN when it is called
 * @example manager.registerHandler('ban-user', requirePermission('ban', (message, connection) => { … }))
 */
export function requirePermission<C = any>(permission: string, handler: Handler<C>): Handler<C>;
export function requirePermission(permission: string): (connection: Connection) => void;
export function requirePermission(permission: string, handler?: Handler): Handler | ((connection: Connection) => void) {
  if (!name.test(permission)) throw new ModuleError('OPTION_INVALID', { path: 'requirePermission(permission)', given: describe(permission), expected: name.expected });
  const demand = (connection: Connection): void => {
    const { user } = connection;
    if (!user || !(connection.can?.(permission) ?? holds(user, permission, NO_TABLE))) throw refusal(connection, permission);
  };
  if (handler === undefined) return demand;
  if (typeof handler !== 'function') throw new ModuleError('HANDLER_INVALID', { type: permission, given: describe(handler) });
  return (message, connection) => {
    demand(connection);
    return handler(message, connection);
  };
}

/** Whether a user has a permission: by its own list, by a role of that name, or by what its roles give. */
function holds({ roles, permissions: own }: User, permission: string, table: Table): boolean {
  if (includes(own, permission)) return true;
  return Array.isArray(roles) && (roles as string[]).some((role) => role === permission || includes(table.get(role), permission));
}

// Users come from tokens and applications: what is no list of permissions gives none.
const includes = (list: unknown, permission: string): boolean => Array.isArray(list) && (list.includes(permission) || list.includes(ALL));

function refusal({ user }: Connection, permission: string): ModuleError {
  return user ? new ModuleError('FORBIDDEN', { needs: `the permission "${permission}"` }) : new ModuleError('AUTH_REQUIRED');
}

permissions.permissions = permissions;
permissions.requirePermission = requirePermission;
export { permissions as default, permissions as 'module.exports' };
