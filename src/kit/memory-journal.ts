import { ModuleError } from '../errors.ts';
import type { AppendOptions, Journal, AppendedEntry, JournalPage, JournalRange, Position } from '../journal.ts';
import { check, rules } from '../runtime/check.ts';
import { journalArguments } from './journal-arguments.ts';
import { entrySize } from './journal-page.ts';
import './shared-errors.ts';
import { keySize, TopicHistory } from './topic-history.ts';
import { Watchers } from './watchers.ts';

export interface MemoryJournalOptions {
  /** Maximum number of topics. @default 100_000 */
  readonly maxTopics?: number | undefined;
  /** Maximum bytes of all topics. @default 268_435_456 */
  readonly maxBytes?: number | undefined;
  /** Maximum idempotency keys of one topic. @default 10_000 */
  readonly maxKeys?: number | undefined;
  /** Milliseconds for which an idempotency key is remembered. @default 300_000 */
  readonly keyWindow?: number | undefined;
  /** The clock: returns milliseconds, and never goes back. For tests. @default performance.now */
  readonly now?: (() => number) | undefined;
}

type Watched = readonly [topic: string, entry: AppendedEntry];

const RULES = {
  maxTopics: rules.integer(1, 10_000_000),
  maxBytes: rules.integer(1, 2 ** 40),
  maxKeys: rules.integer(1, 1_000_000),
  keyWindow: rules.duration,
  now: rules.callback,
};
/** Topics that each append checks for expired entries. */
const STEPS = 2;
/** Topics that a call checks when a bound is reached. */
const STEPS_WHEN_FULL = 64;

/**
 * MemoryJournal keeps the history of topics in the memory of this process. The nodes of one process may share it.
 *
 * @throws OPTION_INVALID, OPTION_UNKNOWN
 * @example manager.use(history({ journal: new MemoryJournal({ maxBytes: 2 ** 30 }) }))
 */
export class MemoryJournal implements Journal {
  readonly name = 'memory';
  readonly keyWindow: number;
  readonly #limits: { readonly maxTopics: number; readonly maxBytes: number; readonly maxKeys: number };
  readonly #now: () => number;
  readonly #topics = new Map<string, TopicHistory>();
  readonly #watchers = new Watchers<Watched>();
  #bytes = 0;
  // Goes through the topics again and again. An iterator of a Map stays valid when entries are added or deleted.
  #cursor = this.#topics.entries();

  constructor(options: MemoryJournalOptions = {}) {
    const given = check<MemoryJournalOptions>(options, RULES, 'journal');
    const { maxTopics = 100_000, maxBytes = 268_435_456, maxKeys = 10_000, keyWindow = 300_000 } = given;
    this.keyWindow = keyWindow;
    this.#limits = { maxTopics, maxBytes, maxKeys };
    this.#now = given.now ?? (() => performance.now());
  }

  /** The number of topics and bytes, with what has expired and is not removed yet. */
  get size(): { readonly topics: number; readonly bytes: number } {
    return { topics: this.#topics.size, bytes: this.#bytes };
  }

  async append(
    topic: string, entry: { readonly id: string; readonly value: string }, options: AppendOptions,
  ): Promise<Position & { duplicate: boolean }> {
    journalArguments.append(topic, entry, options);
    const { size, ttl, idempotencyKey: key, seen } = options;
    const now = this.#now();
    this.#sweep(STEPS, now);
    const history = this.#open(topic, now);
    if (seen) history.compare(seen);
    const earlier = key === undefined ? undefined : history.find(key);
    if (earlier) return { ...earlier, duplicate: true };
    const bytes = entrySize(entry.id, entry.value) + (key === undefined ? 0 : keySize(key));
    this.#makeRoom(history, bytes, now);
    this.#change(history, () => {
      history.append(entry.id, entry.value, now + ttl);
      if (key !== undefined) history.remember(key, now + this.keyWindow, this.#limits.maxKeys);
      history.trim(size);
    });
    const { top } = history;
    this.#watchers.notify(topic, { ...top, value: entry.value });
    return { ...top, duplicate: false };
  }

  async read(topic: string, range: JournalRange): Promise<JournalPage> {
    journalArguments.read(topic, range);
    return this.#open(topic, this.#now()).read(range);
  }

  async positions(topics: readonly string[], seen?: ReadonlyMap<string, Position>): Promise<readonly Position[]> {
    journalArguments.positions(topics, seen);
    const now = this.#now();
    return topics.map((topic) => {
      const history = this.#open(topic, now);
      const known = seen?.get(topic);
      if (known) history.compare(known);
      return history.top;
    });
  }

  async redact(topic: string, position: Position, tombstone: string): Promise<boolean> {
    journalArguments.redact(topic, position, tombstone);
    const history = this.#topics.get(topic);
    return history !== undefined && this.#change(history, () => history.redact(position, tombstone));
  }

  async drop(topic: string): Promise<void> {
    journalArguments.drop(topic);
    this.#forget(topic);
  }

  watch(listener: (...watched: Watched) => void): () => void { return this.#watchers.add(listener); }

  /** The history of a topic, without what has expired. @throws JOURNAL_FULL */
  #open(topic: string, now: number): TopicHistory {
    let history = this.#topics.get(topic);
    if (history) {
      const present = history;
      this.#change(present, () => present.expire(now));
      return present;
    }
    const { maxTopics } = this.#limits;
    if (this.#topics.size >= maxTopics) this.#sweep(STEPS_WHEN_FULL, now, true);
    if (this.#topics.size >= maxTopics) throw new ModuleError('JOURNAL_FULL', { of: 'topics', limit: maxTopics });
    this.#topics.set(topic, (history = new TopicHistory()));
    this.#bytes += history.bytes;
    return history;
  }

  /** Removes older entries of the topic if there are too many bytes in all. @throws JOURNAL_FULL */
  #makeRoom(history: TopicHistory, bytes: number, now: number): void {
    const { maxBytes } = this.#limits;
    if (this.#bytes + bytes > maxBytes) this.#sweep(STEPS_WHEN_FULL, now);
    if (this.#bytes - history.removableBytes + bytes > maxBytes) {
      throw new ModuleError('JOURNAL_FULL', { of: 'bytes', limit: maxBytes });
    }
    while (this.#bytes + bytes > maxBytes) this.#change(history, () => history.trim(history.length - 1));
  }

  /** Runs a change of a topic, and counts its bytes. */
  #change<T>(history: TopicHistory, change: () => T): T {
    const before = history.bytes;
    const result = change();
    this.#bytes += history.bytes - before;
    return result;
  }

  /** Removes what has expired in the next few topics. @param forgets whether topics without entries are forgotten */
  #sweep(steps: number, now: number, forgets = false): void {
    for (; steps > 0 && this.#topics.size > 0; steps--) {
      let next = this.#cursor.next();
      if (next.done) next = (this.#cursor = this.#topics.entries()).next();
      if (next.done) return;
      const [topic, history] = next.value;
      this.#change(history, () => history.expire(now));
      if (forgets && history.isEmpty) this.#forget(topic);
    }
  }

  #forget(topic: string): void {
    this.#bytes -= this.#topics.get(topic)?.bytes ?? 0;
    this.#topics.delete(topic);
  }
}
