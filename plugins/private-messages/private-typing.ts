import { BoundedTable, ModuleError, type Connection } from '../../src/index.ts';

/** A user who is typing to another user, or has just stopped. */
interface Typist {
  readonly from: string;
  readonly to: string;
  /** The connection that typed last. */
  connection: Connection;
  isTyping: boolean;
  /** Whether the last notice said that the sender is typing, and when the last such notice was sent. */
  isTold: boolean;
  toldAt: number;
  /** When typing ends unless it is repeated. */
  until: number;
}

export interface PrivateTypingSettings {
  /** Milliseconds after which typing ends unless the client repeats it. */
  readonly timeout: number;
  /** Minimum milliseconds between two notices that a user is typing. */
  readonly interval: number;
  /** Notifies the recipient. */
  readonly tell: (from: string, to: string, isTyping: boolean, connection: Connection) => void;
}

/** Maximum conversations with typing, in total and of one user. */
const MAX_TYPISTS = 10_000;
const MAX_PER_USER = 20;

/**
 * PrivateTyping tracks the users who are typing to another user. The recipient is notified of a start at most once per
 * interval, and of an end at once.
 */
export class PrivateTyping {
  readonly #settings: PrivateTypingSettings;
  readonly #typists: BoundedTable<string, Typist>;

  constructor(settings: PrivateTypingSettings) {
    this.#settings = settings;
    // An entry is kept for the interval, so that a user who starts and stops again and again causes no more notices.
    const isExpired = ({ isTyping, toldAt }: Typist): boolean => {
      return !isTyping && performance.now() - toldAt >= settings.interval;
    };
    this.#typists = new BoundedTable({ max: MAX_TYPISTS, maxPerOwner: MAX_PER_USER, isExpired });
  }

  get size(): number { return this.#typists.size; }

  /** @throws RATE_LIMITED when the user types in too many conversations, or too many users are typing */
  start(connection: Connection, from: string, to: string): void {
    const { timeout } = this.#settings;
    const key = keyOf(from, to);
    let typist = this.#typists.get(key);
    if (!typist) {
      typist = { from, to, connection, isTyping: true, isTold: false, toldAt: -Infinity, until: 0 };
      const full = this.#typists.set(key, typist, from);
      if (full) throw new ModuleError('RATE_LIMITED', { retryAfter: timeout, scope: 'typing' });
    }
    Object.assign(typist, { connection, isTyping: true, until: performance.now() + timeout });
    this.#tellStart(typist);
  }

  stop(from: string, to: string): void {
    const typist = this.#typists.get(keyOf(from, to));
    if (typist) this.#stop(typist);
  }

  /** Ends the typing of a closed connection. */
  left(connection: Connection): void {
    const { user } = connection;
    if (!user) return;
    for (const key of this.#typists.keysOf(user.id)) {
      const typist = this.#typists.get(key);
      if (typist?.connection === connection) this.#stop(typist);
    }
  }

  /** Ends typing that was not repeated, and sends delayed notices. */
  sweep(): void {
    const now = performance.now();
    for (const [, typist] of this.#typists) {
      if (!typist.isTyping) continue;
      if (typist.until <= now) this.#stop(typist);
      else if (!typist.isTold) this.#tellStart(typist);
    }
  }

  #tellStart(typist: Typist): void {
    const now = performance.now();
    if (now - typist.toldAt < this.#settings.interval) return;
    typist.toldAt = now;
    typist.isTold = true;
    this.#settings.tell(typist.from, typist.to, true, typist.connection);
  }

  #stop(typist: Typist): void {
    typist.isTyping = false;
    if (!typist.isTold) return;
    typist.isTold = false;
    this.#settings.tell(typist.from, typist.to, false, typist.connection);
  }
}

// The length prefix makes the key unique for each pair of ids.
const keyOf = (from: string, to: string): string => `${from.length} ${from}${to}`;
