import { setImmediate as nextTurn, setTimeout as delay } from 'node:timers/promises';
import type { Journal } from '../index.ts';
import { withCleanups } from './cleanup.ts';

/** The server or the memory that the journals of one test share. */
export interface JournalBackend {
  /** Creates the journal of another node. */
  journal(): Journal | Promise<Journal>;
  /** Advances the clock of all journals by so many milliseconds. @default waits that long */
  readonly advance?: ((milliseconds: number) => unknown) | undefined;
  /** Called after the test. */
  readonly stop?: (() => unknown) | undefined;
}

/** Creates a backend without data. Its `keyWindow` should be 1,000 ms if it has no `advance`. */
export type MakeJournal = () => JournalBackend | Promise<JournalBackend>;

export interface JournalTest {
  readonly title: string;
  readonly body: (bench: JournalBench) => Promise<void>;
}

export const journalTest = (title: string, body: JournalTest['body']): JournalTest => ({ title, body });

/** Runs one test with a new backend. */
export const runJournalTest = ({ body }: JournalTest, make: MakeJournal): Promise<void> =>
  withCleanups(async (cleanups) => {
    const backend = await make();
    if (backend.stop) cleanups.add(backend.stop);
    await body(new JournalBench(backend));
  });

/** Options of an append that nothing in the test reaches. */
export const ROOMY = { size: 1_000, ttl: 600_000 } as const;

/** Creates the journals of one test, and advances their clock. */
export class JournalBench {
  readonly #backend: JournalBackend;

  constructor(backend: JournalBackend) { this.#backend = backend; }

  /** Whether the clock of the backend can be advanced. */
  get hasClock(): boolean { return this.#backend.advance !== undefined; }

  /** Milliseconds of a short `ttl`. Appends must be much faster. */
  get shortTtl(): number { return this.hasClock ? 100 : 300; }

  journal(): Journal | Promise<Journal> { return this.#backend.journal(); }

  journals(count: number): Promise<Journal[]> {
    return Promise.all(Array.from({ length: count }, async () => this.journal()));
  }

  /** Advances the clock by a little more than this time. */
  async pass(milliseconds: number): Promise<void> {
    const margin = this.hasClock ? 1 : 20;
    await nextTurn();
    await (this.#backend.advance ?? delay)(milliseconds + margin);
    await nextTurn();
  }
}

/** Appends values to a topic, one after the other. The id of each is `id-<value>`. */
export async function fill(journal: Journal, topic: string, values: readonly string[], size = 1_000): Promise<void> {
  for (const value of values) await journal.append(topic, { id: `id-${value}`, value }, { ...ROOMY, size });
}

/** The values of all entries of a topic. */
export const valuesOf = async (journal: Journal, topic: string): Promise<string[]> =>
  (await journal.read(topic, { limit: 1_000 })).entries.map(({ value }) => value);
