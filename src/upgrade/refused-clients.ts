import { isCloseCode } from '../connection/close-frame.ts';
import type { ClientConnection } from '../connection/connection.ts';
import type { ModuleError } from '../errors.ts';
import { closeCodes } from '../protocol.ts';
import type { Clock } from '../runtime/clock.ts';
import { TimeoutQueue } from '../runtime/timeout-queue.ts';

/** Milliseconds until the socket of a refused client is destroyed. */
const CLOSE_TIMEOUT = 1_000;

interface ClosingClient { readonly connection: ClientConnection; readonly startedAt: number }

/** The clients that were refused after the handshake and have not disconnected yet. They count as connections. */
export class RefusedClients {
  readonly #closing: TimeoutQueue<ClosingClient>;

  constructor(clock: Clock) {
    this.#closing = new TimeoutQueue(clock, CLOSE_TIMEOUT, (item) => this.#terminate(item));
  }

  get size(): number { return this.#closing.items.size; }

  /** The number of its deadlines on the clock. */
  get deadlines(): number { return this.#closing.deadlines; }

  closeWithError(connection: ClientConnection, error: ModuleError): void {
    const item = { connection, startedAt: performance.now() };
    this.#closing.add(item);
    connection.socket.onceClosed(() => this.#closing.items.delete(item));
    const code = closeCodeOf(error);
    // The reason of this code must give the time to reconnect.
    connection.close(code, code === closeCodes.restarting ? 'retry=1000' : `${error.code}: ${error.message}`);
  }

  /** Destroys all sockets. */
  terminate(): void { for (const item of this.#closing.items) this.#terminate(item); }

  #terminate(item: ClosingClient): void {
    this.#closing.items.delete(item);
    item.connection.terminate();
  }
}

/** The close code of the error, or one that fits its HTTP status: clients that get 1011 would try again. */
function closeCodeOf({ closeCode, status }: ModuleError): number {
  if (closeCode !== undefined && isCloseCode(closeCode)) return closeCode;
  return status === 401 ? closeCodes.unauthenticated : status === 403 ? closeCodes.forbidden : 1011;
}
