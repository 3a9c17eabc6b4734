import type { ClientConnection } from '../connection/connection.ts';

/** Milliseconds between two rounds of checks. */
const ROUND_INTERVAL = 500;
/** A round checks a tenth of the connections, and at least this number. */
const PARTS = 10;
const MIN_CHECKED = 1_000;

/** What UnfinishedMessages uses of the intake. */
export interface UnfinishedHost {
  readonly connections: ReadonlyMap<string, ClientConnection>;
  /** Called with the bytes of a connection's incomplete message, or 0 after it is complete or the connection closed. */
  count(connection: ClientConnection, bytes: number): void;
  /** Called when a message was not complete in time. */
  timedOut(connection: ClientConnection): void;
}

/** The incomplete message of a connection, and when it was first seen. */
interface Unfinished { readonly mark: object; readonly since: number }

/**
 * Gives incomplete messages a deadline, and counts their bytes. Otherwise a client that never sends its last fragment
 * could keep a message of the maximum size in memory as long as it answers pings. Connections are checked in rounds on
 * one timer, so that a message costs nothing.
 */
export class UnfinishedMessages {
  readonly #host: UnfinishedHost;
  readonly #timeout: number;
  readonly #begun = new Map<ClientConnection, Unfinished>();
  #turn: Iterator<ClientConnection> | undefined;
  #timer: NodeJS.Timeout | undefined;

  /** @param timeout milliseconds within which a message must be complete */
  constructor(host: UnfinishedHost, timeout: number) {
    this.#host = host;
    this.#timeout = timeout;
  }

  start(): void { this.#timer = setInterval(() => this.#round(), Math.min(ROUND_INTERVAL, this.#timeout)).unref(); }

  stop(): void { clearInterval(this.#timer); }

  #round(): void {
    const now = performance.now();
    const { connections } = this.#host;
    for (const connection of [...this.#begun.keys()]) this.#check(connection, now);
    let count = Math.max(MIN_CHECKED, Math.ceil(connections.size / PARTS));
    for (; count > 0; count--) {
      // An iterator of a Map stays valid when entries are added or deleted.
      const next = (this.#turn ??= connections.values()).next();
      if (next.done) {
        this.#turn = undefined;
        break;
      }
      if (!this.#begun.has(next.value)) this.#check(next.value, now);
    }
  }

  #check(connection: ClientConnection, now: number): void {
    const unfinished = connection.isOpen ? connection.socket.unfinished : undefined;
    if (!unfinished) {
      if (this.#begun.delete(connection)) this.#host.count(connection, 0);
      return;
    }
    const { mark, bytes } = unfinished;
    const before = this.#begun.get(connection);
    // While reading is paused, the client cannot complete its message.
    const isSame = before?.mark === mark && !connection.isPaused;
    if (isSame && now - before.since >= this.#timeout) {
      this.#begun.delete(connection);
      return this.#host.timedOut(connection);
    }
    if (!isSame) this.#begun.set(connection, { mark, since: now });
    this.#host.count(connection, bytes);
  }
}
