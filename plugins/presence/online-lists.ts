import { check, EVERYONE, rules, type Node } from '../../src/index.ts';
import type { ShownUser } from './announcements.ts';
import type { GracePeriods } from './grace-periods.ts';
import type { OnlineUsers } from './online-users.ts';
import type { SharedPresence, UsersPage } from './shared-presence.ts';

export interface PageOptions {
  /** The cursor of the previous page. @default the first page */
  readonly cursor?: string | undefined;
  /** Maximum number of users, up to 1,000. @default 100 */
  readonly limit?: number | undefined;
}
const PAGE_RULES = {
  cursor: rules.rule('the cursor of a page', (value) => typeof value === 'string'),
  limit: rules.integer(1, 1_000),
};

/** The users in a place. */
export interface OnlineList {
  readonly users: readonly ShownUser[];
  /** The number of all users, including those that are not listed. */
  readonly total: number;
  /** The number of anonymous connections. */
  readonly guests: number;
}

/** OnlineLists lists the users in a place: of this node, or, with a shared store, of all nodes. */
export class OnlineLists {
  readonly #node: Node;
  readonly #users: OnlineUsers;
  readonly #gracePeriods: GracePeriods;
  readonly #shared: SharedPresence | undefined;

  constructor(node: Node, users: OnlineUsers, gracePeriods: GracePeriods, shared: SharedPresence | undefined) {
    this.#node = node;
    this.#users = users;
    this.#gracePeriods = gracePeriods;
    this.#shared = shared;
  }

  /** The ids of the users of this node in a place. */
  idsOf(topic: string): readonly string[] {
    if (topic === EVERYONE) return [...this.#users.keys()];
    const ids = [...this.#node.subscribers(topic)].flatMap(({ user }) => user?.id ?? []);
    return [...new Set([...ids, ...this.#gracePeriods.of(topic)])];
  }

  /** The number of anonymous connections of this node in a place. */
  guestsOf(topic: string): number {
    if (topic === EVERYONE) return this.#node.connections.size - this.#users.connections;
    return [...this.#node.subscribers(topic)].filter(({ user }) => !user).length;
  }

  /**
   * The first users in a place.
   * @param charge is called with the number of users that are read, and may throw
   * @throws STORE_UNAVAILABLE
   */
  async list(topic: string, max: number, charge: (count: number) => void): Promise<OnlineList> {
    const shared = this.#shared;
    if (!shared) {
      const ids = this.idsOf(topic);
      charge(Math.min(ids.length, max));
      return { users: this.#shown(ids.slice(0, max)), total: ids.length, guests: this.guestsOf(topic) };
    }
    const total = await shared.count(topic);
    charge(Math.min(total, max));
    const [users, guests] = await Promise.all([shared.first(topic, max), shared.guests(topic)]);
    return { users, total: Math.max(total, users.length), guests };
  }

  /** @throws STORE_UNAVAILABLE, OPTION_INVALID */
  async page(topic: string, options: PageOptions = {}): Promise<UsersPage> {
    const { cursor, limit = 100 } = check<PageOptions>(options, PAGE_RULES, 'fetchOnline');
    if (this.#shared) return this.#shared.page(topic, { cursor, limit });
    const from = Number(cursor ?? 0);
    const ids = this.idsOf(topic);
    const next = from + limit < ids.length ? String(from + limit) : undefined;
    return { users: this.#shown(ids.slice(from, from + limit)), cursor: next };
  }

  #shown(ids: readonly string[]): ShownUser[] { return ids.map((userId) => this.#users.shown(userId)); }
}
