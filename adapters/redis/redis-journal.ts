import {
  journalArguments, ModuleError, newId, Watchers, type Journal, type AppendedEntry, type JournalEntry,
  type JournalPage, type JournalRange, type Position,
} from '../../src/index.ts';
import { journalKey } from './journal-key.ts';
import { decodeNotice } from './journal-notice.ts';
import { LUA_JOURNAL } from './lua-journal.ts';
import type { RedisCommands } from './redis-commands.ts';
import { refusalOf } from './redis-errors.ts';
import { RedisScript } from './redis-script.ts';

export interface RedisJournalOptions {
  /** The connections of the adapter. Undefined before it starts and after it stops. */
  readonly commands: () => RedisCommands | undefined;
  /** The channel to which entries of a topic are published. */
  readonly channelOf: (topic: string) => string;
  /** Milliseconds for which idempotency keys are remembered. @default 300_000 */
  readonly keyWindow?: number | undefined;
  /** Maximum idempotency keys of one topic. @default 10_000 */
  readonly maxKeys?: number | undefined;
}

type Watched = readonly [topic: string, entry: AppendedEntry];
type Values = readonly (string | number)[];

/** Number of values in a reply before the entries of a page, and number of values for each entry. */
const [PAGE_HEAD, ENTRY_VALUES] = [4, 3];

const script = new RedisScript(LUA_JOURNAL);
const NOT_SEEN = ['', '', ''] as const;
const seenValues = (seen: Position | undefined): readonly string[] =>
  (seen ? [seen.epoch, String(seen.offset), seen.id] : NOT_SEEN);

/** RedisJournal is the journal of one node. Journals with the same key prefix and database share their topics. */
export class RedisJournal implements Journal {
  readonly name = 'redis';
  readonly keyWindow: number;
  readonly #options: RedisJournalOptions;
  readonly #watchers = new Watchers<Watched>();
  /** The beginning of the epochs that this node creates. */
  readonly #run = newId();
  #epochs = 0;

  constructor(options: RedisJournalOptions) {
    this.#options = options;
    this.keyWindow = options.keyWindow ?? 300_000;
  }

  async append(...[topic, entry, options]: Parameters<Journal['append']>): Promise<Position & { duplicate: boolean }> {
    journalArguments.append(topic, entry, options);
    const { size, ttl, idempotencyKey = '', seen } = options;
    const channel = this.#options.channelOf(topic);
    const publish = this.#options.commands()?.isSharded ? 'SPUBLISH' : 'PUBLISH';
    const [epoch, offset, id, duplicate] = await this.#call('append', channel, [
      publish, channel, entry.id, entry.value, String(size), String(ttl), idempotencyKey, String(this.keyWindow),
      String(this.#options.maxKeys ?? 10_000), ...seenValues(seen),
    ], true);
    return { ...positionOf([epoch!, offset!, id!]), duplicate: duplicate === 1 };
  }

  async read(topic: string, range: JournalRange): Promise<JournalPage> {
    journalArguments.read(topic, range);
    const { after = 0, before, limit, reverse = false } = range;
    const given = [String(after), String(before ?? ''), String(limit), reverse ? '1' : ''];
    const values = await this.#call('read', this.#options.channelOf(topic), given);
    const top = positionOf(values);
    const entries: JournalEntry[] = [];
    for (let at = PAGE_HEAD; at < values.length; at += ENTRY_VALUES) {
      entries.push({ offset: Number(values[at]), id: String(values[at + 1]), value: String(values[at + 2]) });
    }
    const last = Math.min((before ?? Infinity) - 1, top.offset);
    return { top, entries, complete: after + 1 >= Number(values[3]) || after >= last };
  }

  async positions(topics: readonly string[], seen?: ReadonlyMap<string, Position>): Promise<readonly Position[]> {
    journalArguments.positions(topics, seen);
    // The commands of one turn are sent in one write.
    return Promise.all(topics.map(async (topic) =>
      positionOf(await this.#call('position', this.#options.channelOf(topic), seenValues(seen?.get(topic))))));
  }

  async redact(topic: string, position: Position, tombstone: string): Promise<boolean> {
    journalArguments.redact(topic, position, tombstone);
    const given = [...seenValues(position), tombstone];
    const [isRedacted] = await this.#call('redact', this.#options.channelOf(topic), given, true);
    return isRedacted === 1;
  }

  async drop(topic: string): Promise<void> {
    journalArguments.drop(topic);
    await this.#call('drop', this.#options.channelOf(topic), [], true);
  }

  watch(listener: (...watched: Watched) => void): () => void { return this.#watchers.add(listener); }

  /** Gives a published entry to the watchers. Returns `false` if the message is not a notice of the script. */
  receive(topic: string, notice: Buffer): boolean {
    const entry = decodeNotice(notice);
    if (entry) this.#watchers.notify(topic, entry);
    return entry !== undefined;
  }

  /**
   * Calls a function of the script.
   * @param isReplicated whether to wait for replicas, if the adapter has `waitReplicas`
   * @throws JOURNAL_FULL, STORE_UNAVAILABLE
   */
  async #call(action: string, channel: string, given: readonly string[], isReplicated = false): Promise<Values> {
    try {
      const commands = this.#options.commands();
      if (!commands) throw new Error('the adapter is not started');
      // The script uses this epoch if it has to begin a new one.
      const epoch = `${this.#run}.${++this.#epochs}`;
      const base = journalKey(channel);
      const reply = await script.run(commands, base, [action, epoch, ...given]);
      if (isReplicated) await commands.replicated?.(base);
      return Array.isArray(reply) ? reply as Values : [reply as number];
    } catch (cause) {
      if (isFull(cause)) throw new ModuleError('JOURNAL_FULL', { of: 'bytes' }, { cause });
      throw new ModuleError('STORE_UNAVAILABLE', { store: this.name, action }, { cause });
    }
  }
}

const positionOf = ([epoch, offset, id]: Values): Position =>
  ({ epoch: String(epoch), offset: Number(offset), id: String(id) });

/** Whether Redis refused a command because its memory is full. */
const isFull = (error: unknown): boolean => refusalOf(error)?.includes('OOM') === true;
