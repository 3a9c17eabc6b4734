/** setTimeout takes 31 bits; beyond, it fires at once. */
const LONGEST = 2 ** 31 - 1;

/** Work that is due at a time. `cancel()` may be called at any time, also after it ran. */
export class Deadline {
  readonly at: number;
  run: (() => void) | undefined;
  readonly #clock: Clock;

  constructor(at: number, run: () => void, clock: Clock) {
    this.at = at;
    this.run = run;
    this.#clock = clock;
  }

  cancel(): void {
    if (!this.run) return;
    this.run = undefined;
    this.#clock.cancelled();
  }
}

/** Any number of deadlines on one timer: a binary heap on the monotonic clock. It does not keep the process alive. */
export class Clock {
  #heap: Deadline[] = [];
  #cancelled = 0;
  #timer: NodeJS.Timeout | undefined;
  #wakesAt = Infinity;

  /** How many deadlines are pending. */
  get size(): number {
    return this.#heap.length - this.#cancelled;
  }

  /** @param delay milliseconds, of any length */
  after(delay: number, run: () => void): Deadline {
    const deadline = new Deadline(performance.now() + delay, run, this);
    this.#push(deadline);
    if (deadline.at < this.#wakesAt) this.#sleep();
    return deadline;
  }

  /** Called by a deadline. Cancelled ones are swept out when they are the larger half, so that a long one cancelled early leaves nothing. */
  cancelled(): void {
    if (++this.#cancelled * 2 <= this.#heap.length) return;
    const live = this.#heap.filter((deadline) => deadline.run);
    this.#heap = [];
    this.#cancelled = 0;
    for (const deadline of live) this.#push(deadline);
    if (live.length === 0) this.stop();
  }

  stop(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    this.#wakesAt = Infinity;
    this.#heap = [];
    this.#cancelled = 0;
  }

  #sleep(): void {
    clearTimeout(this.#timer);
    const next = this.#heap[0];
    this.#wakesAt = next ? next.at : Infinity;
    if (!next) return;
    this.#timer = setTimeout(() => this.#wake(), Math.min(LONGEST, Math.max(1, Math.ceil(next.at - performance.now()))));
    this.#timer.unref();
  }

  #wake(): void {
    const now = performance.now();
    try {
      for (let next = this.#heap[0]; next && (!next.run || next.at <= now); next = this.#heap[0]) {
        this.#pop();
        const { run } = next;
        if (!run) this.#cancelled--;
        next.run = undefined;
        run?.();
      }
    } finally {
      this.#sleep();
    }
  }

  #push(deadline: Deadline): void {
    const heap = this.#heap;
    let index = heap.push(deadline) - 1;
    while (index > 0) {
      const parent = (index - 1) >> 1;
      if (heap[parent]!.at <= deadline.at) break;
      heap[index] = heap[parent]!;
      index = parent;
    }
    heap[index] = deadline;
  }

  #pop(): void {
    const heap = this.#heap;
    const last = heap.pop()!;
    if (heap.length === 0) return;
    let index = 0;
    for (let child = 1; child < heap.length; child = 2 * index + 1) {
      if (child + 1 < heap.length && heap[child + 1]!.at < heap[child]!.at) child++;
      if (last.at <= heap[child]!.at) break;
      heap[index] = heap[child]!;
      index = child;
    }
    heap[index] = last;
  }
}
