import { createHash } from 'node:crypto';
import {
  entrySize, isEntryLost, journalPage, newId, type JournalPage, type JournalRange, type Position,
} from '../../src/index.ts';

export type Key = readonly (string | number)[];

/** What the journal needs of a database. */
export interface LmdbDatabase {
  get(key: Key): unknown;
  put(key: Key, value: unknown): unknown;
  remove(key: Key): unknown;
  getKeys(range: { readonly start: Key; readonly end: Key; readonly limit?: number | undefined }): Iterable<Key>;
  /** Runs work alone of all processes, and commits what it wrote. If it throws, nothing is written. */
  transactionSync<T>(work: () => T, flags: number): T;
  /** Calls back when all that was committed is on the disk. */
  sync(callback: (error?: Error) => void): void;
  /** Later reads see what other processes have written. */
  resetReadTxn(): void;
  close(): Promise<void>;
}

/** Epoch, top offset, id, first offset, bytes, keys from, keys to. A list takes less space than an object. */
type Head = readonly [string, number, string, number, number, number, number];
type Entry = readonly [id: string, value: string, until: number];
type UsedKey = readonly [offset: number, id: string, until: number];

/** Names have any length, and keys of LMDB do not. */
const digest = (name: string): string => createHash('sha256').update(name).digest('base64');

/**
 * LmdbTopic is the history of one topic in a database. Each instance is used within one transaction, or for one read.
 *
 * Keys of the database: `t` topics, `e` entries by offset, `k` idempotency keys, `o` their order.
 */
export class LmdbTopic {
  readonly #db: LmdbDatabase;
  readonly #name: string;
  readonly isNew: boolean;
  #epoch: string;
  #offset: number;
  #id: string;
  /** The offset of the first entry. Without entries, the offset after the top. */
  #first: number;
  #bytes: number;
  /** The numbers of the keys: the oldest one, and the next one. */
  #keysFrom: number;
  #keysTo: number;

  /** @param name the digest of the topic's name */
  constructor(db: LmdbDatabase, name: string) {
    this.#db = db;
    this.#name = name;
    const head = db.get(['t', name]) as Head | undefined;
    this.isNew = head === undefined;
    [
      this.#epoch, this.#offset, this.#id, this.#first, this.#bytes, this.#keysFrom, this.#keysTo,
    ] = head ?? [newId(), 0, '', 1, 0, 0, 0];
  }

  static of(db: LmdbDatabase, topic: string): LmdbTopic { return new LmdbTopic(db, digest(topic)); }

  get top(): Position { return { epoch: this.#epoch, offset: this.#offset, id: this.#id }; }

  get bytes(): number { return this.#bytes; }

  get length(): number { return this.#offset - this.#first + 1; }

  get isEmpty(): boolean { return this.length === 0 && this.#keysFrom === this.#keysTo; }

  /** Whether an entry that a node has seen is lost. */
  hasLost(seen: Position): boolean { return isEntryLost(seen, this.top, (offset) => this.#entry(offset)?.[0]); }

  /** Starts a new epoch. The entries stay. */
  renew(): void { this.#epoch = newId(); }

  /** The position of an earlier entry with this idempotency key. */
  find(key: string, now: number): Position | undefined {
    const used = this.#db.get(['k', this.#name, digest(key)]) as UsedKey | undefined;
    return used && used[2] > now ? { epoch: this.#epoch, offset: used[0], id: used[1] } : undefined;
  }

  append(id: string, value: string, until: number): void {
    this.#offset++;
    this.#id = id;
    this.#db.put(['e', this.#name, this.#offset], [id, value, until] satisfies Entry);
    this.#bytes += entrySize(id, value);
  }

  /** Remembers the key of the last entry. */
  remember(key: string, until: number, max: number): void {
    const name = digest(key);
    this.#db.put(['k', this.#name, name], [this.#offset, this.#id, until] satisfies UsedKey);
    this.#db.put(['o', this.#name, this.#keysTo++], name);
    while (this.#keysTo - this.#keysFrom > max) this.#forgetKey();
  }

  /** Removes the oldest entries, until `length` are left. */
  trim(length: number): void {
    while (this.length > length) this.#shift();
  }

  /** Whether the oldest entry or key has expired. */
  hasExpired(now: number): boolean {
    const entry = this.length > 0 ? this.#entry(this.#first) : undefined;
    return (entry && entry[2] <= now) ?? this.#oldestKeyEnds() <= now;
  }

  /** Removes what has expired. */
  expire(now: number): void {
    while (this.length > 0 && this.#entry(this.#first)![2] <= now) this.#shift();
    // The keys are in the order in which they expire.
    while (this.#oldestKeyEnds() <= now) this.#forgetKey();
  }

  read(range: JournalRange): JournalPage {
    return journalPage(range, this.top, this.#first, (offset) => {
      const [id, value] = this.#entry(offset)!;
      return { id, value };
    });
  }

  redact({ epoch, offset, id }: Position, tombstone: string): boolean {
    const entry = this.#entry(offset);
    if (!entry || epoch !== this.#epoch || entry[0] !== id) return false;
    this.#db.put(['e', this.#name, offset], [id, tombstone, entry[2]] satisfies Entry);
    this.#bytes += entrySize(id, tombstone) - entrySize(id, entry[1]);
    return true;
  }

  /** Removes everything. */
  drop(): void {
    this.trim(0);
    while (this.#keysFrom < this.#keysTo) this.#forgetKey();
    this.#db.remove(['t', this.#name]);
  }

  /** Writes the head, after changes. */
  save(): void {
    this.#db.put(['t', this.#name], [
      this.#epoch, this.#offset, this.#id, this.#first, this.#bytes, this.#keysFrom, this.#keysTo,
    ] satisfies Head);
  }

  #entry(offset: number): Entry | undefined {
    if (offset < this.#first || offset > this.#offset) return undefined;
    return this.#db.get(['e', this.#name, offset]) as Entry;
  }

  #shift(): void {
    const [id, value] = this.#entry(this.#first)!;
    this.#bytes -= entrySize(id, value);
    this.#db.remove(['e', this.#name, this.#first++]);
  }

  /** When the oldest key ends, in the milliseconds of the journal's clock; never without keys. */
  #oldestKeyEnds(): number {
    if (this.#keysFrom === this.#keysTo) return Infinity;
    const name = this.#db.get(['o', this.#name, this.#keysFrom]) as string;
    return (this.#db.get(['k', this.#name, name]) as UsedKey)[2];
  }

  #forgetKey(): void {
    const name = this.#db.get(['o', this.#name, this.#keysFrom]) as string;
    this.#db.remove(['k', this.#name, name]);
    this.#db.remove(['o', this.#name, this.#keysFrom++]);
  }
}
