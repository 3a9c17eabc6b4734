/**
 * A long sleep is taken in steps of these milliseconds. Node keeps a list for every duration it has been asked for, and lets go of an
 * unreferenced one only when its time is over: with whatever remains as the duration, there would be a list for every deadline. And
 * setTimeout takes no more than 31 bits.
 */
const STEPS = [3_600_000, 60_000, 1_000, 100, 10];

/** Work that is due at a time. `cancel()` may be called at any time, also after it ran. */
export interface Deadline { readonly isPending: boolean; cancel(): void }
interface Entry { readonly at: number; run: (() => void) | undefined }

/** Any number of deadlines on one timer and the monotonic clock, kept in order. It does not keep the process alive. */
export class Clock {
  #entries: Entry[] = [];
  #cancelled = 0;
  #timer: NodeJS.Timeout | undefined;

  /** How many deadlines are pending. */
  get size(): number { return this.#entries.length - this.#cancelled; }

  /** @param delay milliseconds, of any length */
  after(delay: number, run: () => void): Deadline {
    const entry: Entry = { at: performance.now() + delay, run };
    const entries = this.#entries;
    // Most deadlines are as long as those before them, and go to the end; the others find their place by halving.
    let [low, high] = entries.length > 0 && entries.at(-1)!.at > entry.at ? [0, entries.length] : [entries.length, entries.length];
    while (low < high) {
      const middle = (low + high) >> 1;
      if (entries[middle]!.at <= entry.at) low = middle + 1;
      else high = middle;
    }
    entries.splice(low, 0, entry);
    if (low === 0) this.#sleep();
    return { get isPending() { return entry.run !== undefined; }, cancel: () => this.#cancel(entry) };
  }

  /** What the work gives; when it takes longer than the delay, what `late` gives or throws. */
  async within<T>(delay: number, work: Promise<T>, late: () => T): Promise<T> {
    let deadline: Deadline | undefined;
    const expiry = new Promise<void>((resolve) => (deadline = this.after(delay, resolve))).then(late);
    return Promise.race([work, expiry]).finally(() => deadline?.cancel());
  }

  stop(): void {
    for (const entry of this.#entries) entry.run = undefined;
    this.#entries = [];
    this.#cancelled = 0;
    this.#sleep();
  }

  // Cancelled entries are swept out when they are the larger half, so that a long one cancelled early leaves nothing.
  #cancel(entry: Entry): void {
    if (!entry.run) return;
    entry.run = undefined;
    if (++this.#cancelled * 2 <= this.#entries.length) return;
    this.#entries = this.#entries.filter(({ run }) => run);
    this.#cancelled = 0;
    this.#sleep();
  }

  #sleep(): void {
    clearTimeout(this.#timer);
    const next = this.#entries[0];
    if (!next) return;
    const remaining = Math.max(1, Math.ceil(next.at - performance.now()));
    this.#timer = setTimeout(() => this.#wake(), STEPS.find((step) => step <= remaining) ?? remaining).unref();
  }

  #wake(): void {
    const now = performance.now();
    try {
      for (let next = this.#entries[0]; next && next.at <= now; next = this.#entries[0]) {
        this.#entries.shift();
        const { run } = next;
        if (!run) this.#cancelled--;
        next.run = undefined;
        run?.();
      }
    } finally {
      this.#sleep();
    }
  }
}
