import type { Clock, Deadline } from './clock.ts';

/**
 * Items that all have the same timeout. They expire in the order in which they started, so one deadline of the clock,
 * that of the oldest item, serves them all.
 */
export class TimeoutQueue<T extends { readonly startedAt: number }> {
  readonly items = new Set<T>();
  readonly #clock: Clock;
  readonly #timeout: number;
  readonly #late: (item: T) => void;
  #deadline: Deadline | undefined;
  #watched = false;

  /**
   * @param timeout milliseconds
   * @param late is called with an item whose time is over, and takes it out of `items`
   */
  constructor(clock: Clock, timeout: number, late: (item: T) => void) {
    this.#clock = clock;
    this.#timeout = timeout;
    this.#late = late;
  }

  /** How many deadlines it has on the clock. */
  get deadlines(): number { return Number(this.#deadline?.isPending ?? false); }

  /** @param item one whose `startedAt` is `performance.now()` */
  add(item: T): void {
    this.items.add(item);
    if (!this.#watched) this.#watch(item.startedAt);
  }

  /** Forgets all items. */
  clear(): void {
    this.items.clear();
    this.#deadline?.cancel();
    this.#watched = false;
  }

  #watch(startedAt: number): void {
    this.#watched = true;
    this.#deadline = this.#clock.after(startedAt + this.#timeout - performance.now(), () => this.#expire());
  }

  #expire(): void {
    const before = performance.now() - this.#timeout;
    for (const item of this.items) {
      if (item.startedAt > before) return this.#watch(item.startedAt);
      try {
        this.#late(item);
      } catch (error) {
        // The others still have to expire: the item that failed must not hold them up.
        this.items.delete(item);
        this.#watch(before);
        throw error;
      }
    }
    this.#watched = false;
  }
}
