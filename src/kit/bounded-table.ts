import { check, rules } from '../runtime/check.ts';
import type { TableFull } from '../runtime/quota.ts';

export interface BoundedTableOptions<V> {
  /** Maximum number of entries. */
  readonly max: number;
  /** Maximum number of entries of one owner. @default max */
  readonly maxPerOwner?: number | undefined;
  /** Whether an entry has expired: it is no longer returned, and is deleted later. @default entries do not expire */
  readonly isExpired?: ((value: V) => boolean) | undefined;
  /** Whether an entry may be deleted when the table is full. @default isExpired */
  readonly isDisposable?: ((value: V) => boolean) | undefined;
}

const COUNT = rules.integer(1, 2 ** 31 - 1);
const RULES = { max: COUNT, maxPerOwner: COUNT, isExpired: rules.callback, isDisposable: rules.callback };

/** Entries that are checked for each new one, to delete expired ones. With two, the table can shrink. */
const STEPS = 2;
/** Entries that are checked for a new one when the table is full. */
const STEPS_WHEN_FULL = 64;

/**
 * A map with a limit for all entries and a limit per owner. At a limit, a new entry is refused; no other entry is
 * evicted. Expired entries are deleted step by step, a few for each new entry, so that no call goes through the whole
 * table. With `actorKey(connection)` as the owner, no client can fill the table alone.
 *
 * @example
 * const isExpired = ({ until }: Mute) => until <= performance.now();
 * const mutes = new BoundedTable<string, Mute>({ max: 100_000, maxPerOwner: 1_000, isExpired });
 * const full = mutes.set(userId, mute, actorKey(connection));
 * if (full) throw new ModuleError('LIST_FULL', { ...full }, { message: `the list is full (${full.limit} entries)` });
 */
export class BoundedTable<K, V> implements Iterable<readonly [K, V]> {
  readonly #entries = new Map<K, V>();
  readonly #ownerOf = new Map<K, string>();
  readonly #keysOf = new Map<string, Set<K>>();
  readonly #full: Readonly<Record<TableFull['of'], TableFull>>;
  readonly #isExpired: ((value: V) => boolean) | undefined;
  readonly #isDisposable: ((value: V) => boolean) | undefined;
  // Goes through the entries again and again. An iterator of a Map stays valid when entries are added or deleted.
  #cursor = this.#entries.entries();

  /** @throws OPTION_INVALID */
  constructor(options: BoundedTableOptions<V>) {
    const given = check<BoundedTableOptions<V>>(options, RULES, 'table');
    const { max, maxPerOwner = max, isExpired, isDisposable = isExpired } = given;
    this.#full = {
      owner: Object.freeze({ of: 'owner', limit: maxPerOwner }),
      all: Object.freeze({ of: 'all', limit: max }),
    };
    this.#isExpired = isExpired;
    this.#isDisposable = isDisposable;
  }

  /** The number of entries, including expired ones that are not deleted yet. */
  get size(): number { return this.#entries.size; }

  /** The value of a key, unless it has expired. */
  get(key: K): V | undefined { return this.has(key) ? this.#entries.get(key) : undefined; }

  /** The value of a key, even if it has expired and is not deleted yet. */
  peek(key: K): V | undefined { return this.#entries.get(key); }

  /** Whether the key has an entry that has not expired. */
  has(key: K): boolean {
    const value = this.#entries.get(key);
    if (value === undefined && !this.#entries.has(key)) return false;
    if (!this.#isExpired?.(value as V)) return true;
    this.#remove(key);
    return false;
  }

  /**
   * Adds an entry, or replaces the entry of the same key.
   *
   * @param owner counts the entry, usually `actorKey(connection)`; without an owner, only the limit for all applies
   * @returns `undefined` if the entry is in the table, else the limit that refused it
   */
  set(key: K, value: V, owner?: string): TableFull | undefined {
    const isPresent = this.#entries.has(key);
    const before = this.#ownerOf.get(key);
    const isNewOwner = owner !== before;
    if (isNewOwner && owner !== undefined && this.#isOwnerFull(owner)) return this.#full.owner;
    if (!isPresent && !this.#makeRoom()) return this.#full.all;
    this.#entries.set(key, value);
    if (isNewOwner) {
      this.#disown(key);
      if (owner !== undefined) this.#own(owner, key);
    }
    return undefined;
  }

  /** Deletes an entry. Returns whether there was one that had not expired. */
  delete(key: K): boolean {
    const isThere = this.has(key);
    if (isThere) this.#remove(key);
    return isThere;
  }

  /** The keys of an owner, oldest first. */
  keysOf(owner: string): readonly K[] { return [...(this.#keysOf.get(owner) ?? [])].filter((key) => this.has(key)); }

  /** Deletes all entries of an owner. */
  deleteOwner(owner: string): void {
    for (const key of this.#keysOf.get(owner) ?? []) this.#remove(key);
  }

  /** Checks the next few entries, and deletes the expired ones. Each new entry does so, too. */
  sweep(steps: number): void { if (this.#isExpired) this.#forget(steps, this.#isExpired); }

  clear(): void {
    this.#entries.clear();
    this.#ownerOf.clear();
    this.#keysOf.clear();
  }

  /** The entries that have not expired, oldest first. */
  * [Symbol.iterator](): Generator<readonly [K, V]> {
    for (const entry of this.#entries) if (!this.#isExpired?.(entry[1])) yield entry;
  }

  #forget(steps: number, isExpired: (value: V) => boolean): void {
    for (; steps > 0 && this.size > 0; steps--) {
      let next = this.#cursor.next();
      if (next.done) next = (this.#cursor = this.#entries.entries()).next();
      if (!next.done && isExpired(next.value[1])) this.#remove(next.value[0]);
    }
  }

  #isOwnerFull(owner: string): boolean {
    const keys = this.#keysOf.get(owner);
    if (!keys || keys.size < this.#full.owner.limit) return false;
    // has() deletes expired entries. Only those of the owner are checked, at most maxPerOwner.
    for (const key of keys) this.has(key);
    return keys.size >= this.#full.owner.limit;
  }

  #makeRoom(): boolean {
    this.sweep(STEPS);
    if (this.size >= this.#full.all.limit && this.#isDisposable) this.#forget(STEPS_WHEN_FULL, this.#isDisposable);
    return this.size < this.#full.all.limit;
  }

  #remove(key: K): void {
    this.#entries.delete(key);
    this.#disown(key);
  }

  #own(owner: string, key: K): void {
    this.#ownerOf.set(key, owner);
    const keys = this.#keysOf.get(owner);
    if (keys) keys.add(key);
    else this.#keysOf.set(owner, new Set([key]));
  }

  #disown(key: K): void {
    const owner = this.#ownerOf.get(key);
    if (owner === undefined) return;
    this.#ownerOf.delete(key);
    const keys = this.#keysOf.get(owner);
    keys?.delete(key);
    if (keys?.size === 0) this.#keysOf.delete(owner);
  }
}
