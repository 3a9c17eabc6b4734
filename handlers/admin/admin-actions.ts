import {
  actorKey, closeCodes, displayName, EVERYONE, memberId, ModuleError,
  type Connection, type Health, type Metrics, type PluginContext,
} from '../../src/index.ts';
import type { AdminRequest } from './admin-request.ts';
import type { AdminNodes, ConnectionSelection } from './admin-nodes.ts';
import type { Ban, BanStore } from './ban-store.ts';
import type { SharedBan } from './shared-bans.ts';

export interface ActionSettings {
  readonly bans: BanStore;
  readonly nodes: AdminNodes;
  /** The rank of the highest of these roles. 0 is the highest rank. */
  readonly rank: (roles: unknown) => number;
  /** Sends new bans to the other nodes. */
  readonly share: (bans: readonly SharedBan[]) => void;
  readonly rolesOf: (userId: string) => readonly string[] | Promise<readonly string[]>;
}

export interface Broadcasted {
  /** Connections of this node that received it. */
  readonly delivered: number;
}
export interface Kicked {
  /** Connections that were closed, on all nodes. */
  readonly closed: number;
}
export interface Banned extends Kicked {
  /** When the ban ends, in ISO 8601. Without it, the ban never ends. */
  readonly until?: string | undefined;
}
export interface Unbanned {
  /** Whether there was a ban. */
  readonly lifted: boolean;
}
export interface Stats {
  readonly node: string;
  readonly connections: number;
  /** Connected users, however many connections each has. */
  readonly users: number;
  readonly health: Health;
  readonly metrics: Metrics;
}

/** The content of the message that is sent before a connection is closed. */
interface Notice {
  readonly reason: string | undefined;
  readonly duration?: number | undefined;
  readonly until?: string | undefined;
}

/** The id of an actor; the application acts as the server. */
export const actorId = (actor: Connection | undefined): string => (actor ? memberId(actor) : 'server');

/** The actions of administrators, on all nodes. Without an actor, the application acts; no rank limits it. */
export class AdminActions {
  readonly #context: PluginContext;
  readonly #settings: ActionSettings;

  constructor(context: PluginContext, settings: ActionSettings) {
    this.#context = context;
    this.#settings = settings;
  }

  /** Sends an announcement to every connection, on all nodes. */
  broadcast(content: unknown, actor?: Connection): Broadcasted {
    const context = this.#context;
    const name = displayName(actor?.user);
    const from = name === undefined ? actorId(actor) : context.escape(name);
    const shown = actor ? context.escape(content) : content;
    const message = { type: context.named('admin-message'), content: { content: shown, from } };
    return { delivered: context.node.publish(EVERYONE, message) };
  }

  /** Closes the connections of the target with 4010. @throws TARGET_UNKNOWN, FORBIDDEN, SELF_ACTION */
  async kick({ target, reason }: AdminRequest, actor?: Connection): Promise<Kicked> {
    const { connections } = await this.#settings.nodes.find(target);
    if (connections === 0) throw new ModuleError('TARGET_UNKNOWN', target);
    await this.#assertMayActOn({ target }, actor);
    return { closed: await this.#close({ target }, 'kicked', { reason: this.#shown(reason, actor) }) };
  }

  /**
   * Bans the target, and closes its connections with 4000.
   * @throws TARGET_UNKNOWN, ADDRESS_UNKNOWN, BANS_FULL, FORBIDDEN, SELF_ACTION
   */
  async ban({ target, reason, duration }: AdminRequest, actor?: Connection): Promise<Banned> {
    const { keys, isKeyless } = await this.#settings.nodes.find(target);
    await this.#assertMayActOn({ target, keys }, actor);
    if (isKeyless) throw new ModuleError('ADDRESS_UNKNOWN', { connectionId: target.connectionId ?? target.userId! });
    const at = Date.now();
    const until = duration === undefined ? undefined : at + duration;
    const ban: Ban = { by: actorId(actor), at, ...(until && { until }), ...(reason && { reason }) };
    await this.#store(keys, ban, actor);
    this.#settings.share(keys.map((key) => ({ key, endsIn: duration })));
    const end = until === undefined ? {} : { until: new Date(until).toISOString() };
    // The connections are searched again: the ban also applies to clients that connected while it was stored.
    const notice = { reason: this.#shown(reason, actor), duration, ...end };
    return { closed: await this.#close({ keys }, 'banned', notice), ...end };
  }

  /** Stores a ban for all keys. After a failure, it is stored for none of them. @throws BANS_FULL */
  async #store(keys: readonly string[], ban: Ban, actor: Connection | undefined): Promise<void> {
    const { bans } = this.#settings;
    const owner = actor && actorKey(actor);
    const [fresh, known]: [string[], string[]] = [[], []];
    for (const key of keys) ((await bans.has(key)) ? known : fresh).push(key);
    const added: string[] = [];
    try {
      for (const key of fresh) {
        await bans.add(key, ban, owner);
        added.push(key);
      }
      // Last, after all new ones were added: a replaced ban cannot be restored.
      for (const key of known) await bans.add(key, ban, owner);
    } catch (error) {
      // If the undo fails, too, the first failure is reported.
      await Promise.allSettled(added.map(async (key) => bans.delete(key)));
      throw error;
    }
  }

  /** @throws TARGET_UNKNOWN */
  async unban({ target }: AdminRequest): Promise<Unbanned> {
    const { nodes } = this.#settings;
    const { keys } = await nodes.find(target);
    return { lifted: await nodes.lift(keys) };
  }

  /** @throws TARGET_UNKNOWN */
  async isBanned({ target }: AdminRequest): Promise<boolean> {
    const { bans, nodes } = this.#settings;
    const { keys } = await nodes.find(target);
    for (const key of keys) if (await bans.has(key)) return true;
    return false;
  }

  stats(): Stats {
    const { node } = this.#context;
    const users = new Set([...node.connections.values()].flatMap(({ user }) => user?.id ?? []));
    const [health, metrics] = [node.health(), node.metrics()];
    return { node: node.id, connections: node.connections.size, users: users.size, health, metrics };
  }

  /** The reason in the form that is sent to clients: escaped, if a client gave it. */
  #shown(reason: string | undefined, actor: Connection | undefined): string | undefined {
    return actor ? this.#context.escape(reason) : reason;
  }

  /** Sends the reason, and closes. Returns how many of the connections were open. */
  #close(selection: ConnectionSelection, type: 'kicked' | 'banned', content: Notice): Promise<number> {
    const message = { type: this.#context.named(type), content };
    const reason = content.reason === undefined ? type.toUpperCase() : `${type.toUpperCase()}: ${content.reason}`;
    return this.#settings.nodes.close(selection, message, closeCodes[type], reason);
  }

  /** @throws SELF_ACTION, FORBIDDEN */
  async #assertMayActOn(selection: ConnectionSelection, actor?: Connection): Promise<void> {
    if (!actor) return;
    const { nodes, rank, rolesOf } = this.#settings;
    const { rank: theirs, isSelf, isPresent } = await nodes.checkRank(selection, { id: actorId(actor), ip: actor.ip });
    if (isSelf) throw new ModuleError('SELF_ACTION');
    const userId = selection.target?.userId;
    const absent = userId === undefined || isPresent ? Infinity : rank(await rolesOf(userId));
    if (Math.min(theirs, absent) < rank(actor.user?.roles)) {
      throw new ModuleError('FORBIDDEN', { needs: 'a role as high as theirs' });
    }
  }
}
