import { mkdir } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { dirname, resolve } from 'node:path';
import {
  check, entrySize, hasCode, journalArguments, ModuleError, rules, toError, type Journal, type JournalPage,
  type JournalRange, type Position,
} from '../src/index.ts';
import { checkFile } from './lmdb/lmdb-file.ts';
import { LmdbTopic, type Key, type LmdbDatabase } from './lmdb/lmdb-topic.ts';
import { LmdbWrites } from './lmdb/lmdb-writes.ts';

export { lmdbErrors } from './lmdb/lmdb-errors.ts';

export interface LmdbJournalOptions {
  /** The file. It and its folder are created. A second file, `<path>-lock`, is next to it. */
  readonly path: string;
  /** Maximum number of topics. @default 100_000 */
  readonly maxTopics?: number | undefined;
  /** Maximum bytes of the entries of all topics. The file may be about twice as large. @default 1_073_741_824 */
  readonly maxBytes?: number | undefined;
  /** Maximum idempotency keys of one topic. @default 10_000 */
  readonly maxKeys?: number | undefined;
  /** Milliseconds for which an idempotency key is remembered. @default 300_000 */
  readonly keyWindow?: number | undefined;
  /**
   * Whether calls that write resolve when the entry is on the disk, so that it survives a power failure. With `false`,
   * they resolve earlier: an entry survives the end of the process, but not that of the machine.
   * @default true
   */
  readonly flush?: boolean | undefined;
  /**
   * Bytes that must be free on the disk. Otherwise entries are refused with JOURNAL_FULL: if a write of LMDB fails, the
   * process ends.
   * @default 67_108_864
   */
  readonly minFree?: number | undefined;
  /**
   * The clock: returns milliseconds since the epoch. For tests.
   * @default the clock of the system, without its jumps while the process runs
   */
  readonly now?: (() => number) | undefined;
}

const RULES = {
  path: rules.rule('the path of a file', (value) => typeof value === 'string' && value !== ''),
  maxTopics: rules.integer(1, 10_000_000),
  maxBytes: rules.integer(1, 2 ** 40),
  maxKeys: rules.integer(1, 1_000_000),
  keyWindow: rules.duration,
  flush: rules.boolean,
  minFree: rules.integer(0, Number.MAX_SAFE_INTEGER),
  now: rules.callback,
};

/** Topics that a call checks when there are too many. */
const STEPS_WHEN_FULL = 64;
/** The key of the totals: how many topics and bytes there are. */
const TOTALS: Key = ['n'];

type Totals = readonly [topics: number, bytes: number];
/** What a change returns: a result, or what is full. */
type Outcome<T> = { readonly result: T } | { readonly full: 'topics' | 'bytes' };

/**
 * LmdbJournal keeps the history of topics in a file, for all processes of one machine. It survives their ends. Nodes
 * tell each other of new entries: appending and telling are two steps. The package `lmdb` is needed.
 *
 * @example manager.use('history', { journal: await LmdbJournal.open({ path: 'data/history.mdb' }) });
 */
export class LmdbJournal implements Journal {
  static readonly LmdbJournal: typeof LmdbJournal = LmdbJournal;

  readonly name = 'lmdb';
  readonly keyWindow: number;
  readonly #db: LmdbDatabase;
  readonly #limits: { readonly maxTopics: number; readonly maxBytes: number; readonly maxKeys: number };
  readonly #writes: LmdbWrites;
  readonly #now: () => number;
  /** Where the search for topics without entries goes on. */
  #cursor = '';
  #closed: Promise<void> | undefined;

  private constructor(db: LmdbDatabase, options: LmdbJournalOptions) {
    const { path, flush = true, minFree = 67_108_864, keyWindow = 300_000 } = options;
    const { maxTopics = 100_000, maxBytes = 1_073_741_824, maxKeys = 10_000 } = options;
    this.#db = db;
    this.#limits = { maxTopics, maxBytes, maxKeys };
    this.keyWindow = keyWindow;
    this.#writes = new LmdbWrites(db, { path, flush, minFree });
    // Jumps of the system's clock do not matter while the process runs.
    const start = Date.now() - performance.now();
    this.#now = options.now ?? (() => Math.round(start + performance.now()));
  }

