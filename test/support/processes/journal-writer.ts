// Appends to a journal in a file, until it is killed.
import { LmdbJournal } from '../../../adapters/lmdb.ts';
import { serve } from '../child.ts';

let journal: LmdbJournal;

const calls = {
  async open(path: string): Promise<void> { journal = await LmdbJournal.open({ path }); },
  /** Appends `<name> 1`, `<name> 2` and so on without an end, so many at once. Prints the offset and value of each that was kept. */
  async appendForEver(topic: string, name: string, atOnce: number): Promise<never> {
    let count = 0;
    const append = async (): Promise<never> => {
      for (;;) {
        const value = `${name} ${++count}`;
        const { offset } = await journal.append(topic, { id: value, value }, { size: 100_000, ttl: 600_000, idempotencyKey: value });
        process.stdout.write(`${offset} ${value}\n`);
      }
    };
    return Promise.race(Array.from({ length: atOnce }, append));
  },
};
export type JournalWriter = typeof calls;
serve(calls);
