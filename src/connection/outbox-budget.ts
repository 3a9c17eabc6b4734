import type { Frame } from './frame.ts';

/** An outbox whose socket is full. */
export interface FullOutbox {
  /** The bytes that only this outbox holds, and its part of those that it shares with others. */
  readonly share: number;
  /** Called when all together exceed the limit, and this one holds the most: it drops everything, and closes. */
  evict(): void;
}

/**
 * Bytes that wait for clients which read too slowly, of all clients together. A frame that many of them wait for takes
 * its memory once, so it counts once.
 */
export class OutboxBudget {
  readonly #limit: number;
  readonly #full = new Set<FullOutbox>();
  #bytes = 0;

  constructor(limit: number) {
    this.#limit = limit;
  }

  hold(outbox: FullOutbox, frame: Frame): void {
    this.#full.add(outbox);
    if (frame.hold) {
      frame.hold.count++;
    } else {
      frame.hold = { count: 1, bytes: frame.length };
      this.#bytes += frame.length;
    }
  }

  release(frame: Frame): void {
    if (--frame.hold!.count > 0) return;
    this.#bytes -= frame.hold!.bytes;
    frame.hold = undefined;
  }

  /** The outbox holds nothing any more. */
  forget(outbox: FullOutbox): void { this.#full.delete(outbox); }

  /** While more bytes wait than the limit allows, evicts the outbox that holds the most. */
  enforce(): void {
    while (this.#bytes > this.#limit) {
      const largest = this.#largest;
      if (!largest) return;
      largest.evict();
    }
  }

  /** By its share: closing one of many clients that wait for the same frame would free little. */
  get #largest(): FullOutbox | undefined {
    let largest: FullOutbox | undefined;
    let most = 0;
    for (const outbox of this.#full) {
      const share = outbox.share;
      if (largest && share <= most) continue;
      largest = outbox;
      most = share;
    }
    return largest;
  }
}