  /**
   * Opens a file, or creates it.
   * @throws OPTION_INVALID, OPTION_UNKNOWN, LMDB_PACKAGE_MISSING, LMDB_FILE_INVALID, and the errors of the file system
   */
  static async open(options: LmdbJournalOptions): Promise<LmdbJournal> {
    const given = check<LmdbJournalOptions>(options, RULES, 'LmdbJournal');
    if (!('path' in given)) {
      const expected = RULES.path.expected;
      throw new ModuleError('OPTION_INVALID', { path: 'LmdbJournal.path', given: 'undefined', expected });
    }
    const path = resolve(given.path);
    const lmdb = load();
    await mkdir(dirname(path), { recursive: true });
    await checkFile(path);
    return new LmdbJournal(lmdb.open({ path, noSubdir: true }), { ...given, path });
  }

  async append(
    ...[topic, { id, value }, options]: Parameters<Journal['append']>
  ): Promise<Position & { duplicate: boolean }> {
    journalArguments.append(topic, { id, value }, options);
    const { size, ttl, idempotencyKey: key, seen } = options;
    const { maxBytes, maxKeys } = this.#limits;
    const now = this.#now();
    return this.#write<Position & { duplicate: boolean }>('append', topic, (history, otherBytes) => {
      if (seen && history.hasLost(seen)) history.renew();
      const earlier = key === undefined ? undefined : history.find(key, now);
      if (earlier) return { result: { ...earlier, duplicate: true } };
      const bytes = entrySize(id, value);
      if (otherBytes + bytes > maxBytes) return { full: 'bytes' };
      while (otherBytes + history.bytes + bytes > maxBytes) history.trim(history.length - 1);
      history.append(id, value, now + ttl);
      if (key !== undefined) history.remember(key, now + this.keyWindow, maxKeys);
      history.trim(size);
      return { result: { ...history.top, duplicate: false } };
    });
  }

  async read(topic: string, range: JournalRange): Promise<JournalPage> {
    journalArguments.read(topic, range);
    const history = await this.#open('read', topic);
    return history?.read(range) ?? this.#write('read', topic, (created) => ({ result: created.read(range) }));
  }

  async positions(topics: readonly string[], seen?: ReadonlyMap<string, Position>): Promise<readonly Position[]> {
    journalArguments.positions(topics, seen);
    return Promise.all(topics.map(async (topic) => {
      const known = seen?.get(topic);
      const history = await this.#open('position', topic);
      if (history && !(known && history.hasLost(known))) return history.top;
      return this.#write('position', topic, (changed) => {
        if (known && changed.hasLost(known)) changed.renew();
        return { result: changed.top };
      });
    }));
  }

  async redact(...[topic, position, tombstone]: Parameters<Journal['redact']>): Promise<boolean> {
    journalArguments.redact(topic, position, tombstone);
    if (!await this.#find('redact', topic)) return false;
    return this.#write('redact', topic, (history) => ({ result: history.redact(position, tombstone) }));
  }

  async drop(topic: string): Promise<void> {
    journalArguments.drop(topic);
    const drop = (): void => {
      const history = LmdbTopic.of(this.#db, topic);
      if (!history.isNew) this.#remove(history);
    };
    await this.#run('drop', drop, false);
  }

  /** Closes the file when all earlier calls are done. Later calls are refused with STORE_UNAVAILABLE. */
  close(): Promise<void> { return (this.#closed ??= this.#writes.whenIdle().then(() => this.#db.close())); }

  /** The history of a topic for a read; `undefined` if it must be created, or something of it has expired. */
  async #open(action: string, topic: string): Promise<LmdbTopic | undefined> {
    const history = await this.#find(action, topic);
    if (!history?.hasExpired(this.#now())) return history;
    await this.#write(action, topic, () => ({ result: undefined }), false);
    return this.#find(action, topic);
  }

  /** The history of a topic as it is stored; `undefined` if there is none. @throws STORE_UNAVAILABLE */
  async #find(action: string, topic: string): Promise<LmdbTopic | undefined> {
    try {
      this.#assertOpen();
      this.#db.resetReadTxn();
      const history = LmdbTopic.of(this.#db, topic);
      return history.isNew ? undefined : history;
    } catch (cause) {
      throw unavailable(action, cause);
    }
  }

  /**
   * Changes the history of a topic in one transaction, in which it is created if there is none. Calls of one turn are
   * written together.
   * @param grows whether the file may need more space
   * @throws JOURNAL_FULL, STORE_UNAVAILABLE
   */
  async #write<T>(
    action: string, topic: string, change: (history: LmdbTopic, otherBytes: number) => Outcome<T>, grows = true,
  ): Promise<T> {
    const work = (): Outcome<T> => {
      const history = LmdbTopic.of(this.#db, topic);
      if (history.isNew && !this.#makeRoom()) return { full: 'topics' };
      // Read when there is room: the search may have removed topics.
      const [topics, bytes] = this.#totals();
      const before = history.bytes;
      history.expire(this.#now());
      const changed = change(history, bytes - before);
      history.save();
      this.#db.put(TOTALS, [topics + (history.isNew ? 1 : 0), bytes - before + history.bytes] satisfies Totals);
      return changed;
    };
    const outcome = await this.#run(action, work, grows);
    if ('result' in outcome) return outcome.result;
    const limit = outcome.full === 'topics' ? this.#limits.maxTopics : this.#limits.maxBytes;
    throw new ModuleError('JOURNAL_FULL', { of: outcome.full, limit });
  }

  /**
   * Runs work as a part of one transaction.
   * @param grows whether the file may need more space
   * @throws JOURNAL_FULL, STORE_UNAVAILABLE
   */
  async #run<T>(action: string, work: () => T, grows = true): Promise<T> {
    try {
      this.#assertOpen();
      return await this.#writes.run(work, grows);
    } catch (cause) {
      throw hasCode(cause, 'JOURNAL_FULL') ? cause : unavailable(action, cause);
    }
  }

  #assertOpen(): void { if (this.#closed) throw new Error('the journal is closed'); }

  #totals(): Totals { return (this.#db.get(TOTALS) as Totals | undefined) ?? [0, 0]; }

  /** Whether there may be one more topic. Topics without entries are forgotten to make room. */
  #makeRoom(): boolean {
    if (this.#totals()[0] < this.#limits.maxTopics) return true;
    const now = this.#now();
    // `~` is after all names.
    const names = [...this.#db.getKeys({ start: ['t', this.#cursor], end: ['t', '~'], limit: STEPS_WHEN_FULL })];
    this.#cursor = names.length < STEPS_WHEN_FULL ? '' : String(names.at(-1)![1]);
    for (const [, name] of names) {
      const history = new LmdbTopic(this.#db, String(name));
      const before = history.bytes;
      history.expire(now);
      if (history.isEmpty) {
        this.#remove(history, before);
      } else if (history.bytes !== before) {
        const [topics, bytes] = this.#totals();
        history.save();
        this.#db.put(TOTALS, [topics, bytes - before + history.bytes] satisfies Totals);
      }
    }
    return this.#totals()[0] < this.#limits.maxTopics;
  }

  #remove(history: LmdbTopic, counted = history.bytes): void {
    const [topics, bytes] = this.#totals();
    history.drop();
    this.#db.put(TOTALS, [topics - 1, bytes - counted] satisfies Totals);
  }
}

/** The package. Not by import(): its types need other settings of the compiler. */
function load(): { open(options: { readonly path: string; readonly noSubdir: boolean }): LmdbDatabase } {
  try {
    return createRequire(import.meta.url)('lmdb') as ReturnType<typeof load>;
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code !== 'MODULE_NOT_FOUND') throw cause;
    throw new ModuleError('LMDB_PACKAGE_MISSING', {}, { cause });
  }
}

const unavailable = (action: string, cause: unknown): ModuleError =>
  new ModuleError('STORE_UNAVAILABLE', { store: 'lmdb', action }, { cause: toError(cause) });

export { LmdbJournal as default, LmdbJournal as 'module.exports' };
