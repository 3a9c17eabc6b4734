import { check, definePlugin, ModuleError, rules, type Connection, type Handler, type Plugin } from '../src/index.ts';
import {
  actorId, AdminActions, type Banned, type Broadcasted, type Kicked, type Stats, type Unbanned,
} from './admin/admin-actions.ts';
import { AdminNodes } from './admin/admin-nodes.ts';
import { readAnnouncement, readRequest, type Target } from './admin/admin-request.ts';
import { refuseBanned } from './admin/ban-gate.ts';
import { MemoryBans, type BanStore } from './admin/ban-store.ts';
import { shareBans } from './admin/shared-bans.ts';

export type { Banned, Broadcasted, Kicked, Stats, Unbanned } from './admin/admin-actions.ts';
export type { Target } from './admin/admin-request.ts';
export type { Ban, BanStore } from './admin/ban-store.ts';

export type AdminAction = 'broadcast' | 'kick' | 'ban' | 'unban' | 'stats';

export interface AdminOptions {
  /** The message type of each action, or `false` for none. @default see below */
  readonly types?: Readonly<Partial<Record<AdminAction, string | false>>> | undefined;
  /** The permission that each action needs. @default see below */
  readonly permissions?: Readonly<Partial<Record<AdminAction, string>>> | undefined;
  /** Roles, the highest first: an administrator cannot kick or ban users with a higher role. @default [] */
  readonly ranks?: readonly string[] | undefined;
  /** Returns the roles of a user who is not connected, for `ranks`; may be asynchronous. @default no roles */
  readonly rolesOf?: ((userId: string) => readonly string[] | Promise<readonly string[]>) | undefined;
  /** Where bans are kept. @default the memory of each node, which sends them to the others */
  readonly bans?: BanStore | undefined;
  /** Bans in memory, in all. @default 10_000 */
  readonly maxBans?: number | undefined;
  /** Bans in memory that one administrator may have added. Does not limit the application. @default 1_000 */
  readonly maxBansPerAdmin?: number | undefined;
}

/** An action of an administrator, or an attempt at one. */
export interface AuditEvent {
  readonly action: AdminAction;
  /** The id of the user who acted, of an anonymous connection, or `server` for the application. */
  readonly by: string;
  readonly target: Target | undefined;
  /** The other fields of the request, and the result or the code of the error. */
  readonly details: Readonly<Record<string, unknown>>;
  /** Milliseconds since the epoch. */
  readonly at: number;
  /** `refused` with an error that the administrator may read; `failed` with any other error. */
  readonly outcome: 'done' | 'refused' | 'failed';
}

export interface BanOptions {
  /** Sent to the clients. */
  readonly reason?: string | undefined;
  /** Milliseconds. @default forever */
  readonly duration?: number | undefined;
}

/** Actions of the application: they need no permission, and are audited with `by: 'server'`. */
export interface AdminApi {
  /** Sends an announcement to every connection, on all nodes. */
  broadcast(content: unknown): Promise<Broadcasted>;
  /** Closes connections with 4010, on all nodes. @throws TARGET_UNKNOWN, VALIDATION_FAILED */
  kick(target: Target, options?: { readonly reason?: string | undefined }): Promise<Kicked>;
  /**
   * Bans a target for a duration in milliseconds, or forever.
   * @throws ADDRESS_UNKNOWN, BANS_FULL, TARGET_UNKNOWN, VALIDATION_FAILED
   */
  ban(target: Target, options?: BanOptions): Promise<Banned>;
  /** @throws TARGET_UNKNOWN, VALIDATION_FAILED */
  unban(target: Target): Promise<Unbanned>;
  /** @throws TARGET_UNKNOWN, VALIDATION_FAILED */
  isBanned(target: Target): Promise<boolean>;
  stats(): Promise<Stats>;
}
declare module '../src/index.ts' {
  interface PluginApis { admin: AdminApi }
  interface Hooks { 'audit': (event: AuditEvent) => void }
}

const TYPES = {
  broadcast: 'admin-broadcast', kick: 'admin-kick', ban: 'admin-ban', unban: 'admin-unban', stats: 'admin-stats',
} as const;
const PERMISSIONS = { broadcast: 'broadcast', kick: 'kick', ban: 'ban', unban: 'ban', stats: 'stats' } as const;

const name = rules.rule('a non-empty string', (value) => typeof value === 'string' && value !== '');
const type = rules.either(name, rules.rule('false', (value) => value === false));
const count = rules.integer(1, 10_000_000);
const ADMIN_RULES = {
  types: rules.group({ fields: { broadcast: type, kick: type, ban: type, unban: type, stats: type } }),
  permissions: rules.group({ fields: { broadcast: name, kick: name, ban: name, unban: name, stats: name } }),
  ranks: rules.list('roles'),
  rolesOf: rules.callback,
  bans: rules.methods('a store of bans', 'has', 'add', 'delete'),
  maxBans: count,
  maxBansPerAdmin: count,
};

