import { ModuleError, type Connection } from '../../src/index.ts';

/**
 * So many a minute of each connection, and as many at once after a pause. A bucket is one number, the time at which it will be
 * full again (the generic cell rate algorithm, ITU-T I.371). Leaving and coming back does not fill it.
 */
export class Meter {
  readonly #interval: number;
  readonly #ahead: number;
  readonly #fullAt = new WeakMap<Connection, number>();

  constructor(perMinute: number) {
    this.#interval = 60_000 / perMinute;
    this.#ahead = 60_000 - this.#interval;
  }

  /** Takes one. @throws RATE_LIMITED with `retryAfter`, in milliseconds */
  take(connection: Connection, scope: string): void {
    const now = performance.now();
    const fullAt = Math.max(this.#fullAt.get(connection) ?? now, now);
    // Rounded, because the sum of fractions may be off by one of its last digits.
    const wait = Math.ceil(Math.round((fullAt - now - this.#ahead) * 1_000) / 1_000);
    if (wait > 0) throw new ModuleError('RATE_LIMITED', { retryAfter: wait, scope });
    this.#fullAt.set(connection, fullAt + this.#interval);
  }
}
