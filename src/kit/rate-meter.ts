import { check, rules } from '../runtime/check.ts';

/** A rate: `count` tokens per `per` milliseconds on average, and `burst` tokens at once. */
export interface RateMeterOptions {
  readonly count: number;
  /** Milliseconds in which the bucket gets `count` tokens. */
  readonly per: number;
  /** Tokens in a full bucket, at least 1. @default count */
  readonly burst?: number | undefined;
}

const POSITIVE = rules.number(Number.MIN_VALUE, Number.MAX_VALUE);
const RULES = { count: POSITIVE, per: POSITIVE, burst: POSITIVE };

/**
 * Tolerance for rounding errors, in milliseconds. A thousand additions cause less, even after half a year, when times
 * are about 2 ** 34 and a double is exact to 2e-6.
 */
const TOLERANCE = 1e-3;

/**
 * A token bucket whose state is one number: the time at which the bucket is full again (the generic cell rate algorithm
 * of ITU-T I.371, as virtual scheduling). In any period `t`, at most `burst + t * count / per` tokens are taken. The
 * meter has no state and no timer: the caller keeps one number for each connection, user or address, and begins with 0,
 * a full bucket. Times are milliseconds of a monotonic clock.
 *
 * @example
 * const meter = new RateMeter({ count: 20, per: 1_000, burst: 40 });
 * const fullAt = new WeakMap<Connection, number>();
 * // in a layer or handler:
 * const now = performance.now();
 * const state = fullAt.get(connection) ?? 0;
 * const retryAfter = meter.wait(state, now);
 * if (retryAfter > 0) throw new ModuleError('RATE_LIMITED', { retryAfter, scope: 'connection' });
 * fullAt.set(connection, meter.charge(state, now));
 */
export class RateMeter {
  /** Milliseconds in which the bucket gets one token. */
  readonly interval: number;
  readonly burst: number;

  /** @throws OPTION_INVALID */
  constructor(rate: RateMeterOptions) {
    const { count, per, burst = count } = check(rate, RULES, 'rate');
    this.interval = per / count;
    this.burst = Math.max(1, burst);
  }

  /**
   * Milliseconds until `cost` tokens may be taken, rounded up to an integer; 0 if they may be taken now. A cost above
   * the burst needs a full bucket; the next cost waits until the bucket has the missing tokens, too.
   */
  wait(fullAt: number, now: number, cost = 1): number {
    const missing = fullAt - now - (this.burst - Math.min(cost, this.burst)) * this.interval;
    // Half of the tolerance remains, so that a retry after this time succeeds.
    return missing > TOLERANCE ? Math.ceil(missing - TOLERANCE / 2) : 0;
  }

  /** The state after taking `cost` tokens, even if there are too few. */
  charge(fullAt: number, now: number, cost = 1): number { return Math.max(fullAt, now) + cost * this.interval; }

  /** The state after giving back `cost` tokens. */
  refund(fullAt: number, cost = 1): number { return fullAt - cost * this.interval; }
}
