import { closeCodes, customerKey, EVERYONE, ModuleError, type Connection, type Health, type Metrics, type PluginContext, type User } from '../../src/index.ts';
import type { Ban, BanStore } from './bans.ts';
import { bearers, find, type Request, type Target } from './target.ts';

export interface ActionSettings {
  readonly bans: BanStore;
  readonly ranks: readonly string[];
  readonly rolesOf: (userId: string) => readonly string[] | Promise<readonly string[]>;
}

export interface Broadcasted {
  /** Connections of this node. */
  readonly delivered: number;
}
export interface Kicked {
  /** Connections that were closed. */
  readonly closed: number;
}
export interface Banned extends Kicked {
  /** When it ends, in ISO 8601. Without it, never. */
  readonly until?: string;
}
export interface Unbanned {
  /** Whether there was a ban. */
  readonly lifted: boolean;
}
export interface Stats {
  readonly node: string;
  readonly connections: number;
  /** Users who are connected, however many connections each has. */
  readonly users: number;
  readonly health: Health;
  readonly metrics: Metrics;
}

/** The id under which somebody acts; the application acts as the server. */
export const actorId = (actor: Connection | undefined): string => (actor ? actor.user?.id ?? actor.id : 'server');

/** What administrators do. Without an actor it is the server itself, which is held to no rank. */
export class Actions {
  readonly #context: PluginContext;
  readonly #settings: ActionSettings;

  constructor(context: PluginContext, settings: ActionSettings) {
    this.#context = context;
    this.#settings = settings;
  }

  /** Tells everybody, on all nodes. */
  broadcast(content: unknown, actor?: Connection): Broadcasted {
    const username = actor?.user?.username;
    const context = this.#context;
    const from = typeof username === 'string' ? context.escape(username) : actorId(actor);
    const shown = actor ? context.escape(content) : content;
    const message = { type: context.named('admin-message'), content: { content: shown, from } };
    return { delivered: context.node.publish(EVERYONE, message) };
  }

  /** Closes the connections that are meant, with 4010. @throws TARGET_UNKNOWN, FORBIDDEN, SELF_ACTION */
  async kick({ target, reason }: Request, actor?: Connection): Promise<Kicked> {
    const { connections } = find(this.#context.node, target);
    if (connections.size === 0) throw new ModuleError('TARGET_UNKNOWN', { ...target }, { message: 'nobody like that is connected here' });
    await this.#assertMayActOn([...connections], target, actor);
    return { closed: this.#part(connections, 'kicked', { reason: this.#shown(reason, actor) }) };
  }

  /** Keeps somebody out, and closes his connections with 4000. @throws TARGET_UNKNOWN, ADDRESS_UNKNOWN, BANS_FULL, FORBIDDEN, SELF_ACTION */
  async ban({ target, reason, duration }: Request, actor?: Connection): Promise<Banned> {
    const { node } = this.#context;
    const { keys } = find(node, target);
    if (keys.size === 0) throw new ModuleError('ADDRESS_UNKNOWN', {}, { message: 'this client has neither a user nor a known address to ban; kick it instead' });
    await this.#assertMayActOn(bearers(node, keys), target, actor);
    const at = Date.now();
    const until = duration === undefined ? undefined : at + duration;
    const ban: Ban = { by: actorId(actor), at, ...(until !== undefined && { until }), ...(reason !== undefined && { reason }) };
    await this.#keep(keys, ban);
    const end = until === undefined ? {} : { until: new Date(until).toISOString() };
    // Only now: who came while it was being kept is meant as well.
    return { closed: this.#part(bearers(node, keys), 'banned', { reason: this.#shown(reason, actor), duration, ...end }), ...end };
  }

  /** Bans all of the keys, or none: who is told that it failed has banned nobody. @throws BANS_FULL */
  async #keep(keys: ReadonlySet<string>, ban: Ban): Promise<void> {
    const { bans } = this.#settings;
    const [fresh, known]: [string[], string[]] = [[], []];
    for (const key of keys) ((await bans.has(key)) ? known : fresh).push(key);
    const added: string[] = [];
    try {
      for (const key of fresh) {
        await bans.add(key, ban);
        added.push(key);
      }
      // Last, when there was room enough: what is replaced could not be given back.
      for (const key of known) await bans.add(key, ban);
    } catch (error) {
      // Where it cannot be undone either, the first failure is the one to hear of.
      await Promise.allSettled(added.map(async (key) => bans.delete(key)));
      throw error;
    }
  }

  /** @throws TARGET_UNKNOWN */
  async unban({ target }: Request): Promise<Unbanned> {
    let lifted = false;
    for (const key of find(this.#context.node, target).keys) lifted = (await this.#settings.bans.delete(key)) || lifted;
    return { lifted };
  }

  /** @throws TARGET_UNKNOWN */
  async isBanned({ target }: Request): Promise<boolean> {
    for (const key of find(this.#context.node, target).keys) if (await this.#settings.bans.has(key)) return true;
    return false;
  }

  stats(): Stats {
    const { node } = this.#context;
    const users = new Set([...node.connections.values()].flatMap(({ user }) => user?.id ?? []));
    return { node: node.id, connections: node.connections.size, users: users.size, health: node.health(), metrics: node.metrics() };
  }

  /** A reason as those whom it is told may read it. */
  #shown(reason: string | undefined, actor: Connection | undefined): string | undefined {
    return actor ? this.#context.escape(reason) : reason;
  }

  /** Tells why, and closes. Returns how many were open. */
  #part(connections: Iterable<Connection>, type: 'kicked' | 'banned', content: { readonly reason: string | undefined; [field: string]: unknown }): number {
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

  async #assertMayActOn(connections: readonly Connection[], { userId, address }: Target, actor: Connection | undefined): Promise<void> {
    if (!actor) return;
    const isSelf = connections.some((connection) => connection === actor || (actor.user && connection.user?.id === actor.user.id));
    // It may have left meanwhile, and is then not among them.
    const isOwn = (userId !== undefined && userId === actorId(actor)) || (address !== undefined && customerKey(address) === customerKey(actor.ip));
    if (isSelf || isOwn) throw new ModuleError('SELF_ACTION', {}, { message: 'this cannot be done to oneself' });
    const own = this.#rank(actor.user?.roles);
    const absent = userId !== undefined && !connections.some(({ user }) => user?.id === userId);
    const theirs = connections.map(({ user }) => user?.roles);
    if (absent) theirs.push(await this.#settings.rolesOf(userId));
    if (theirs.some((roles) => this.#rank(roles) < own)) throw new ModuleError('FORBIDDEN', { needs: 'a role as high as that of whom it is about' });
  }

  /** How high the highest of somebody's roles stands, 0 being the top; below all where he has none of them. */
  #rank(roles: User['roles']): number {
    const held: readonly string[] = Array.isArray(roles) ? roles : [];
    const { ranks } = this.#settings;
    const index = ranks.findIndex((role) => held.includes(role));
    return index < 0 ? ranks.length : index;
  }
}
