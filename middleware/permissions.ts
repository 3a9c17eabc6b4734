import {
  byType, canonical, check, definePlugin, describe, ModuleError, rules as are,
  type Connection, type Handler, type Plugin, type User,
} from '../src/index.ts';

export interface PermissionsOptions {
  /** The permissions of each role; `'*'` is every permission. @default { admin: ['*'] } */
  readonly roles?: Readonly<Record<string, readonly string[]>> | undefined;
  /** The permission, or the list of permissions, that the sender of a message type needs. @default {} */
  readonly rules?: Readonly<Record<string, string | readonly string[]>> | undefined;
}

export interface PermissionsApi {
  /** Whether the user of a connection has a permission. An anonymous connection has none. */
  can(connection: Connection, permission: string): boolean;
  /** The user of a connection, if that user has a permission. @throws AUTH_REQUIRED, FORBIDDEN */
  require(connection: Connection, permission: string): User;
}
declare module '../src/index.ts' {
  interface PluginApis { permissions: PermissionsApi }
  interface Connection {
    /** Whether its user has a permission. Present while `permissions` is loaded. */
    can?(permission: string): boolean;
  }
}

type RoleTable = ReadonlyMap<string, readonly string[]>;

/** Every permission. */
const ALL = '*';
/** Without the plugin, a role gives only the permission with its name. */
const NO_ROLES: RoleTable = new Map();

const name = are.rule('a non-empty string', (value) => typeof value === 'string' && value !== '');
const list = are.list('permissions');
const names = are.rule(
  'a non-empty list of permissions',
  (value) => list.test(value) && (value as unknown[]).length > 0,
);
const PERMISSIONS_RULES = {
  roles: are.group({ each: list }),
  rules: are.group({ each: are.either(name, names) }),
};

/**
 * Defines what users may do, by their roles and by lists of their own. Rejects a message whose type needs a permission
 * that the sender lacks: with FORBIDDEN, or with AUTH_REQUIRED if the connection is anonymous.
 *
 * @throws OPTION_INVALID, OPTION_UNKNOWN
 * @example
 * manager.use(permissions({ roles: { admin: ['*'], moderator: ['kick', 'ban'] }, rules: { 'ban-user': 'ban' } }));
 */
export function permissions(options: PermissionsOptions = {}): Plugin<'permissions', never, PermissionsApi> {
  const { roles = { admin: [ALL] }, rules = {} } = check<PermissionsOptions>(options, PERMISSIONS_RULES, 'permissions');
  const table: RoleTable = new Map(Object.entries(roles));
  const needs = new Map([...byType(rules, 'permissions.rules')].map(([type, needed]) => [type, [needed].flat()]));

  return definePlugin({
    name: 'permissions',
    setup(context): PermissionsApi {
      let refused = 0;
      const can = ({ user }: Connection, permission: string): boolean =>
        user !== undefined && holds(user, permission, table);

      context.decorate('connection', {
        can: { value(this: Connection, permission: string) { return can(this, permission); } },
      });
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
      context.metrics(() => ({
        permissions_refused_total: { type: 'counter', help: 'Number of messages rejected by rules.', value: refused },
      }));
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
 * Wraps a handler so that only users with a permission reach it. Without a handler it returns the check itself, for use
 * in a handler. If `permissions` is loaded, its table of roles applies. Otherwise a user needs the permission in their
 * own list, or a role with that name.
 *
 * @throws AUTH_REQUIRED, FORBIDDEN from the wrapped handler or the check
 * @example manager.registerHandler('ban-user', requirePermission('ban', (message, connection) => { … }))
 */
export function requirePermission<C = any>(permission: string, handler: Handler<C>): Handler<C>;
export function requirePermission(permission: string): (connection: Connection) => void;
export function requirePermission(permission: string, handler?: Handler): Handler | ((connection: Connection) => void) {
  if (!name.test(permission)) {
    const given = describe(permission);
    throw new ModuleError('OPTION_INVALID', { path: 'requirePermission(permission)', given, expected: name.expected });
  }
  const demand = (connection: Connection): void => {
    const { user } = connection;
    const isAllowed = user && (connection.can?.(permission) ?? holds(user, permission, NO_ROLES));
    if (!isAllowed) throw refusal(connection, permission);
  };
  if (handler === undefined) return demand;
  if (typeof handler !== 'function') {
    throw new ModuleError('HANDLER_INVALID', { type: permission, given: describe(handler) });
  }
  return (message, connection) => {
    demand(connection);
    return handler(message, connection);
  };
}

/** Whether a user has a permission: by their own list, by a role with that name, or by the permissions of a role. */
function holds({ roles, permissions: own }: User, permission: string, table: RoleTable): boolean {
  if (includes(own, permission)) return true;
  if (!Array.isArray(roles)) return false;
  return (roles as string[]).some((role) => role === permission || includes(table.get(role), permission));
}

// Users come from tokens and applications: a value that is not a list gives no permission.
const includes = (held: unknown, permission: string): boolean =>
  Array.isArray(held) && (held.includes(permission) || held.includes(ALL));

function refusal({ user }: Connection, permission: string): ModuleError {
  if (!user) return new ModuleError('AUTH_REQUIRED');
  return new ModuleError('FORBIDDEN', { needs: `the permission "${permission}"` });
}

permissions.permissions = permissions;
permissions.requirePermission = requirePermission;
export { permissions as default, permissions as 'module.exports' };
