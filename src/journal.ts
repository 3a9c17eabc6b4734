// The history of topics, which an adapter may keep.

/**
 * A place in the history of a topic: after the entry with this offset and id. In a new history, the offset is 0 and the
 * id is empty.
 */
export interface Position {
  /** Identifies one run of offsets. Another epoch means that entries may have been lost. */
  readonly epoch: string;
  readonly offset: number;
  readonly id: string;
}

/** An entry of a topic. The offsets of a topic are 1, 2, 3, and so on. */
export interface JournalEntry { readonly offset: number; readonly id: string; readonly value: string }

/** An entry of which watchers are told. */
export interface AppendedEntry extends JournalEntry { readonly epoch: string }

export interface AppendOptions {
  /** Maximum number of entries of the topic, including this one. Older ones are removed. 1 to 100,000 */
  readonly size: number;
  /** Milliseconds until the entry expires. It may stay longer, as long as an earlier entry of the topic does. */
  readonly ttl: number;
  /** If the topic got an entry with this key within the last `keyWindow` ms, nothing is appended. */
  readonly idempotencyKey?: string | undefined;
  /** The newest position that this node knows; see positions(). */
  readonly seen?: Position | undefined;
}

/** The range of a read, in offsets; both ends are excluded. */
export interface JournalRange {
  /** @default 0 */
  readonly after?: number | undefined;
  /** @default no bound */
  readonly before?: number | undefined;
  /** Maximum number of entries: 1 to 1,000. Fewer are returned if their values exceed 1 MiB, but at least one. */
  readonly limit: number;
  /** Whether to begin at the end of the range, with the newest entry. @default false */
  readonly reverse?: boolean | undefined;
}

export interface JournalPage {
  /** The position of the last entry of the topic. */
  readonly top: Position;
  readonly entries: readonly JournalEntry[];
  /** Whether no entry of the range was removed or has expired. True also if only `limit` cut the range. */
  readonly complete: boolean;
}

/**
 * Ordered, bounded history of topics. Each call is one atomic step, also over several nodes:
 *
 * - The history of a topic begins with the first call that names it. It gets a random epoch, and offset 0.
 * - Entries are removed in their order only, so those that are left have consecutive offsets.
 * - The epoch and the top position stay when all entries have expired. An implementation may forget a topic without
 *   entries to make room; its history then begins again, with another epoch. No epoch is used twice.
 * - Everything is bounded: topics, entries, bytes, and idempotency keys. When a bound for all topics is reached, a call
 *   rejects with JOURNAL_FULL, and no entry of another topic is removed.
 * - An implementation that can lose acknowledged entries compares `seen`, and renews the epoch.
 *
 * If the journal cannot be reached, its functions reject with STORE_UNAVAILABLE; it is then unknown whether an entry
 * was appended: append it again with the same idempotency key. Wrong arguments reject with OPTION_INVALID.
 */
export interface Journal {
  readonly name: string;
  /**
   * Milliseconds for which idempotency keys are remembered. Under heavy traffic, the oldest keys of a topic may be
   * forgotten earlier.
   */
  readonly keyWindow: number;
  /**
   * Appends an entry.
   * @param entry.id the id of the message
   * @returns the position of the entry; with `duplicate`, that of the earlier entry with the same idempotency key
   * @throws JOURNAL_FULL
   */
  append(
    topic: string,
    entry: { readonly id: string; readonly value: string },
    options: AppendOptions,
  ): Promise<Position & { readonly duplicate: boolean }>;
  read(topic: string, range: JournalRange): Promise<JournalPage>;
  /**
   * The positions of the last entries of topics.
   * @param seen the newest positions that this node knows. If the top of a topic has the same epoch but is below, or if
   * the entry at that offset has another id, entries were lost: the topic gets a new epoch, and keeps its entries.
   */
  positions(topics: readonly string[], seen?: ReadonlyMap<string, Position>): Promise<readonly Position[]>;
  /**
   * Replaces the value of an entry. Returns `false` if there is no entry with this epoch, offset and id.
   * @param tombstone the new value
   */
  redact(topic: string, position: Position, tombstone: string): Promise<boolean>;
  /** Deletes the history of a topic. Its next entry has another epoch. */
  drop(topic: string): Promise<void>;
  /**
   * Calls the listener with entries that any node appends, at least for the topics to which the adapter of this node is
   * subscribed. Entries may be missing, may come twice, and in any order. Returns the undo. Without this function,
   * nodes tell each other.
   */
  watch?(listener: (topic: string, entry: AppendedEntry) => void): () => void;
}
