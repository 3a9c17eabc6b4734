import type { Clock, Deadline } from './clock.ts';

/**
 * Things that are all given the same time. So the order of their start is that of their ends, and one deadline of the clock, that
 * of the oldest, serves them all: it stays until it is due.
 */
export class TimeoutQueue<T extends { readonly startedAt: number }> {
  readonly items = new Set<T>();
  readonly #clock: Clock;
  readonly #timeout: number;
  readonly #late: (item: T) => void;
  #deadline: Deadline | undefined;
  #watched = false;

  /** @param timeout milliseconds  @param late is to take the item out */
  constructor(clock: Clock, timeout: number, late: (item: T) => void) {
    this.#clock = clock;
    this.#timeout = timeout;
    this.#late = late;
  }

  /** Its own on the clock. */
  get deadlines(): number { return Number(this.#deadline?.isPending ?? false); }

  /** @param item `startedAt` is now, by `performance.now()` */
  add(item: T): void {
    this.items.add(item);
    if (!this.#watched) this.#watch(item.startedAt);
  }

  #watch(startedAt: number): void {
    this.#watched = true;
    this.#deadline = this.#clock.after(startedAt + this.#timeout - performance.now(), () => {
      const before = performance.now() - this.#timeout;
      for (const item of this.items) {
        if (item.startedAt > before) return this.#watch(item.startedAt);
        this.#late(item);
      }
      this.#watched = false;
    });
  }
}
