import { setImmediate as nextTurn } from 'node:timers/promises';
import type { ModuleError } from '../../src/index.ts';
import type { After } from './auth-host.ts';

/** What is closed at a deadline: a connection, or a socket. */
export interface Client {
  close(code?: number, reason?: string): void;
}

/** A deadline that is late by more milliseconds was held up: the process was suspended, or its event loop blocked. */
const STALL = 250;
/** Attempts of one client that count. Further ones are made, too, but no deadline waits for them. */
const MAX_ATTEMPTS = 16;
/** Milliseconds that clients have at most after the process was held up. */
const STALL_GRACE = 1_000;

/**
 * Closes clients at a deadline, unless they authenticated in time. While the process is held up, frames wait in the
 * sockets and deadlines pass; what was sent in time is read and verified before a client is closed.
 */
export class ClientDeadlines {
  readonly #after: After;
  readonly #maxVerification: number;
  /** What clients are authenticating with at the moment. */
  readonly #attempts = new Map<Client, Set<Promise<unknown>>>();
  #isStopped = false;

  /** @param maxVerification milliseconds after a deadline in which an attempt from before it must end */
  constructor(after: After, maxVerification: number) {
    this.#after = after;
    this.#maxVerification = maxVerification;
  }

  /** Closes a client after so many milliseconds. Returns the undo. */
  closeAfter(client: Client, milliseconds: number, error: ModuleError): () => void {
    const due = performance.now() + milliseconds;
    let isCancelled = false;
    const isOver = (): boolean => isCancelled || this.#isStopped;
    const judge = async (): Promise<void> => {
      // Frames that have arrived are read before the next turn.
      await nextTurn();
      if (!isOver()) await this.#verified(client);
      if (!isOver()) closeWithError(client, error);
    };
    let cancel = this.#after(milliseconds, () => {
      const late = performance.now() - due;
      if (late < STALL) return judge();
      cancel = this.#after(Math.min(late, STALL_GRACE), judge);
      return undefined;
    });
    return () => {
      isCancelled = true;
      cancel();
    };
  }

  /** Does not close a client while it authenticates. Gives what the attempt gives. */
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

  /** Forgets the attempts of a client that is gone: some may never end. */
  forget(client: Client): void { this.#attempts.delete(client); }

  /** Closes no client any more. */
  stop(): void { this.#isStopped = true; }

  /**
   * Resolves when the attempts of a client that are under way have ended, or have taken too long. Later ones do not
   * count.
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
