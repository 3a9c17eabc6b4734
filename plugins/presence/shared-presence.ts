import {
  BoundedTable, EVERYONE, groupBy, hasCode, isRecord, isStoreUnavailable, MAX_TTL, ModuleError, type Channel,
  type PluginContext, type SharedStore,
} from '../../src/index.ts';
import { isChangeKind, type ChangeKind, type ShownUser } from './announcements.ts';
import { PresenceSeats } from './presence-seats.ts';

/**
 * Milliseconds for which a change waits for changes of other nodes. A user who moves from one node to another causes a
 * change on each of them, and these two may arrive in any order.
 */
export const SETTLE_TIME = 100;
/** Milliseconds for which changes are collected before they are sent to other nodes. */
const GATHER_TIME = 20;
/** Maximum number of changes in one packet, and of members on one page. */
const PAGE = 1_000;
/** Milliseconds within which the other nodes must say how many guests they have. */
const GUESTS_TIMEOUT = 500;
/** Milliseconds for which the number of guests on other nodes is used again. */
const GUESTS_KEPT = 1_000;
const MAX_GUESTS_KEPT = 10_000;
/** The beginning of the names of the sets for `lastSeen`: one for each user. Its only member has the time as value. */
const SEEN = 'seen:';

/** A change of a user at a place, as nodes send it to each other. */
type SentChange = readonly [topic: string, kind: ChangeKind, user: ShownUser];
interface Guests { readonly until: number; readonly count: Promise<number> }

export interface SharedPresenceHost {
  /** Announces a change to the clients of this node. */
  announce(topic: string, user: ShownUser, kind: ChangeKind): void;
  /** Whether changes at a place are announced to any clients. */
  isHeard(topic: string): boolean;
  /** The number of anonymous connections of this node at a place. */
  guests(topic: string): number;
  /** Milliseconds for which it is kept when a user was last seen. */
  readonly rememberFor: number;
}

/** A page of the users at a place. */
export interface UsersPage { readonly users: readonly ShownUser[]; readonly cursor: string | undefined }

/**
 * SharedPresence connects the presence of all nodes. The store has the users at each place. The nodes send each other
 * the changes, and each node announces them to its own clients.
 */
