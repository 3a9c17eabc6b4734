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
 * Revoked users and tokens, by user id or `jti`. Each is kept for the longest known lifetime of a token, by a monotonic
 * clock. At the limit, a new one is refused; none is dropped before it expires.
 */
export class Revocations {
  // In the order in which they were revoked: the first one is the first to expire.
  readonly #table = new Map<string, Revocation>();
  readonly #max: number;
  #longestLifetime: number;

  constructor(max: number, tokenLifetime: number) {
    this.#max = max;
    this.#longestLifetime = tokenLifetime;
  }

  get size(): number {
    this.#expire();
    return this.#table.size;
  }

  /**
   * Updates the longest known lifetime with that of a token.
   * @param tolerance milliseconds for which a token is accepted after its `exp`
   */
  updateLifetime(user: User, tolerance: number): void {
    const { exp } = user;
    const issued = issuedAt(user) ?? Date.now() / 1_000;
    const lifetime = typeof exp === 'number' ? (exp - issued) * 1_000 + tolerance : Infinity;
    if (lifetime > this.#longestLifetime) this.#longestLifetime = lifetime;
  }

  /**
   * @param tokens the users as their tokens in use describe them; the `iat` of a token may be ahead of this clock
   * @param minUntil the `until` of another node's revocation: tokens issued up to this second are refused in any case
   * @returns `false` if the table is full; nothing was added then
   */
  add(id: string, tokens: Iterable<User>, minUntil?: number): boolean {
    const before = this.#find(id);
    this.#expire();
    if (!before && this.#table.size >= this.#max) return false;
    // The later of two clocks: if the system time was set back, tokens issued before that must be refused, too.
    let until = minUntil ?? Math.max(Date.now(), performance.timeOrigin + performance.now()) / 1_000;
    until = Math.max(until, before?.until ?? 0);
    for (const user of tokens) until = Math.max(until, issuedAt(user) ?? 0);
    this.#table.delete(id);
    this.#table.set(id, { until: Math.floor(until), at: performance.now() });
    return true;
  }

  /** All revocations, for a node that has just started. */
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
    return revoked && performance.now() - revoked.at <= this.#longestLifetime ? revoked : undefined;
  }

  #expire(): void {
    for (const id of this.#table.keys()) {
      if (this.#find(id)) return;
      this.#table.delete(id);
    }
  }
}
