import { isIP } from 'node:net';
import { BoundedTable, customerKey, ModuleError, type Connection } from '../../src/index.ts';
import './admin-errors.ts';

/** A ban of a user or an address. */
export interface Ban {
  /** The id of the user who banned, or `server`. */
  readonly by: string;
  /** Milliseconds since the epoch. */
  readonly at: number;
  /** When it ends, in milliseconds since the epoch. Without it, the ban never ends. */
  readonly until?: number | undefined;
  readonly reason?: string | undefined;
}

/** Stores bans by `user:<id>` and `address:<address>`. Each method may be asynchronous. */
export interface BanStore {
  /** Whether there is a ban that has not ended. */
  has(key: string): boolean | Promise<boolean>;
  /**
   * Replaces a ban of the same key.
   * @param actor identifies the administrator, to limit the bans of each one; undefined for the application
   */
  add(key: string, ban: Ban, actor?: string): void | Promise<void>;
  /** Returns whether there was a ban. */
  delete(key: string): boolean | Promise<boolean>;
}

export const userKey = (userId: string): string => `user:${userId}`;

/** The key of an address; of an IPv6 address, the key of its /64 network. Undefined for an unknown address. */
export const addressKey = (address: string): string | undefined =>
  (isIP(address) === 0 ? undefined : `address:${customerKey(address)}`);

/** The keys by which a connection can be banned. */
export function keysOf({ ip, user }: Connection): string[] {
  const address = addressKey(ip);
  return [...(address === undefined ? [] : [address]), ...(user ? [userKey(user.id)] : [])];
}

/**
 * Bans in the memory of this process. They expire by the monotonic clock, so that changes of the system time have no
 * effect. When a limit is reached, the new ban is refused; no ban is dropped before it ends.
 */
export class MemoryBans implements BanStore {
  /** When each ban ends, in milliseconds of the monotonic clock. */
  readonly #bans: BoundedTable<string, number>;

  constructor(max: number, maxPerActor: number = max) {
    const isExpired = (endsAt: number): boolean => endsAt <= performance.now();
    this.#bans = new BoundedTable({ max, maxPerOwner: Math.min(max, maxPerActor), isExpired });
  }

  get size(): number { return this.#bans.size; }

  has(key: string): boolean { return this.#bans.has(key); }

  /** The bans that have not ended, with the milliseconds until they end. */
  all(): { readonly key: string; readonly endsIn?: number | undefined }[] {
    const now = performance.now();
    return [...this.#bans].filter(([, endsAt]) => endsAt > now).map(([key, endsAt]) =>
      (endsAt === Infinity ? { key } : { key, endsIn: Math.ceil(endsAt - now) }));
  }

  /** @throws BANS_FULL */
  add(key: string, { until = Infinity }: Ban, actor?: string): void {
    const endsAt = performance.now() + until - Date.now();
    let full = this.#bans.set(key, endsAt, actor);
    if (full?.of === 'all') {
      // This is rare, so it removes all expired bans, not only a few.
      this.#bans.sweep(this.#bans.size);
      full = this.#bans.set(key, endsAt, actor);
    }
    // To replace a ban of another actor is allowed: the number of bans stays the same.
    if (full && this.#bans.has(key)) full = this.#bans.set(key, endsAt);
    if (full) throw new ModuleError('BANS_FULL', { ...full });
  }

  delete(key: string): boolean { return this.#bans.delete(key); }
}
