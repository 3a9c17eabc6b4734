import { BoundedTable } from './bounded-table.ts';
import type { RateMeter } from './rate-meter.ts';

/**
 * Milliseconds for which a full bucket is kept, so that an actor who rarely takes a token needs no new entry each time.
 */
const IDLE = 10_000;

/**
 * The token buckets of many actors at one rate. A bucket that has been full for a while is deleted: a new one is full,
 * too. While `max` buckets are not full, new actors must wait. Times are milliseconds of a monotonic clock.
 *
 * @example
 * const table = new RateTable(new RateMeter({ count: 30, per: 60_000 }), 100_000);
 * const retryAfter = table.take(memberId(connection), performance.now());
 * if (retryAfter > 0) throw new ModuleError('RATE_LIMITED', { retryAfter, scope: 'room' });
 */
export class RateTable<K = string> {
  readonly #meter: RateMeter;
  readonly #fullAt: BoundedTable<K, number>;
  #now = 0;

  /** @param max maximum number of buckets @throws OPTION_INVALID */
  constructor(meter: RateMeter, max: number) {
    this.#meter = meter;
    this.#fullAt = new BoundedTable({
      max,
      isExpired: (fullAt) => fullAt + IDLE <= this.#now,
      isDisposable: (fullAt) => fullAt <= this.#now,
    });
  }

  /** The number of buckets. */
  get size(): number { return this.#fullAt.size; }

  /**
   * Takes `cost` tokens from an actor's bucket.
   * @returns 0 if they were taken, else the milliseconds to wait; then nothing was taken
   */
  take(actor: K, now: number, cost = 1): number {
    this.#now = now;
    const fullAt = this.#fullAt.peek(actor) ?? 0;
    const wait = this.#meter.wait(fullAt, now, cost);
    if (wait > 0) return wait;
    const full = this.#fullAt.set(actor, this.#meter.charge(fullAt, now, cost));
    return full ? Math.ceil(this.#meter.interval) : 0;
  }
}
