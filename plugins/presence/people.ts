import type { Connection, User } from '../../src/index.ts';
import type { Shown } from './announcements.ts';

interface Person {
  shown: Shown;
  readonly connections: Set<Connection>;
  /** When the last of them went. */
  leftAt: number;
}

/** The users who are there, each with his connections, and when those were last seen who are not. */
export class People {
  readonly #profile: (user: User) => Readonly<Record<string, unknown>>;
  readonly #most: number;
  readonly #people = new Map<string, Person>();
  /** Longest gone first. */
  readonly #seen = new Map<string, number>();
  #connections = 0;

  /** @param most users gone who are remembered */
  constructor(profile: (user: User) => Readonly<Record<string, unknown>>, most: number) {
    this.#profile = profile;
    this.#most = most;
  }

  get size(): number { return this.#people.size; }

  /** How many connections there are of all of them. */
  get connections(): number { return this.#connections; }

  keys(): Iterable<string> { return this.#people.keys(); }

  has(userId: string): boolean { return this.#people.has(userId); }

  /** What others are told of somebody. */
  shown(userId: string): Shown { return this.#people.get(userId)?.shown ?? { userId }; }

  connectionsOf(userId: string): Iterable<Connection> { return this.#people.get(userId)?.connections ?? []; }

  /** Adds a connection, once, and takes what is new of its user. `true`: it is the first of his. */
  add(connection: Connection, user: User): boolean {
    const shown = { ...this.#profile(user), userId: user.id };
    const person = this.#people.get(user.id) ?? { shown, connections: new Set(), leftAt: 0 };
    person.shown = shown;
    this.#people.set(user.id, person);
    if (person.connections.has(connection)) return false;
    this.#connections++;
    return person.connections.add(connection).size === 1;
  }

  /** A connection is gone. The id of its user: it was his last. */
  remove(connection: Connection): string | undefined {
    const userId = connection.user?.id;
    const person = userId === undefined ? undefined : this.#people.get(userId);
    if (!person?.connections.delete(connection)) return undefined;
    this.#connections--;
    if (person.connections.size > 0) return undefined;
    person.leftAt = Date.now();
    return userId;
  }

  /** He is gone for good, or until he comes again. Returns when he was last seen. */
  forget(userId: string): number {
    const leftAt = this.#people.get(userId)?.leftAt ?? Date.now();
    this.#people.delete(userId);
    this.#seen.delete(userId);
    this.#seen.set(userId, leftAt);
    if (this.#seen.size > this.#most) this.#seen.delete(this.#seen.keys().next().value!);
    return leftAt;
  }

  /** In milliseconds since the epoch; now, of who is connected. */
  lastSeen(userId: string): number | undefined {
    const person = this.#people.get(userId);
    if (!person) return this.#seen.get(userId);
    return person.connections.size > 0 ? Date.now() : person.leftAt;
  }
}
