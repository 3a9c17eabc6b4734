import { check, definePlugin, ModuleError, rules, type Connection, type Handler, type Plugin } from '../src/index.ts';
import { Actions, actorId, type Banned, type Broadcasted, type Kicked, type Stats, type Unbanned } from './admin/actions.ts';
import { MemoryBans, type BanStore } from './admin/bans.ts';
import { turnAway } from './admin/gate.ts';
import { announcement, payloadOf, read, type Payload, type Target } from './admin/target.ts';

export type { Banned, Broadcasted, Kicked, Stats, Unbanned } from './admin/actions.ts';
export type { Ban, BanStore } from './admin/bans.ts';
export type { Target } from './admin/target.ts';

export type AdminAction = 'broadcast' | 'kick' | 'ban' | 'unban' | 'stats';

export interface AdminOptions {
  /** The message type of each action, or `false` for none. @default see below */
  readonly types?: Readonly<Partial<Record<AdminAction, string | false>>>;
  /** The permission that each action needs. @default see below */
  readonly permissions?: Readonly<Partial<Record<AdminAction, string>>>;
  /** Roles, the highest first: nobody kicks or bans who has a higher one than himself. @default [] */
  readonly ranks?: readonly string[];
  /** The roles of a user who is not connected, for `ranks`; may be asynchronous. @default none are known */
  readonly rolesOf?: (userId: string) => readonly string[] | Promise<readonly string[]>;
  /** Where bans are kept. @default the memory of this process */
  readonly bans?: BanStore;
  /** Bans that are kept in memory at most. @default 10_000 */
  readonly maxBans?: number;
}

/** What an administrator did, or was not let do. */
export interface AuditEvent {
  readonly action: AdminAction;
  /** The id of the user who acted; of who is nobody, that of the connection; `server` where it was the application. */
  readonly by: string;
  readonly target: Target | undefined;
  /** What was asked for and what came of it, or the code of the error. */
  readonly details: Readonly<Record<string, unknown>>;
  /** Milliseconds since the epoch. */
  readonly at: number;
  /** `refused` with an error that the administrator was told, or `failed` with another one. */
  readonly outcome: 'done' | 'refused' | 'failed';
}

/** What the server does by itself: no permission is asked for, and it is audited as `server`. */
export interface AdminApi {
  /** Tells everybody, on all nodes. */
  broadcast(content: unknown): Promise<Broadcasted>;
  /** Closes connections of this node with 4010. @throws TARGET_UNKNOWN, VALIDATION_FAILED */
  kick(target: Target, options?: { readonly reason?: string }): Promise<Kicked>;
  /** Keeps somebody out, for a duration in milliseconds or for ever. @throws BANS_FULL, TARGET_UNKNOWN, VALIDATION_FAILED */
  ban(target: Target, options?: { readonly reason?: string; readonly duration?: number }): Promise<Banned>;
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

const TYPES = { broadcast: 'admin-broadcast', kick: 'admin-kick', ban: 'admin-ban', unban: 'admin-unban', stats: 'admin-stats' } as const;
const PERMISSIONS = { broadcast: 'broadcast', kick: 'kick', ban: 'ban', unban: 'ban', stats: 'stats' } as const;

const name = rules.rule('a text that is not empty', (value) => typeof value === 'string' && value !== '');
const type = rules.either(name, rules.rule('false', (value) => value === false));
const RULES = {
  types: rules.group({ fields: { broadcast: type, kick: type, ban: type, unban: type, stats: type } }),
  permissions: rules.group({ fields: { broadcast: name, kick: name, ban: name, unban: name, stats: name } }),
  ranks: rules.list('roles'),
  rolesOf: rules.callback,
  bans: rules.methods('a store of bans', 'has', 'add', 'delete'),
  maxBans: rules.integer(1, 10_000_000),
};

/**
 * What those do who look after a server: tell everybody something, put somebody out (4010), keep somebody out (4000), see how the
 * server fares. Each needs a permission, and each attempt is an `audit` event.
 *
 * @throws OPTION_INVALID, OPTION_UNKNOWN
 * @example manager.use([permissions({ roles: { admin: ['*'], moderator: ['kick'] } }), admin({ ranks: ['admin', 'moderator'] })])
 */
export function admin(options: AdminOptions = {}): Plugin<'admin', 'permissions', AdminApi> {
  const given = check(options, RULES, 'admin');
  const { ranks = [], rolesOf = () => [], maxBans = 10_000 } = given;
  const types = { ...TYPES, ...given.types };
  const needed = { ...PERMISSIONS, ...given.permissions };

  return definePlugin({
    name: 'admin',
    requires: ['permissions'],
    setup(context, { permissions }): AdminApi {
      const bans = given.bans ?? new MemoryBans(maxBans);
      const actions = new Actions(context, { bans, ranks, rolesOf });

      /** Every attempt is audited, whatever becomes of it, with what could be read of what was asked for. */
      const act = <Asked extends { readonly target: Target | undefined }, Done extends object>(
        action: AdminAction, reader: (payload: Payload) => Asked, run: (asked: Asked, actor?: Connection) => Done | Promise<Done>,
      ) => async (payload: Payload, actor?: Connection): Promise<Done> => {
        const attempt = { action, by: actorId(actor), target: undefined as Target | undefined, details: {} as Record<string, unknown> };
        const audit = (outcome: AuditEvent['outcome']): void => {
          context.emit('audit', { ...attempt, at: Date.now(), outcome });
          context.log.info(`${action} ${outcome}`, { by: attempt.by, ...attempt.target, code: attempt.details.code });
        };
        try {
          if (actor) permissions.require(actor, needed[action]);
          const asked = reader(payload);
          ({ target: attempt.target, ...attempt.details } = asked);
          const done = await run(asked, actor);
          if (action !== 'stats') Object.assign(attempt.details, done);
          audit('done');
          return done;
        } catch (error) {
          const known = error instanceof ModuleError && error.expose;
          attempt.details.code = known ? error.code : 'INTERNAL_ERROR';
          audit(known ? 'refused' : 'failed');
          throw error;
        }
      };
      const acts = {
        broadcast: act('broadcast', announcement, ({ content }, actor) => actions.broadcast(content, actor)),
        kick: act('kick', read, (request, actor) => actions.kick(request, actor)),
        ban: act('ban', read, (request, actor) => actions.ban(request, actor)),
        unban: act('unban', read, (request) => actions.unban(request)),
        stats: act('stats', () => ({ target: undefined }), () => actions.stats()),
      };

      turnAway(context, bans);
      for (const action of Object.keys(acts) as AdminAction[]) {
        const chosen = types[action];
        if (chosen === false) continue;
        const handler: Handler = (message, connection) => acts[action](payloadOf(message), connection);
        context.registerHandler(chosen, handler, { raw: true });
      }
      return {
        broadcast: (content) => acts.broadcast({ content }),
        kick: (target, { reason } = {}) => acts.kick({ ...target, reason }),
        ban: (target, { reason, duration } = {}) => acts.ban({ ...target, reason, duration }),
        unban: (target) => acts.unban({ ...target }),
        isBanned: async (target) => actions.isBanned(read({ ...target })),
        stats: () => acts.stats({}),
      };
    },
  });
}

admin.admin = admin;
export { admin as default, admin as 'module.exports' };
