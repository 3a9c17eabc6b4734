/**
 * How much each member of a room may say: one number each, the time at which its budget will be whole again (the virtual
 * scheduling form of the generic cell rate algorithm, ITU-T I.371). It outlives leaving, or coming back would renew it.
 */
export class Meters {
  readonly #interval: number;
  readonly #ahead: number;
  readonly #wholeAt = new Map<string, number>();
  #sweepAt = 32;

  constructor(perMinute: number) {
    this.#interval = 60_000 / perMinute;
    this.#ahead = 60_000 - this.#interval;
  }

  /** Takes one. Returns 0, or the milliseconds after which there will be one. @param now milliseconds of a monotonic clock */
  take(member: string, now: number): number {
    const wholeAt = Math.max(this.#wholeAt.get(member) ?? 0, now);
    const wait = wholeAt - now - this.#ahead;
    // Sums of fractions are off by less than any clock tells apart.
    if (wait > 1e-6) return Math.ceil(wait);
    this.#wholeAt.set(member, wholeAt + this.#interval);
    if (this.#wholeAt.size >= this.#sweepAt) this.#sweep(now);
    return 0;
  }

  /** Forgets whose budget is whole. Once for each doubling, so that a message costs the same however many there are. */
  #sweep(now: number): void {
    for (const [member, at] of this.#wholeAt) if (at <= now) this.#wholeAt.delete(member);
    this.#sweepAt = Math.max(32, this.#wholeAt.size * 2);
  }
}
