import { isDeepStrictEqual } from 'node:util';
import { BoundedTable, type Connection, type User } from '../../src/index.ts';
import type { ShownUser } from './announcements.ts';

interface OnlineUser {
  shown: ShownUser;
  readonly connections: Set<Connection>;
  /** When the last connection was closed, in milliseconds since the epoch. */
  leftAt: number;
}

/** `at`: when an offline user was last seen (since the epoch). `until`: how long this is kept (monotonic clock). */
interface LastSeen { readonly at: number; readonly until: number }

export interface OnlineUsersOptions {
  readonly profile: (user: User) => Readonly<Record<string, unknown>>;
  /** Maximum offline users whose `lastSeen` is kept. */
  readonly maxRemembered: number;
  /** Milliseconds for which `lastSeen` is kept. */
  readonly rememberFor: number;
}

/** OnlineUsers tracks online users with their connections, and when offline users were last seen. */
export class OnlineUsers {
  readonly #options: OnlineUsersOptions;
  readonly #users = new Map<string, OnlineUser>();
  /** The user id of each connection, as given to add(). */
  readonly #userIds = new Map<Connection, string>();
  readonly #lastSeen: BoundedTable<string, LastSeen>;

  constructor(options: OnlineUsersOptions) {
    this.#options = options;
    const isExpired = ({ until }: LastSeen): boolean => until <= performance.now();
    this.#lastSeen = new BoundedTable({ max: options.maxRemembered, isExpired });
  }

  get size(): number { return this.#users.size; }

  /** Number of connections with a user. */
  get connections(): number { return this.#userIds.size; }

  keys(): Iterable<string> { return this.#users.keys(); }

  has(userId: string): boolean { return this.#users.has(userId); }

  /** The public fields of a user. */
  shown(userId: string): ShownUser { return this.#users.get(userId)?.shown ?? { userId }; }

  connectionsOf(userId: string): ReadonlySet<Connection> { return this.#users.get(userId)?.connections ?? NONE; }

  /** The id of the user of a connection, as given to add(). */
  userOf(connection: Connection): string | undefined { return this.#userIds.get(connection); }

  /** Adds a connection of a user unless it is there, and updates the user's profile. */
  add(connection: Connection, user: User): { readonly isFirst: boolean; readonly isUpdated: boolean } {
    const shown = { ...this.#options.profile(user), userId: user.id };
    let known = this.#users.get(user.id);
    const isUpdated = known !== undefined && !isDeepStrictEqual(known.shown, shown);
    if (!known) this.#users.set(user.id, (known = { shown, connections: new Set(), leftAt: 0 }));
    known.shown = shown;
    const isFirst = known.connections.size === 0;
    known.connections.add(connection);
    this.#userIds.set(connection, user.id);
    return { isFirst, isUpdated };
  }

  /** Removes a connection. Returns the id of its user if it was the user's last connection. */
  remove(connection: Connection): string | undefined {
    const userId = this.#userIds.get(connection);
    if (userId === undefined) return undefined;
    this.#userIds.delete(connection);
    const user = this.#users.get(userId)!;
    user.connections.delete(connection);
    if (user.connections.size > 0) return undefined;
    user.leftAt = Date.now();
    return userId;
  }

  /** Called when the user is offline. Returns when they were last seen. */
  forget(userId: string): number {
    const at = this.#users.get(userId)?.leftAt ?? Date.now();
    this.#users.delete(userId);
    // If the table is full, the time is not kept. Entries of other users are never dropped to make room.
    this.#lastSeen.delete(userId);
    this.#lastSeen.set(userId, { at, until: performance.now() + this.#options.rememberFor });
    return at;
  }

  /** In milliseconds since the epoch; now, for a connected user. */
  lastSeen(userId: string): number | undefined {
    const user = this.#users.get(userId);
    if (!user) return this.#lastSeen.get(userId)?.at;
    return user.connections.size > 0 ? Date.now() : user.leftAt;
  }
}

const NONE: ReadonlySet<Connection> = new Set();
