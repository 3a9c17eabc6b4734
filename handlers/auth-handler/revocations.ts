import type { User } from '../../src/index.ts';

interface Revocation {
  /** The last second, since the epoch, in which a token may have been issued to be refused. */
  readonly until: number;
  /** When it was revoked, in milliseconds of the monotonic clock. */
  readonly at: number;
}

/**
 * Users and tokens that are refused, by user id or `jti`. Each is remembered as long as a token may live that was issued
 * before: for the longest life known, by a clock that no change of the date moves. The number is bounded.
 */
export class Revocations {
  // In the order in which they were revoked, so that the first one is the first to expire.
  readonly #table = new Map<string, Revocation>();
  readonly #most: number;
  #longest: number;

  constructor(most: number, tokenLife: number) {
    this.#most = most;
    this.#longest = tokenLife;
  }

  get size(): number {
    this.#expire();
    return this.#table.size;
  }

  /** Learns how long tokens live. @param tolerance milliseconds beyond their `exp` */
  saw({ exp, iat }: User, tolerance: number): void {
    const issued = typeof iat === 'number' ? iat : Date.now() / 1_000;
    const life = typeof exp === 'number' ? (exp - issued) * 1_000 + tolerance : Infinity;
    if (life > this.#longest) this.#longest = life;
  }

  /**
   * @param tokens the users as the tokens in use say, whose `iat` may be ahead of our clock
   * @returns whether an older one had to be forgotten
   */
  add(id: string, tokens: readonly User[]): boolean {
    // The later of two clocks: where the date was put back, the tokens of the time between must be refused too.
    const now = Math.max(Date.now(), performance.timeOrigin + performance.now()) / 1_000;
    const issued = tokens.map(({ iat }) => (typeof iat === 'number' ? iat : 0));
    const before = this.#table.get(id)?.until ?? 0;
    this.#expire();
    this.#table.delete(id);
    this.#table.set(id, { until: Math.floor(Math.max(now, before, ...issued)), at: performance.now() });
    if (this.#table.size <= this.#most) return false;
    this.#table.delete(this.#table.keys().next().value!);
    return true;
  }

  /** Whether a token is refused. A user whose token is newer than the revocation is back; a token that was revoked itself never is. */
  has({ id, iat, jti }: User): boolean {
    if (typeof jti === 'string' && this.#find(jti)) return true;
    const revoked = this.#find(id);
    return revoked !== undefined && !(typeof iat === 'number' && iat > revoked.until);
  }

  #find(id: string): Revocation | undefined {
    const revoked = this.#table.get(id);
    return revoked && performance.now() - revoked.at <= this.#longest ? revoked : undefined;
  }

  #expire(): void {
    for (const id of this.#table.keys()) {
      if (this.#find(id)) return;
      this.#table.delete(id);
    }
  }
}
