import { check, rules } from '../runtime/check.ts';

/** A rate: `count` tokens in `per` milliseconds in the long run, and `burst` tokens at once. */
export interface RateMeterOptions {
  readonly count: number;
  /** Milliseconds in which `count` tokens are regained. */
  readonly per: number;
  /** Tokens that a full bucket holds, at least 1. @default count */
  readonly burst?: number | undefined;
}

const POSITIVE = rules.number(Number.MIN_VALUE, Number.MAX_VALUE);
const RULES = { count: POSITIVE, per: POSITIVE, burst: POSITIVE };

/**
 * Slack for sums of fractions, in milliseconds. A thousand sums are off by less, also after half a year: the numbers
 * are then 2 ** 34, where a double tells 2e-6 apart.
 */
const SLACK = 1e-3;

/**
 * A token bucket whose state is one number: the time at which the bucket will be full again (the generic cell rate
 * algorithm, ITU-T I.371, in its virtual scheduling form). In any time `t`, no more than `burst + t * count / per`
 * tokens are taken. The meter holds no state and no timer: the caller keeps one number for each connection, user or
 * address, and begins with 0, a full bucket. Times are milliseconds of a monotonic clock.
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
  /** Milliseconds in which one token is regained. */
  readonly interval: number;
  readonly burst: number;

  /** @throws OPTION_INVALID */
  constructor(rate: RateMeterOptions) {
    const { count, per, burst = count } = check(rate, RULES, 'rate');
    this.interval = per / count;
    this.burst = Math.max(1, burst);
  }

  /**
   * Milliseconds until `cost` tokens may be taken, rounded up to a whole number; 0: they may be taken now. A cost above
   * the burst may be taken from a full bucket, and the debt is paid off before the next one.
   */
  wait(fullAt: number, now: number, cost = 1): number {
    const missing = fullAt - now - (this.burst - Math.min(cost, this.burst)) * this.interval;
    // Half of the slack is kept, so that what is tried again after this time passes.
    return missing > SLACK ? Math.ceil(missing - SLACK / 2) : 0;
  }

  /** The state after `cost` tokens were taken, also where there are too few. */
  charge(fullAt: number, now: number, cost = 1): number { return Math.max(fullAt, now) + cost * this.interval; }

  /** The state as if `cost` tokens had not been taken. */
  refund(fullAt: number, cost = 1): number { return fullAt - cost * this.interval; }
}
