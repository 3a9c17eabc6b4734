import { customerKey, ModuleError, type Connection } from '../../src/index.ts';

/** That somebody may not come in. */
export interface Ban {
  /** The id of the user who banned, or `server`. */
  readonly by: string;
  /** Milliseconds since the epoch. */
  readonly at: number;
  /** When it ends, in milliseconds since the epoch. Without it, never. */
  readonly until?: number;
  readonly reason?: string;
}

/** Where bans are kept, by `user:<id>` and `address:<address>`. Each of its methods may be asynchronous. */
export interface BanStore {
  /** Whether there is a ban that has not ended. */
  has(key: string): boolean | Promise<boolean>;
  /** Replaces a ban of the same key. */
  add(key: string, ban: Ban): void | Promise<void>;
  /** Whether there was one. */
  delete(key: string): boolean | Promise<boolean>;
}

export const userKey = (userId: string): string => `user:${userId}`;
/** An IPv6 address stands for its whole /64 network: whoever has one has all of it. */
export const addressKey = (address: string): string => `address:${customerKey(address)}`;
/** All that a connection can be banned by. Over a unix socket the address is unknown, and no ban is of it. */
export const keysOf = ({ ip, user }: Connection): string[] => [...(ip === '' ? [] : [addressKey(ip)]), ...(user ? [userKey(user.id)] : [])];

/** Bans in the memory of this process. When it is full it refuses another one, rather than forget one in silence. */
export class MemoryBans implements BanStore {
  readonly #bans = new Map<string, Ban>();
  readonly #limit: number;

  constructor(limit: number) { this.#limit = limit; }

  get size(): number { return this.#bans.size; }

  has(key: string): boolean {
    const ban = this.#bans.get(key);
    if (!ban || !isOver(ban)) return ban !== undefined;
    this.#bans.delete(key);
    return false;
  }

  /** @throws BANS_FULL */
  add(key: string, ban: Ban): void {
    if (this.#bans.size >= this.#limit && !this.#bans.has(key)) this.#sweep();
    this.#bans.set(key, ban);
  }

  delete(key: string): boolean { return this.has(key) && this.#bans.delete(key); }

  #sweep(): void {
    for (const [key, ban] of this.#bans) if (isOver(ban)) this.#bans.delete(key);
    if (this.#bans.size >= this.#limit) throw new ModuleError('BANS_FULL', { limit: this.#limit }, { message: `there are ${this.#limit} bans already; lift one first` });
  }
}

const isOver = ({ until = Infinity }: Ban): boolean => Date.now() >= until;
