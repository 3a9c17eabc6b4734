import { RotatingSweep } from './rotating-sweep.ts';

interface Bucket { tokens: number; at: number; until: number }

/** Tolerance for rounding errors, so that a token is available after `retryAfter` milliseconds. */
const EPSILON = 1e-6;

/** The rates of a memory store. */
export class SharedRates {
  readonly #buckets = new Map<string, Bucket>();
  readonly #now: () => number;
  readonly #sweep: RotatingSweep<string, Bucket>;

  constructor(now: () => number) {
    this.#now = now;
    // A bucket that is full again may be deleted: a new one is full, too.
    this.#sweep = new RotatingSweep(this.#buckets, ({ until }) => until <= now());
  }

  get size(): number { return this.#buckets.size; }

  take(
    key: string, { burst, per }: { burst: number; per: number }, count: number,
  ): { granted: number; retryAfter: number } {
    this.#sweep.step();
    const now = this.#now();
    const bucket = this.#buckets.get(key) ?? { tokens: burst, at: now, until: now };
    const tokens = Math.min(burst, bucket.tokens + (now - bucket.at) * (burst / per));
    const granted = Math.min(count, Math.floor(tokens + EPSILON));
    this.#buckets.set(key, { tokens: tokens - granted, at: now, until: now + per });
    return { granted, retryAfter: granted === count ? 0 : Math.ceil((1 - (tokens - granted)) * (per / burst)) };
  }

  clear(): void { this.#buckets.clear(); }
}