export class SharedPresence {
  readonly seats: PresenceSeats;
  readonly #context: PluginContext;
  readonly #store: SharedStore;
  readonly #host: SharedPresenceHost;
  readonly #changes: Channel<readonly SentChange[], void>;
  readonly #guests: Channel<string, number>;
  readonly #guestsOf = new BoundedTable<string, Guests>({
    max: MAX_GUESTS_KEPT, isExpired: ({ until }) => until <= performance.now(),
  });

  #gathered: SentChange[] = [];

  constructor(context: PluginContext, store: SharedStore, host: SharedPresenceHost) {
    this.#context = context;
    this.#store = store;
    this.#host = host;
    this.#changes = context.channel<readonly SentChange[], void>('changes', (changes) => {
      for (const change of Array.isArray(changes) ? changes : []) if (isSentChange(change)) this.#received(change);
    });
    this.#guests = context.channel<string, number>('guests', (topic) =>
      (typeof topic === 'string' ? host.guests(topic) : 0));
    this.seats = new PresenceSeats(context, store, {
      online: (topic, user) => {
        this.tell(topic, user, 'online');
        if (topic === EVERYONE) context.emit('presence:online', { userId: user.userId });
      },
      offline: (topic, user, leftAt) => {
        this.tell(topic, user, 'offline');
        if (topic === EVERYONE) this.#offline(user.userId, leftAt);
      },
    });
  }

  /** Announces a change to the clients of all nodes. */
  tell(topic: string, user: ShownUser, kind: ChangeKind): void {
    if (!this.#host.isHeard(topic)) return;
    this.#host.announce(topic, user, kind);
    if (this.#gathered.length === 0) this.#context.after(GATHER_TIME, () => this.#send());
    this.#gathered.push([topic, kind, user]);
  }

  #send(): void {
    const byTopic = groupBy(this.#gathered, ([topic]) => topic);
    this.#gathered = [];
    for (const [topic, changes] of byTopic) {
      for (let from = 0; from < changes.length; from += PAGE) {
        this.#changes.tell(changes.slice(from, from + PAGE), { topic });
      }
    }
  }

  #received([topic, kind, user]: SentChange): void {
    if (this.#context.node.subscribers(topic).size > 0) this.#host.announce(topic, user, kind);
  }

  #offline(userId: string, leftAt: number): void {
    this.#context.emit('presence:offline', { userId, lastSeen: leftAt });
    const ttl = Math.min(this.#host.rememberFor, MAX_TTL);
    if (ttl === 0) return;
    // A set and not a document, because each change of a document is sent to all nodes.
    this.#store.enter(SEEN + userId, SEEN, { ttl, value: leftAt }).catch((error: unknown) => {
      // Without this entry, fetchLastSeen() does not know the user.
      if (!isStoreUnavailable(error)) this.#context.report(error);
    });
  }

  /**
   * A page of the users at a place, in the order in which they came.
   * @throws STORE_UNAVAILABLE, OPTION_INVALID
   */
  async page(topic: string, { cursor, limit }: { readonly cursor?: string | undefined; readonly limit: number }):
  Promise<UsersPage> {
    const page = await this.#read((store) => store.members(PresenceSeats.setOf(topic), { cursor, limit }));
    const users = page.members.map(({ id, value }) => ({ ...(isRecord(value) && value), userId: id }));
    return { users, cursor: page.cursor };
  }

  /** The first users at a place. @throws STORE_UNAVAILABLE */
  async first(topic: string, count: number): Promise<ShownUser[]> {
    const users: ShownUser[] = [];
    for (let cursor: string | undefined; users.length < count;) {
      const page = await this.page(topic, { cursor, limit: Math.min(PAGE, count - users.length) });
      users.push(...page.users);
      cursor = page.cursor;
      if (cursor === undefined) break;
    }
    return users;
  }

  /** The number of users at a place. @throws STORE_UNAVAILABLE */
  async count(topic: string): Promise<number> {
    const [size = 0] = await this.#read((store) => store.sizes([PresenceSeats.setOf(topic)]));
    return size;
  }

  /** When an offline user was last seen, in milliseconds since the epoch. @throws STORE_UNAVAILABLE */
  async lastSeen(userId: string): Promise<number | undefined> {
    const { members: [seen] } = await this.#read((store) => store.members(SEEN + userId, { limit: 1 }));
    return typeof seen?.value === 'number' ? seen.value : undefined;
  }

  /** The number of anonymous connections at a place, on all nodes that answer. */
  async guests(topic: string): Promise<number> {
    let kept = this.#guestsOf.get(topic);
    if (!kept) {
      kept = { until: performance.now() + GUESTS_KEPT, count: this.#askGuests(topic) };
      // If the table is full, the number is not kept, and the next request asks again.
      this.#guestsOf.set(topic, kept);
    }
    return await kept.count + this.#host.guests(topic);
  }

  async #askGuests(topic: string): Promise<number> {
    const { answers } = await this.#guests.ask(topic, { timeout: GUESTS_TIMEOUT });
    return answers.reduce((sum, { answer }) => sum + (Number.isSafeInteger(answer) ? answer : 0), 0);
  }

  /** Reads from the store. @throws STORE_UNAVAILABLE */
  async #read<T>(read: (store: SharedStore) => Promise<T>): Promise<T> {
    const action = 'list who is online';
    const unavailable = (): ModuleError => new ModuleError('STORE_UNAVAILABLE', { store: this.#store.name, action });
    if (this.seats.isLapsed) throw unavailable();
    try {
      return await read(this.#store);
    } catch (error) {
      throw hasCode(error, 'LEASE_LOST') ? unavailable() : error;
    }
  }
}

const isSentChange = (change: unknown): change is SentChange =>
  Array.isArray(change) && typeof change[0] === 'string' && isChangeKind(change[1])
  && isRecord(change[2]) && typeof change[2].userId === 'string';
