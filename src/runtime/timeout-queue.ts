import type { Clock, Deadline } from './clock.ts';

/**
 * Items that all have the same timeout. They expire in the order in which they started, so one deadline is enough: that
 * of the oldest item.
 */
export class TimeoutQueue<T extends { readonly startedAt: number }> {
  readonly items = new Set<T>();
  readonly #clock: Clock;
  readonly #timeout: number;
  readonly #onTimeout: (item: T) => void;
  #deadline: Deadline | undefined;
  #hasDeadline = false;

  /**
   * @param timeout milliseconds
   * @param onTimeout called with each expired item; it must remove the item from `items`
   */
  constructor(clock: Clock, timeout: number, onTimeout: (item: T) => void) {
    this.#clock = clock;
    this.#timeout = timeout;
    this.#onTimeout = onTimeout;
  }

  /** The number of its deadlines on the clock. */
  get deadlines(): number { return Number(this.#deadline?.isPending ?? false); }

  /** @param item its `startedAt` must be `performance.now()` */
  add(item: T): void {
    this.items.add(item);
    if (!this.#hasDeadline) this.#setDeadline(item.startedAt);
  }

  /** Removes all items. */
  clear(): void {
    this.items.clear();
    this.#deadline?.cancel();
    this.#hasDeadline = false;
  }

  #setDeadline(startedAt: number): void {
    this.#hasDeadline = true;
    this.#deadline = this.#clock.after(startedAt + this.#timeout - performance.now(), () => this.#expire());
  }

  #expire(): void {
    const before = performance.now() - this.#timeout;
    for (const item of this.items) {
      if (item.startedAt > before) return this.#setDeadline(item.startedAt);
      try {
        this.#onTimeout(item);
      } catch (error) {
        // The other items must still expire, so the item that failed is removed.
        this.items.delete(item);
        this.#setDeadline(before);
        throw error;
      }
    }
    this.#hasDeadline = false;
  }
}