/**
 * Lets administrators send announcements, disconnect clients (4010), ban them (4000) and read statistics. Each action
 * needs a permission, and each attempt emits an `audit` event.
 *
 * @throws OPTION_INVALID, OPTION_UNKNOWN
 * @example
 * manager.use(permissions({ roles: { admin: ['*'], moderator: ['kick'] } }));
 * manager.use(admin({ ranks: ['admin', 'moderator'] }));
 */
export function admin(options: AdminOptions = {}): Plugin<'admin', 'permissions', AdminApi> {
  const given = check<AdminOptions>(options, ADMIN_RULES, 'admin');
  const { ranks = [], rolesOf = () => [], maxBans = 10_000, maxBansPerAdmin = 1_000 } = given;
  const needed = { ...PERMISSIONS, ...given.permissions };

  return definePlugin({
    name: 'admin',
    requires: ['permissions'],
    events: ['audit'],
    setup(context, { permissions }): AdminApi {
      const bans = given.bans ?? new MemoryBans(maxBans, maxBansPerAdmin);
      const rank = (roles: unknown): number => rankOf(ranks, roles);
      const nodes = new AdminNodes(context, { bans, rank, areBansPerNode: bans instanceof MemoryBans });
      const share = bans instanceof MemoryBans ? shareBans(context, bans) : () => undefined;
      const actions = new AdminActions(context, { bans, nodes, rank, rolesOf, share });

      /** Wraps an action: emits the audit event for every outcome, with the fields of the request that are valid. */
      const act = <Request extends { readonly target: Target | undefined }, Result extends object>(
        action: AdminAction,
        read: (payload: unknown) => Request,
        run: (request: Request, actor?: Connection) => Result | Promise<Result>,
      ) => async (payload: unknown, actor?: Connection): Promise<Result> => {
        const by = actorId(actor);
        let target: Target | undefined;
        let details: Record<string, unknown> = {};
        const audit = (outcome: AuditEvent['outcome']): void => {
          context.emit('audit', { action, by, target, details, at: Date.now(), outcome });
          context.log.info(`${action} ${outcome}`, { by, ...target, code: details.code });
        };
        try {
          if (actor) permissions.require(actor, needed[action]);
          const request = read(payload);
          ({ target, ...details } = request);
          const result = await run(request, actor);
          if (action !== 'stats') details = { ...details, ...result };
          audit('done');
          return result;
        } catch (error) {
          const isExposed = error instanceof ModuleError && error.expose;
          details = { ...details, code: isExposed ? error.code : 'INTERNAL_ERROR' };
          audit(isExposed ? 'refused' : 'failed');
          throw error;
        }
      };
      const acts = {
        broadcast: act('broadcast', readAnnouncement, ({ content }, actor) => actions.broadcast(content, actor)),
        kick: act('kick', readRequest, (request, actor) => actions.kick(request, actor)),
        ban: act('ban', readRequest, (request, actor) => actions.ban(request, actor)),
        unban: act('unban', readRequest, (request) => actions.unban(request)),
        stats: act('stats', () => ({ target: undefined }), () => actions.stats()),
      };

      refuseBanned(context, bans);
      for (const action of Object.keys(acts) as AdminAction[]) {
        const chosen = given.types?.[action] ?? context.named(TYPES[action]);
        if (chosen === false) continue;
        const handler: Handler = ({ payload }, connection) => acts[action](payload, connection);
        context.registerHandler(chosen, handler, { raw: true });
      }
      return {
        broadcast: (content) => acts.broadcast({ content }),
        kick: (target, { reason } = {}) => acts.kick({ ...target, reason }),
        ban: (target, { reason, duration } = {}) => acts.ban({ ...target, reason, duration }),
        unban: (target) => acts.unban({ ...target }),
        isBanned: async (target) => actions.isBanned(readRequest({ ...target })),
        stats: () => acts.stats({}),
      };
    },
  });
}

/** The index in `ranks` of the highest of these roles. The lowest rank, `ranks.length`, if none is in `ranks`. */
function rankOf(ranks: readonly string[], roles: unknown): number {
  const held: readonly unknown[] = Array.isArray(roles) ? roles : [];
  const index = ranks.findIndex((role) => held.includes(role));
  return index < 0 ? ranks.length : index;
}

admin.admin = admin;
export { admin as default, admin as 'module.exports' };
