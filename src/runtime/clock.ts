import { DeadlineHeap, type HeapEntry } from './deadline-heap.ts';

/**
 * A long sleep is taken in steps of these milliseconds. Node keeps a list for every duration it has been asked for, and
 * drops the list of an unreferenced timer only when its time is over: with whatever remains as the duration, there
 * would be a list for every deadline. And setTimeout takes no more than 31 bits.
 */
const STEPS = [3_600_000, 60_000, 1_000, 100, 10];

/** Work that is due at a time. `cancel()` may be called at any time, also after the work ran. */
export interface Deadline { readonly isPending: boolean; cancel(): void }

/**
 * Runs any number of deadlines on one timer and the monotonic clock, in the order of their times, and those of equal
 * times in the order of their addition. It does not keep the process alive. With a million pending deadlines, `after()`
 * and `cancel()` take less than 1 µs together.
 */
export class Clock {
  readonly #heap = new DeadlineHeap<Entry>();
  #added = 0;
  #timer: NodeJS.Timeout | undefined;
  /** Takes a deadline out, at once: one that is cancelled early is not kept until its time. */
  readonly #drop = (entry: Entry): void => {
    this.#heap.remove(entry);
    // Where others remain, the timer may come early for them; it then sets itself again.
    if (this.#heap.size === 0) clearTimeout(this.#timer);
  };

  /** How many deadlines are pending. */
  get size(): number { return this.#heap.size; }

  /** @param delay milliseconds, of any length */
  after(delay: number, run: () => void): Deadline {
    const entry = new Entry(performance.now() + delay, this.#added++, run, this.#drop);
    this.#heap.add(entry);
    if (entry.index === 0) this.#sleep();
    return entry;
  }

  /** Resolves to what the work gives; when the work takes longer than the delay, to what `late` returns or throws. */
  async within<T>(delay: number, work: Promise<T>, late: () => T): Promise<T> {
    let deadline: Deadline | undefined;
    const expiry = new Promise<void>((resolve) => (deadline = this.after(delay, resolve))).then(late);
    return Promise.race([work, expiry]).finally(() => deadline?.cancel());
  }

  stop(): void {
    for (const entry of this.#heap.clear()) entry.run = undefined;
    this.#sleep();
  }

  #sleep(): void {
    clearTimeout(this.#timer);
    const next = this.#heap.first;
    if (!next) return;
    const remaining = Math.max(1, Math.ceil(next.at - performance.now()));
    this.#timer = setTimeout(() => this.#wake(), STEPS.find((step) => step <= remaining) ?? remaining).unref();
  }

  #wake(): void {
    const now = performance.now();
    try {
      for (let next = this.#heap.first; next && next.at <= now; next = this.#heap.first) {
        const { run } = next;
        this.#heap.remove(next);
        next.run = undefined;
        run?.();
      }
    } finally {
      this.#sleep();
    }
  }
}

class Entry implements HeapEntry, Deadline {
  readonly at: number;
  readonly order: number;
  index = -1;
  run: (() => void) | undefined;
  readonly #drop: (entry: Entry) => void;

  constructor(at: number, order: number, run: () => void, drop: (entry: Entry) => void) {
    this.at = at;
    this.order = order;
    this.run = run;
    this.#drop = drop;
  }

  get isPending(): boolean { return this.run !== undefined; }

  cancel(): void {
    if (!this.run) return;
    this.run = undefined;
    this.#drop(this);
  }
}
