import { DeadlineHeap, type HeapEntry } from './deadline-heap.ts';

/**
 * A long wait is divided into steps of these milliseconds. Node keeps one list of timers for each duration, and deletes
 * the list of an unreferenced timer only after its duration: with arbitrary durations there would be one list for each
 * deadline. Also, setTimeout() accepts at most 2 ** 31 - 1 ms.
 */
const STEPS = [3_600_000, 60_000, 1_000, 100, 10];

/** Work that runs at a given time. `cancel()` may be called at any time, also after the work ran. */
export interface Deadline { readonly isPending: boolean; cancel(): void }

/**
 * Runs any number of deadlines on one timer and the monotonic clock, in the order of their times; deadlines of equal
 * times run in the order in which they were added. It does not keep the process alive. With a million pending
 * deadlines, `after()` and `cancel()` take less than 1 µs together.
 */
export class Clock {
  readonly #heap = new DeadlineHeap<PendingDeadline>();
  #added = 0;
  #timer: NodeJS.Timeout | undefined;
  /** Removes a cancelled deadline at once, not at its time. */
  readonly #remove = (deadline: PendingDeadline): void => {
    this.#heap.remove(deadline);
    // If others remain, the timer may fire too early for them. It is then set again.
    if (this.#heap.size === 0) clearTimeout(this.#timer);
  };

  /** The number of pending deadlines. */
  get size(): number { return this.#heap.size; }

  /** @param delay milliseconds, of any length */
  after(delay: number, run: () => void): Deadline {
    const deadline = new PendingDeadline(performance.now() + delay, this.#added++, run, this.#remove);
    this.#heap.add(deadline);
    if (deadline.index === 0) this.#setTimer();
    return deadline;
  }

  /** Settles like the work; or, if the work takes longer than the delay, with what `onTimeout` returns or throws. */
  async within<T>(delay: number, work: Promise<T>, onTimeout: () => T): Promise<T> {
    let deadline: Deadline | undefined;
    const expiry = new Promise<void>((resolve) => (deadline = this.after(delay, resolve))).then(onTimeout);
    return Promise.race([work, expiry]).finally(() => deadline?.cancel());
  }

  stop(): void {
    for (const deadline of this.#heap.clear()) deadline.run = undefined;
    this.#setTimer();
  }

  #setTimer(): void {
    clearTimeout(this.#timer);
    const next = this.#heap.first;
    if (!next) return;
    const remaining = Math.max(1, Math.ceil(next.at - performance.now()));
    this.#timer = setTimeout(() => this.#runDue(), STEPS.find((step) => step <= remaining) ?? remaining).unref();
  }

  #runDue(): void {
    const now = performance.now();
    try {
      for (let next = this.#heap.first; next && next.at <= now; next = this.#heap.first) {
        const { run } = next;
        this.#heap.remove(next);
        next.run = undefined;
        run?.();
      }
    } finally {
      this.#setTimer();
    }
  }
}

class PendingDeadline implements HeapEntry, Deadline {
  readonly at: number;
  readonly order: number;
  index = -1;
  run: (() => void) | undefined;
  readonly #remove: (deadline: PendingDeadline) => void;

  constructor(at: number, order: number, run: () => void, remove: (deadline: PendingDeadline) => void) {
    this.at = at;
    this.order = order;
    this.run = run;
    this.#remove = remove;
  }

  get isPending(): boolean { return this.run !== undefined; }

  cancel(): void {
    if (!this.run) return;
    this.run = undefined;
    this.#remove(this);
  }
}
