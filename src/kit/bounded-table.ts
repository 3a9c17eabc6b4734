import { check, rules } from '../runtime/check.ts';

export interface BoundedTableOptions<V> {
  /** Entries in all. */
  readonly max: number;
  /** Entries of one owner. @default max */
  readonly maxPerOwner?: number | undefined;
  /** Whether an entry is over: its time has ended, or forgetting it loses nothing. @default none is */
  readonly isOver?: ((value: V) => boolean) | undefined;
}

/** Which bound refused an entry, and how high that bound is. */
export interface TableFull { readonly of: 'owner' | 'all'; readonly limit: number }

interface Entry<K, V> { readonly key: K; value: V; owner: string | undefined }

const COUNT = rules.integer(1, 2 ** 31 - 1);
const RULES = { max: COUNT, maxPerOwner: COUNT, isOver: rules.callback };

/** Entries that each new one looks at, to forget those that are over: two, so that the table can shrink. */
const STEPS = 2;
/** Entries that a new one looks at where the table is full. */
const STEPS_WHEN_FULL = 64;

/**
 * A map with a bound in all and a bound for each owner. When a bound is reached, the new entry is refused: no other
 * entry is evicted. What is over is forgotten in passing, a few entries for each new one, so that no call goes through
 * the whole table. With `actorKey(connection)` as the owner, no client can fill the table alone.
 *
 * @example
 * const isOver = ({ until }: Mute) => until <= performance.now();
 * const mutes = new BoundedTable<string, Mute>({ max: 100_000, maxPerOwner: 1_000, isOver });
 * const full = mutes.set(userId, mute, actorKey(connection));
 * if (full) throw new ModuleError('LIST_FULL', { ...full }, { message: `the list is full (${full.limit} entries)` });
 */
export class BoundedTable<K, V> implements Iterable<readonly [K, V]> {
  readonly #entries = new Map<K, Entry<K, V>>();
  readonly #owners = new Map<string, Set<K>>();
  readonly #full: Readonly<Record<TableFull['of'], TableFull>>;
  readonly #isOver: ((value: V) => boolean) | undefined;
  // Goes round and round. An iterator of a Map stays valid while entries come and go.
  #cursor = this.#entries.values();

  /** @throws OPTION_INVALID */
  constructor(options: BoundedTableOptions<V>) {
    const { max, maxPerOwner = max, isOver } = check<BoundedTableOptions<V>>(options, RULES, 'table');
    this.#full = {
      owner: Object.freeze({ of: 'owner', limit: maxPerOwner }),
      all: Object.freeze({ of: 'all', limit: max }),
    };
    this.#isOver = isOver;
  }

  /** How many entries there are, with those that are over and not yet forgotten. */
  get size(): number { return this.#entries.size; }

  /** The value of a key, unless it is over. */
  get(key: K): V | undefined { return this.#find(key)?.value; }

  /** The value of a key, also where it is over and not yet forgotten. */
  peek(key: K): V | undefined { return this.#entries.get(key)?.value; }

  has(key: K): boolean { return this.#find(key) !== undefined; }

  /**
   * Adds an entry, or replaces the one of the same key.
   * @param owner who pays for it, usually `actorKey(connection)`; without one it counts only in all
   * @returns `undefined` when it is in the table, else the bound that refused it
   */
  set(key: K, value: V, owner?: string): TableFull | undefined {
    const present = this.#entries.get(key);
    const isOwners = present !== undefined && present.owner === owner;
    if (!isOwners && owner !== undefined && this.#isOwnerFull(owner)) return this.#full.owner;
    if (!present && !this.#makeRoom()) return this.#full.all;
    if (isOwners) {
      present.value = value;
      return undefined;
    }
    if (present) this.#disown(present);
    if (owner !== undefined) this.#own(owner, key);
    if (present) Object.assign(present, { value, owner });
    else this.#entries.set(key, { key, value, owner });
    return undefined;
  }

  /** Deletes an entry. Returns whether there was one that was not over. */
  delete(key: K): boolean {
    const entry = this.#find(key);
    if (entry) this.#remove(entry);
    return entry !== undefined;
  }

  /** The keys of an owner, oldest first. */
  keysOf(owner: string): readonly K[] { return [...(this.#owners.get(owner) ?? [])].filter((key) => this.has(key)); }

  /** Deletes everything that an owner added. */
  deleteOwner(owner: string): void {
    for (const key of this.#owners.get(owner) ?? []) this.#entries.delete(key);
    this.#owners.delete(owner);
  }

  clear(): void {
    this.#entries.clear();
    this.#owners.clear();
  }

  /** The entries that are not over, oldest first. */
  * [Symbol.iterator](): Generator<readonly [K, V]> {
    for (const { key, value } of this.#entries.values()) if (!this.#isOver?.(value)) yield [key, value];
  }

  /** The entry of a key. One that is over is forgotten. */
  #find(key: K): Entry<K, V> | undefined {
    const entry = this.#entries.get(key);
    if (!entry || !this.#isOver?.(entry.value)) return entry;
    this.#remove(entry);
    return undefined;
  }

  #isOwnerFull(owner: string): boolean {
    const keys = this.#owners.get(owner);
    if (!keys || keys.size < this.#full.owner.limit) return false;
    // Only the owner's own entries are looked at, as many as one owner may have.
    for (const key of keys) this.#find(key);
    return keys.size >= this.#full.owner.limit;
  }

  #makeRoom(): boolean {
    this.#sweep(STEPS);
    if (this.size >= this.#full.all.limit) this.#sweep(STEPS_WHEN_FULL);
    return this.size < this.#full.all.limit;
  }

  #sweep(steps: number): void {
    const isOver = this.#isOver;
    if (!isOver) return;
    for (; steps > 0 && this.size > 0; steps--) {
      let next = this.#cursor.next();
      if (next.done) next = (this.#cursor = this.#entries.values()).next();
      if (!next.done && isOver(next.value.value)) this.#remove(next.value);
    }
  }

  #remove(entry: Entry<K, V>): void {
    this.#entries.delete(entry.key);
    this.#disown(entry);
  }

  #own(owner: string, key: K): void {
    const keys = this.#owners.get(owner);
    if (keys) keys.add(key);
    else this.#owners.set(owner, new Set([key]));
  }

  #disown({ key, owner }: Entry<K, V>): void {
    if (owner === undefined) return;
    const keys = this.#owners.get(owner);
    keys?.delete(key);
    if (keys?.size === 0) this.#owners.delete(owner);
  }
}
