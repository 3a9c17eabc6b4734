import type { ClientConnection } from '../connection/connection.ts';

/** Milliseconds between two looks. */
const TICK = 500;
/** A look goes to a tenth of the connections, and to so many at least. */
const PARTS = 10;
const MIN_LOOKED_AT = 1_000;

/** What happens to messages that are not whole. */
export interface UnfinishedHost {
  readonly connections: ReadonlyMap<string, ClientConnection>;
  /** The bytes of a connection's message that are there; 0 when it is whole, or the connection is gone. */
  count(connection: ClientConnection, bytes: number): void;
  /** A message did not end in time. */
  late(connection: ClientConnection): void;
}

/** The message that a connection has begun, and since when it is known. */
interface Unfinished { readonly mark: object; readonly since: number }

/**
 * Gives messages that have begun a deadline, and counts their bytes: a client that never sends its last fragment would
 * hold a message of the largest size for as long as it answers pings. Connections are looked at in turns, so that
 * neither a message nor a connection costs anything.
 */
export class UnfinishedMessages {
  readonly #host: UnfinishedHost;
  readonly #timeout: number;
  readonly #begun = new Map<ClientConnection, Unfinished>();
  #turn: Iterator<ClientConnection> | undefined;
  #timer: NodeJS.Timeout | undefined;

  /** @param timeout milliseconds in which a message must end */
  constructor(host: UnfinishedHost, timeout: number) {
    this.#host = host;
    this.#timeout = timeout;
  }

  start(): void { this.#timer = setInterval(() => this.#look(), Math.min(TICK, this.#timeout)).unref(); }

  stop(): void { clearInterval(this.#timer); }

  #look(): void {
    const now = performance.now();
    const { connections } = this.#host;
    for (const connection of [...this.#begun.keys()]) this.#lookAt(connection, now);
    let count = Math.max(MIN_LOOKED_AT, Math.ceil(connections.size / PARTS));
    for (; count > 0; count--) {
      // An iterator of a Map stays valid while entries come and go.
      const next = (this.#turn ??= connections.values()).next();
      if (next.done) {
        this.#turn = undefined;
        break;
      }
      if (!this.#begun.has(next.value)) this.#lookAt(next.value, now);
    }
  }

  #lookAt(connection: ClientConnection, now: number): void {
    const unfinished = connection.isOpen ? connection.socket.unfinished : undefined;
    if (!unfinished) {
      if (this.#begun.delete(connection)) this.#host.count(connection, 0);
      return;
    }
    const { mark, bytes } = unfinished;
    const before = this.#begun.get(connection);
    // While it is not read from, it cannot end its message.
    const isSame = before?.mark === mark && !connection.isPaused;
    if (isSame && now - before.since >= this.#timeout) {
      this.#begun.delete(connection);
      return this.#host.late(connection);
    }
    if (!isSame) this.#begun.set(connection, { mark, since: now });
    this.#host.count(connection, bytes);
  }
}
