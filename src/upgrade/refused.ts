import type { ClientConnection } from '../connection/connection.ts';
import { isCloseCode } from '../connection/transport.ts';
import type { ModuleError } from '../errors.ts';
import { closeCodes } from '../protocol.ts';
import type { Clock } from '../runtime/clock.ts';
import { TimeoutQueue } from '../runtime/timeout-queue.ts';

/** Milliseconds that a refused client has to take its close frame and end its side. */
const CUT_AFTER = 1_000;

interface Leaving { readonly connection: ClientConnection; readonly startedAt: number }

/** Clients refused after the handshake. Each is counted until its socket is gone, and is cut after a second. */
export class Refused {
  readonly #leaving: TimeoutQueue<Leaving>;

  constructor(clock: Clock) {
    this.#leaving = new TimeoutQueue(clock, CUT_AFTER, (item) => this.#terminate(item));
  }

  get size(): number { return this.#leaving.items.size; }

  /** Its own on the clock. */
  get deadlines(): number { return this.#leaving.deadlines; }

  closeWithError(connection: ClientConnection, error: ModuleError): void {
    const item = { connection, startedAt: performance.now() };
    this.#leaving.add(item);
    connection.socket.once('close', () => this.#leaving.items.delete(item));
    const code = closeCodeOf(error);
    // A close in this range names the time to come back.
    connection.close(code, code === closeCodes.restarting ? 'retry=1000' : `${error.code}: ${error.message}`);
  }

  /** Cuts those that are still there. */
  terminate(): void { for (const item of this.#leaving.items) this.#terminate(item); }

  #terminate(item: Leaving): void {
    this.#leaving.items.delete(item);
    item.connection.terminate();
  }
}

/** The error's own code; else that of its status, since a client that is told 1011 tries again. */
function closeCodeOf({ closeCode, status }: ModuleError): number {
  if (closeCode !== undefined && isCloseCode(closeCode)) return closeCode;
  return status === 401 ? closeCodes.unauthenticated : status === 403 ? closeCodes.forbidden : 1011;
}
