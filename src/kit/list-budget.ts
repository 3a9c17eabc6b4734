import type { Connection } from '../contracts.ts';
import { ModuleError } from '../errors.ts';
import { RateMeter } from './rate-meter.ts';
import './shared-errors.ts';

/** Lists of the maximum length that one connection may get: per second on average, and at once. */
const PER_SECOND = 5;
const AT_ONCE = 10;

/**
 * A budget for answers that list many items, for each connection. A message of 33 bytes may be answered with 1,000
 * items in 230 KB, so limits on what clients send do not bound it. Each item takes one token: short lists cost little.
 *
 * @example
 * const lists = new ListBudget(1_000);
 * lists.charge(connection, items.length); // RATE_LIMITED beyond 5,000 items in a second
 */
export class ListBudget {
  readonly #meter: RateMeter;
  // A WeakMap, so that closing a connection frees its entry.
  readonly #fullAt = new WeakMap<Connection, number>();

  /** @param longest items of the longest list */
  constructor(longest: number) {
    this.#meter = new RateMeter({ count: PER_SECOND * longest, per: 1_000, burst: AT_ONCE * longest });
  }

  /** @throws RATE_LIMITED */
  charge(connection: Connection, items: number): void {
    const now = performance.now();
    const cost = Math.max(1, items);
    const fullAt = this.#fullAt.get(connection) ?? 0;
    const retryAfter = this.#meter.wait(fullAt, now, cost);
    if (retryAfter > 0) throw new ModuleError('RATE_LIMITED', { retryAfter, scope: 'list' });
    this.#fullAt.set(connection, this.#meter.charge(fullAt, now, cost));
  }
}
