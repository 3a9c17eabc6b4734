import type { OutboxState } from './outbox-change.ts';
import type { OutboxRecord } from './outbox-store.ts';

/** A message of the outbox as this tab knows it. */
export interface OutboxEntry {
  record: OutboxRecord;
  /** Whether the database has it. */
  isStored: boolean;
  /** Whether only this tab has it, because it could not be stored. */
  isLocal: boolean;
  /** Whether it is in the queue of this client now. */
  isInFlight: boolean;
  /** Whether it was sent before, by an earlier connection. */
  isRepeat: boolean;
  isDiscarded: boolean;
  /** The call of `send()` that waits for it. */
  caller: { readonly resolve: () => void; readonly reject: (error: Error) => void } | undefined;
  settled: (() => void) | undefined;
}

/** The messages of the outbox that this tab knows. */
export class OutboxEntries {
  readonly #entries = new Map<string, OutboxEntry>();
  #bytes = 0;
  /** The last number of the messages that only this tab has: they come after all that were known before. */
  #lastSeq = 0;

  get size(): number { return this.#entries.size; }
  get bytes(): number { return this.#bytes; }
  get(id: string): OutboxEntry | undefined { return this.#entries.get(id); }

  /** Adds a new message, which is not stored yet. */
  add(record: OutboxRecord): OutboxEntry {
    const entry: OutboxEntry = {
      record, isStored: false, isLocal: false, isInFlight: false, isRepeat: false, isDiscarded: false,
      caller: undefined, settled: undefined,
    };
    this.#entries.set(record.id, entry);
    this.#bytes += record.bytes;
    return entry;
  }

  /** Adds a message of the database. */
  addStored(record: OutboxRecord): void {
    this.add(record).isStored = true;
    this.#lastSeq = Math.max(this.#lastSeq, record.seq!);
  }

  /** A message could not be stored: only this tab has it. */
  keepLocally(entry: OutboxEntry): void {
    entry.isLocal = true;
    for (const { record: { seq = 0 } } of this.#entries.values()) this.#lastSeq = Math.max(this.#lastSeq, seq);
    this.#lastSeq += 1e-6;
    entry.record.seq = this.#lastSeq;
  }

  /** Returns whether it was there. */
  delete({ record: { id, bytes } }: OutboxEntry): boolean {
    const isDeleted = this.#entries.delete(id);
    if (isDeleted) this.#bytes -= bytes;
    return isDeleted;
  }

  clear(): void {
    this.#entries.clear();
    this.#bytes = 0;
  }

  /** Takes over what the database has. Returns the messages that it has no more. */
  merge(records: readonly OutboxRecord[]): OutboxEntry[] {
    const stored = new Map(records.map((record) => [record.id, record]));
    const gone: OutboxEntry[] = [];
    for (const entry of [...this.#entries.values()]) {
      if (!entry.isStored || entry.isLocal || entry.isInFlight || stored.has(entry.record.id)) continue;
      this.delete(entry);
      gone.push(entry);
    }
    for (const record of records) {
      const entry = this.#entries.get(record.id);
      if (!entry) this.addStored(record);
      else if (!entry.isInFlight) entry.record = record;
    }
    return gone;
  }

  /** In the order in which they were written, by all tabs. Messages that are being stored come last. */
  inOrder(): OutboxEntry[] {
    const seqOf = ({ record }: OutboxEntry): number => record.seq ?? Number.MAX_SAFE_INTEGER;
    return [...this.#entries.values()].sort((a, b) => seqOf(a) - seqOf(b));
  }

  /** The messages to send next, interactive ones first. @param limit number of messages in flight */
  waiting(isSender: boolean, limit: number): OutboxEntry[] {
    let room = limit;
    const waiting: OutboxEntry[] = [];
    for (const entry of this.#entries.values()) {
      if (entry.isInFlight) room--;
      else if (!entry.record.isUnknown && (entry.isLocal || (isSender && entry.isStored))) waiting.push(entry);
    }
    const rank = ({ record: { priority } }: OutboxEntry): number => (priority === 'bulk' ? 1 : 0);
    waiting.sort((a, b) => rank(a) - rank(b) || a.record.seq! - b.record.seq!);
    return waiting.slice(0, Math.max(0, room));
  }

  nextExpiry(): number | undefined {
    const times = [...this.#entries.values()].filter(isExpirable).map(({ record }) => record.expiresAt);
    return times.length > 0 ? times.reduce((a, b) => Math.min(a, b)) : undefined;
  }

  expired(now: number): OutboxEntry[] {
    return [...this.#entries.values()].filter((entry) => isExpirable(entry) && entry.record.expiresAt <= now);
  }
}

export const stateOf = ({ record, isInFlight }: OutboxEntry): OutboxState =>
  (record.isUnknown ? 'unknown' : isInFlight ? 'sent' : 'queued');

/** A message that was never tried may expire. The outcome of others must be found out. */
const isExpirable = ({ record: { attemptedAt }, isStored, isLocal }: OutboxEntry): boolean =>
  attemptedAt === undefined && (isStored || isLocal);
