import type { HistogramValue } from '../../src/index.ts';

/** Counts values since the start, by fixed upper bounds. */
export class Histogram {
  readonly #bounds: readonly number[];
  readonly #counts: Float64Array;
  #sum = 0;

  /** @param bounds ascending */
  constructor(bounds: readonly number[]) {
    this.#bounds = bounds;
    this.#counts = new Float64Array(bounds.length + 1);
  }

  record(value: number): void {
    const bounds = this.#bounds;
    let index = 0;
    // From below: most messages are in the first bucket.
    while (index < bounds.length && value > bounds[index]!) index++;
    this.#counts[index]!++;
    this.#sum += value;
  }

  get value(): HistogramValue {
    let count = 0;
    const buckets = this.#bounds.map((bound, index) => [bound, (count += this.#counts[index]!)] as const);
    return { buckets, sum: this.#sum, count: count + this.#counts[this.#bounds.length]! };
  }
}
