import { setImmediate as nextTurn } from 'node:timers/promises';
import { ModuleError, type Journal } from '../index.ts';
import { randomNumbers } from './random-numbers.ts';

/** The faults of a FaultyJournal. A share is a number from 0 (never) to 1 (always). */
export interface JournalFaults {
  /** The same seed and the same calls cause the same faults. @default 1 */
  readonly seed?: number | undefined;
  /** Share of calls that begin, and of notices that come, some turns later. Appends keep their order. @default 0 */
  readonly delays?: number | undefined;
  /** Share of appends that do nothing and reject with STORE_UNAVAILABLE. @default 0 */
  readonly losses?: number | undefined;
  /** Share of appends that are done but reject with STORE_UNAVAILABLE. @default 0 */
  readonly lostReplies?: number | undefined;
  /** Share of notices of watch() that are lost. @default 0 */
  readonly lostNotices?: number | undefined;
  /** Share of notices of watch() that come twice. @default 0 */
  readonly duplicates?: number | undefined;
}

/** Maximum number of turns by which a call or a notice is delayed. */
const MAX_TURNS = 4;

/**
 * Wraps a journal, and fails like an unreliable network.
 *
 * @example const journal = new FaultyJournal(new MemoryAdapter(bus).journal, { seed: 7, lostNotices: 0.3 });
 */
export class FaultyJournal implements Journal {
  readonly name: string;
  readonly #journal: Journal;
  readonly #faults: JournalFaults;
  readonly #random: () => number;
  #before: Promise<unknown> | undefined;

  constructor(journal: Journal, faults: JournalFaults = {}) {
    this.name = `faulty-${journal.name}`;
    this.#journal = journal;
    this.#faults = faults;
    this.#random = randomNumbers(faults.seed ?? 1);
  }

  get keyWindow(): number { return this.#journal.keyWindow; }

  append(...given: Parameters<Journal['append']>): ReturnType<Journal['append']> {
    const appending = this.#append(given, this.#before);
    // A failure is the caller's; later appends only wait for it.
    this.#before = appending.catch(() => undefined);
    return appending;
  }

  async read(...given: Parameters<Journal['read']>): ReturnType<Journal['read']> {
    await this.#delay();
    return this.#journal.read(...given);
  }

  async positions(...given: Parameters<Journal['positions']>): ReturnType<Journal['positions']> {
    await this.#delay();
    return this.#journal.positions(...given);
  }

  redact(...given: Parameters<Journal['redact']>): Promise<boolean> { return this.#journal.redact(...given); }

  drop(topic: string): Promise<void> { return this.#journal.drop(topic); }

  watch(listener: Parameters<NonNullable<Journal['watch']>>[0]): () => void {
    return this.#journal.watch!((...notice) => {
      if (this.#happens(this.#faults.lostNotices)) return;
      const times = this.#happens(this.#faults.duplicates) ? 2 : 1;
      for (let index = 0; index < times; index++) void this.#delay().then(() => listener(...notice));
    });
  }

  async #append(given: Parameters<Journal['append']>, before: Promise<unknown> | undefined) {
    await before;
    await this.#delay();
    const lost = new ModuleError('STORE_UNAVAILABLE', { store: this.name, action: 'append' });
    if (this.#happens(this.#faults.losses)) throw lost;
    const answer = await this.#journal.append(...given);
    if (this.#happens(this.#faults.lostReplies)) throw lost;
    await this.#delay();
    return answer;
  }

  #happens(share = 0): boolean { return share > 0 && this.#random() < share; }

  async #delay(): Promise<void> {
    const turns = this.#happens(this.#faults.delays) ? Math.ceil(this.#random() * MAX_TURNS) : 0;
    for (let turn = 0; turn < turns; turn++) await nextTurn();
  }
}
