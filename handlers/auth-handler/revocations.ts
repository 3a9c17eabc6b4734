import type { User } from '../../src/index.ts';
import { issuedAt } from './claimed-user.ts';

/** A revocation as it is sent to other nodes. */
export interface SharedRevocation {
  /** The id of a user, or the `jti` of a token. */
  readonly id: string;
  /** Tokens issued up to this second since the epoch are refused. */
  readonly until: number;
}

interface Revocation {
  /** Tokens issued up to this second since the epoch are refused. */
  readonly until: number;
  /** When it was revoked, in milliseconds of the monotonic clock. */
  readonly at: number;
}

/**
 * Revoked users and tokens, by user id or `jti`. Each is kept for the longest known life of a token, by a monotonic
 * clock. The number is limited; none is dropped to make room for another.
 */
export class Revocations {
  // In the order in which they were revoked: the first one is the first to expire.
  readonly #table = new Map<string, Revocation>();
  readonly #max: number;
  #longestLife: number;

  constructor(max: number, tokenLife: number) {
    this.#max = max;
    this.#longestLife = tokenLife;
  }

  get size(): number {
    this.#expire();
    return this.#table.size;
  }

  /** Updates the longest life of a token. @param tolerance milliseconds that a token is accepted after its `exp` */
  saw(user: User, tolerance: number): void {
    const { exp } = user;
    const issued = issuedAt(user) ?? Date.now() / 1_000;
    const life = typeof exp === 'number' ? (exp - issued) * 1_000 + tolerance : Infinity;
    if (life > this.#longestLife) this.#longestLife = life;
  }

  /**
   * @param tokens the users by the tokens in use, whose `iat` may be ahead of our clock
   * @param least tokens issued up to this second are refused in any case, as another node said
   * @returns `false` where the table is full, and nothing was added
   */
  add(id: string, tokens: Iterable<User>, least?: number): boolean {
    const before = this.#find(id);
    this.#expire();
    if (!before && this.#table.size >= this.#max) return false;
    // The later of two clocks: where the date was put back, the tokens of the time between must be refused, too.
    let until = least ?? Math.max(Date.now(), performance.timeOrigin + performance.now()) / 1_000;
    until = Math.max(until, before?.until ?? 0);
    for (const user of tokens) until = Math.max(until, issuedAt(user) ?? 0);
    this.#table.delete(id);
    this.#table.set(id, { until: Math.floor(until), at: performance.now() });
    return true;
  }

  /** Everything that is remembered, for a node that has just started. */
  all(): SharedRevocation[] {
    this.#expire();
    return [...this.#table].map(([id, { until }]) => ({ id, until }));
  }

  find(id: string): SharedRevocation | undefined {
    const found = this.#find(id);
    return found && { id, until: found.until };
  }

  /**
   * Whether a token is revoked. A token that is newer than the revocation of its user is accepted; a revoked `jti` is
   * not.
   */
  has(user: User): boolean {
    const { id, jti } = user;
    if (typeof jti === 'string' && this.#find(jti)) return true;
    const revoked = this.#find(id);
    return revoked !== undefined && (issuedAt(user) ?? 0) <= revoked.until;
  }

  #find(id: string): Revocation | undefined {
    const revoked = this.#table.get(id);
    return revoked && performance.now() - revoked.at <= this.#longestLife ? revoked : undefined;
  }

  #expire(): void {
    for (const id of this.#table.keys()) {
      if (this.#find(id)) return;
      this.#table.delete(id);
    }
  }
}
