/** The shortest duration that can be distinguished, in milliseconds. */
const MIN_DURATION = 0.001;
/** Buckets per doubling: the error of a value is at most 2 ** (1 / 32), which is 2.2 %. */
const PER_DOUBLING = 16;
/** From a microsecond to 2 ** 31 ms, the longest time of a timer in Node: 41 doublings. */
const BUCKETS = 41 * PER_DOUBLING;
const OFFSET = Math.log2(MIN_DURATION);

/** Counts of one step of the window. */
class Slot {
  count = 0;
  failed = 0;
  /** The highest lag in milliseconds, and the highest share of memory. */
  lag = 0;
  memory = 0;
  readonly buckets = new Uint32Array(BUCKETS);

  clear(): void {
    this.count = this.failed = this.lag = this.memory = 0;
    this.buckets.fill(0);
  }
}

/**
 * Durations, failures and peaks of the recent past, in slots that are dropped one by one. Recording has a constant
 * cost, and the memory is fixed: 2.6 KB for each slot.
 */
export class SlidingWindow {
  readonly #slots: readonly Slot[];
  #current: Slot;
  #index = 0;

  /** @param slots number of full slots, without the one that is being filled */
  constructor(slots: number) {
    this.#slots = Array.from({ length: slots + 1 }, () => new Slot());
    this.#current = this.#slots[0]!;
  }

  /** @param duration milliseconds */
  record(duration: number, failed: boolean): void {
    const slot = this.#current;
    slot.count++;
    if (failed) slot.failed++;
    slot.buckets[bucketOf(duration)]!++;
  }

  /** Keeps the highest values of the samples. */
  peak(lag: number, memory: number): void {
    const slot = this.#current;
    if (lag > slot.lag) slot.lag = lag;
    if (memory > slot.memory) slot.memory = memory;
  }

  /** Clears the oldest slot, and fills it from now on. */
  advance(): void {
    this.#index = (this.#index + 1) % this.#slots.length;
    this.#current = this.#slots[this.#index]!;
    this.#current.clear();
  }

  read(): WindowReading { return new WindowReading(this.#slots); }
}

/** The sum of a window's slots. */
class WindowReading {
  readonly count: number = 0;
  readonly failed: number = 0;
  /** The longest in milliseconds. */
  readonly lag: number = 0;
  /** The highest share. */
  readonly memory: number = 0;
  readonly #buckets = new Uint32Array(BUCKETS);

  constructor(slots: readonly Slot[]) {
    for (const { count, failed, lag, memory, buckets } of slots) {
      this.count += count;
      this.failed += failed;
      this.lag = Math.max(this.lag, lag);
      this.memory = Math.max(this.memory, memory);
      if (count > 0) for (let index = 0; index < BUCKETS; index++) this.#buckets[index]! += buckets[index]!;
    }
  }

  /** Failures per message; 0 without messages. */
  get errorRate(): number {
    return this.count === 0 ? 0 : this.failed / this.count;
  }

  /**
   * The duration that a share of all messages did not exceed, in milliseconds; 0 without messages.
   * @param share above 0, up to 1
   */
  quantile(share: number): number {
    let rank = Math.ceil(share * this.count);
    if (rank === 0) return 0;
    const index = this.#buckets.findIndex((count) => (rank -= count) <= 0);
    // The middle of the bucket, on the logarithmic scale of the buckets.
    return MIN_DURATION * 2 ** ((index + 0.5) / PER_DOUBLING);
  }
}

// Math.log2 takes 6 ns; a search over the bounds would take ten comparisons.
function bucketOf(duration: number): number {
  if (duration <= MIN_DURATION) return 0;
  return Math.min(BUCKETS - 1, Math.floor((Math.log2(duration) - OFFSET) * PER_DOUBLING));
}
