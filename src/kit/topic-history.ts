import type { JournalPage, JournalRange, Position } from '../journal.ts';
import { newId } from '../runtime/ids.ts';
import { entrySize, isEntryLost, journalPage } from './journal-page.ts';

/** Bytes that a topic or a key takes in addition to its text. */
const OVERHEAD = 100;

interface Kept { readonly id: string; value: string; bytes: number; readonly until: number }
interface UsedKey { readonly offset: number; readonly id: string; readonly until: number }

/** The history of one topic in a MemoryJournal. */
export class TopicHistory {
  #epoch = newId();
  #offset = 0;
  #id = '';
  /** The entries from `#head` on; those before it are removed. */
  #entries: Kept[] = [];
  #head = 0;
  readonly #keys = new Map<string, UsedKey>();
  #entryBytes = 0;
  /** The bytes of everything but the entries. */
  #otherBytes = OVERHEAD;

  get top(): Position { return { epoch: this.#epoch, offset: this.#offset, id: this.#id }; }

  get bytes(): number { return this.#entryBytes + this.#otherBytes; }

  /** The bytes of the entries, which trim(0) would remove. */
  get removableBytes(): number { return this.#entryBytes; }

  get length(): number { return this.#entries.length - this.#head; }

  /** Whether it has nothing but its position. */
  get isEmpty(): boolean { return this.length === 0 && this.#keys.size === 0; }

  get #first(): number { return this.#offset - this.length + 1; }

  /** Starts a new epoch if an entry that a node has seen is lost. */
  compare(seen: Position): void {
    if (isEntryLost(seen, this.top, (offset) => this.#at(offset)?.id)) this.#epoch = newId();
  }

  /** The position of an earlier entry with this idempotency key. */
  find(key: string): Position | undefined {
    const used = this.#keys.get(key);
    return used && { epoch: this.#epoch, offset: used.offset, id: used.id };
  }

  append(id: string, value: string, until: number): void {
    const bytes = entrySize(id, value);
    this.#entries.push({ id, value, bytes, until });
    this.#entryBytes += bytes;
    this.#offset++;
    this.#id = id;
  }

  /** Remembers the key of the last entry. */
  remember(key: string, until: number, max: number): void {
    this.#keys.set(key, { offset: this.#offset, id: this.#id, until });
    this.#otherBytes += keySize(key);
    if (this.#keys.size > max) this.#forgetKey(this.#keys.keys().next().value!);
  }

  /** Removes the oldest entries, until `length` are left. */
  trim(length: number): void {
    while (this.length > length) this.#shift();
  }

  /** Removes what has expired. */
  expire(now: number): void {
    while (this.length > 0 && this.#entries[this.#head]!.until <= now) this.#shift();
    // The keys are in the order in which they expire.
    for (const [key, { until }] of this.#keys) {
      if (until > now) break;
      this.#forgetKey(key);
    }
  }

  read(range: JournalRange): JournalPage {
    return journalPage(range, this.top, this.#first, (offset) => this.#at(offset)!);
  }

  redact({ epoch, offset, id }: Position, tombstone: string): boolean {
    const entry = this.#at(offset);
    if (!entry || epoch !== this.#epoch || entry.id !== id) return false;
    const bytes = entrySize(id, tombstone);
    this.#entryBytes += bytes - entry.bytes;
    entry.value = tombstone;
    entry.bytes = bytes;
    return true;
  }

  #at(offset: number): Kept | undefined {
    const index = this.#head + offset - this.#first;
    return index < this.#head ? undefined : this.#entries[index];
  }

  #shift(): void {
    this.#entryBytes -= this.#entries[this.#head++]!.bytes;
    // Not shift(), which moves all entries of a large array.
    if (this.#head * 2 <= this.#entries.length) return;
    this.#entries = this.#entries.slice(this.#head);
    this.#head = 0;
  }

  #forgetKey(key: string): void {
    this.#keys.delete(key);
    this.#otherBytes -= keySize(key);
  }
}

/** The bytes of an idempotency key. */
export function keySize(key: string): number { return OVERHEAD + Buffer.byteLength(key); }
