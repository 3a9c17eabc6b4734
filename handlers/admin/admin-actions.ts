import {
  actorKey, closeCodes, customerKey, displayName, EVERYONE, memberId, ModuleError,
  type Connection, type Health, type Metrics, type PluginContext, type User,
} from '../../src/index.ts';
import type { AdminRequest, Target } from './admin-request.ts';
import { bearers, findTarget } from './admin-target.ts';
import type { Ban, BanStore } from './ban-store.ts';

export interface ActionSettings {
  readonly bans: BanStore;
  readonly ranks: readonly string[];
  readonly rolesOf: (userId: string) => readonly string[] | Promise<readonly string[]>;
}

export interface Broadcasted {
  /** Connections of this node that got it. */
  readonly delivered: number;
}
export interface Kicked {
  /** Connections that were closed. */
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

/** What a client is told before it is closed. */
interface Explained {
  readonly reason: string | undefined;
  readonly duration?: number | undefined;
  readonly until?: string | undefined;
}

/** The id of an actor; the application acts as the server. */
export const actorId = (actor: Connection | undefined): string => (actor ? memberId(actor) : 'server');

/** The actions of administrators. Without an actor it is the server that acts, which is bound to no rank. */
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
    const { connections } = findTarget(this.#context.node, target);
    if (connections.size === 0) throw new ModuleError('TARGET_UNKNOWN', target);
    await this.#assertMayActOn([...connections], target, actor);
    return { closed: this.#close(connections, 'kicked', { reason: this.#shown(reason, actor) }) };
  }

  /**
   * Bans the target, and closes its connections with 4000.
   * @throws TARGET_UNKNOWN, ADDRESS_UNKNOWN, BANS_FULL, FORBIDDEN, SELF_ACTION
   */
  async ban({ target, reason, duration }: AdminRequest, actor?: Connection): Promise<Banned> {
    const { node } = this.#context;
    const { keys, keyless } = findTarget(node, target);
    await this.#assertMayActOn([...bearers(node, keys), ...(keyless ? [keyless] : [])], target, actor);
    if (keyless) throw new ModuleError('ADDRESS_UNKNOWN', { connectionId: keyless.id });
    const at = Date.now();
    const until = duration === undefined ? undefined : at + duration;
    const ban: Ban = { by: actorId(actor), at, ...(until && { until }), ...(reason && { reason }) };
    await this.#keep(keys, ban, actor);
    const end = until === undefined ? {} : { until: new Date(until).toISOString() };
    // Searched again: clients that connected while the ban was stored are meant as well.
    const told = { reason: this.#shown(reason, actor), duration, ...end };
    return { closed: this.#close(bearers(node, keys), 'banned', told), ...end };
  }

  /** Stores a ban for all keys, or for none: after a failure nothing is banned. @throws BANS_FULL */
  async #keep(keys: ReadonlySet<string>, ban: Ban, actor: Connection | undefined): Promise<void> {
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
      // Last, once there was room for the new ones: what is replaced cannot be restored.
      for (const key of known) await bans.add(key, ban, owner);
    } catch (error) {
      // Where the undo fails as well, the first failure is reported.
      await Promise.allSettled(added.map(async (key) => bans.delete(key)));
      throw error;
    }
  }

  /** @throws TARGET_UNKNOWN */
  async unban({ target }: AdminRequest): Promise<Unbanned> {
    let lifted = false;
    for (const key of findTarget(this.#context.node, target).keys) {
      if (await this.#settings.bans.delete(key)) lifted = true;
    }
    return { lifted };
  }

  /** @throws TARGET_UNKNOWN */
  async isBanned({ target }: AdminRequest): Promise<boolean> {
    for (const key of findTarget(this.#context.node, target).keys) if (await this.#settings.bans.has(key)) return true;
    return false;
  }

  stats(): Stats {
    const { node } = this.#context;
    const users = new Set([...node.connections.values()].flatMap(({ user }) => user?.id ?? []));
    const [health, metrics] = [node.health(), node.metrics()];
    return { node: node.id, connections: node.connections.size, users: users.size, health, metrics };
  }

  /** A reason as clients may read it. */
  #shown(reason: string | undefined, actor: Connection | undefined): string | undefined {
    return actor ? this.#context.escape(reason) : reason;
  }

  /** Sends the reason, and closes. Returns how many of the connections were open. */
  #close(connections: Iterable<Connection>, type: 'kicked' | 'banned', content: Explained): number {
    const message = { type: this.#context.named(type), content };
    const reason = content.reason === undefined ? type.toUpperCase() : `${type.toUpperCase()}: ${content.reason}`;
    let closed = 0;
    for (const connection of connections) {
      if (!connection.isOpen) continue;
      connection.send(message);
      connection.close(closeCodes[type], reason);
      closed++;
    }
    return closed;
  }

  async #assertMayActOn(connections: readonly Connection[], target: Target, actor?: Connection): Promise<void> {
    if (!actor) return;
    const { userId, address } = target;
    const own = actorId(actor);
    const isSelf = connections.some((connection) => memberId(connection) === own);
    // The actor may have left meanwhile, and is then not among the connections.
    const isOwn = (userId !== undefined && userId === own)
      || (address !== undefined && customerKey(address) === customerKey(actor.ip));
    if (isSelf || isOwn) throw new ModuleError('SELF_ACTION');
    const rank = this.#rank(actor.user?.roles);
    const ranks = connections.map(({ user }) => this.#rank(user?.roles));
    const isAbsent = userId !== undefined && !connections.some(({ user }) => user?.id === userId);
    if (isAbsent) ranks.push(this.#rank(await this.#settings.rolesOf(userId)));
    if (ranks.some((one) => one < rank)) throw new ModuleError('FORBIDDEN', { needs: 'a role as high as theirs' });
  }

  /** The place of the highest role in `ranks`, 0 being the top; below all of them where there is none. */
  #rank(roles: User['roles']): number {
    const held: readonly string[] = Array.isArray(roles) ? roles : [];
    const { ranks } = this.#settings;
    const index = ranks.findIndex((role) => held.includes(role));
    return index < 0 ? ranks.length : index;
  }
}
