import { setImmediate as nextTurn } from 'node:timers/promises';
import type { ModuleError } from '../../src/index.ts';
import type { After } from './auth-host.ts';

/** A connection or a socket that is closed at a deadline. */
export interface Client {
  close(code?: number, reason?: string): void;
}

/** If a deadline is late by more milliseconds, the process was suspended, or its event loop was blocked. */
const STALL = 250;
/** Maximum number of one client's attempts for which deadlines wait. Further attempts run, too, without that. */
const MAX_ATTEMPTS = 16;
/** Milliseconds that clients have at most after such a delay. */
const STALL_GRACE = 1_000;

/**
 * Closes clients at a deadline, unless they authenticated in time. While the process is suspended or blocked, frames
 * wait in the sockets and deadlines pass. So frames that arrived in time are read and verified before a client is
 * closed.
 */
export class ClientDeadlines {
  readonly #after: After;
  readonly #maxVerification: number;
  /** The authentication attempts that are running. */
  readonly #attempts = new Map<Client, Set<Promise<unknown>>>();
  #isStopped = false;

  /** @param maxVerification milliseconds that an attempt may take after a deadline */
  constructor(after: After, maxVerification: number) {
    this.#after = after;
    this.#maxVerification = maxVerification;
  }

  /** Closes a client after a number of milliseconds. Returns the undo. */
  closeAfter(client: Client, milliseconds: number, error: ModuleError): () => void {
    const due = performance.now() + milliseconds;
    let isCancelled = false;
    const isOver = (): boolean => isCancelled || this.#isStopped;
    const close = async (): Promise<void> => {
      // Frames that have arrived are read before the next turn.
      await nextTurn();
      if (!isOver()) await this.#verified(client);
      if (!isOver()) closeWithError(client, error);
    };
    let cancel = this.#after(milliseconds, () => {
      const late = performance.now() - due;
      if (late < STALL) return close();
      cancel = this.#after(Math.min(late, STALL_GRACE), close);
      return undefined;
    });
    return () => {
      isCancelled = true;
      cancel();
    };
  }

  /** Keeps deadlines from closing a client during an attempt. Resolves or rejects as the attempt does. */
  async attempt<T>(client: Client, attempt: Promise<T>): Promise<T> {
    const attempts = this.#attempts.get(client) ?? new Set();
    if (attempts.size >= MAX_ATTEMPTS) return attempt;
    this.#attempts.set(client, attempts.add(attempt));
    try {
      return await attempt;
    } finally {
      attempts.delete(attempt);
      if (attempts.size === 0 && this.#attempts.get(client) === attempts) this.#attempts.delete(client);
    }
  }

  /** Drops the attempts of a client that has left: some may never end. */
  forget(client: Client): void { this.#attempts.delete(client); }

  /** Ends all deadlines. */
  stop(): void { this.#isStopped = true; }

  /**
   * Resolves when the running attempts of a client have ended, or have taken too long. It does not wait for later
   * ones.
   */
  async #verified(client: Client): Promise<void> {
    const attempts = this.#attempts.get(client);
    if (!attempts) return;
    let cancel: (() => void) | undefined;
    const tooLong = new Promise<void>((resolve) => (cancel = this.#after(this.#maxVerification, resolve)));
    await Promise.race([tooLong, Promise.allSettled(attempts)]);
    cancel?.();
    // The answer to the attempt is sent before the client is closed.
    await nextTurn();
  }
}

/** Closes a client with the error's code, and a reason that the client may read. */
export function closeWithError(client: Client, { closeCode, code, message }: ModuleError): void {
  client.close(closeCode, `${code}: ${message}`);
}
