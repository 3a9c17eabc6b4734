import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { LmdbJournal, type LmdbJournalOptions } from '../../adapters/lmdb.ts';
import { journalSuite } from '../../testing/index.ts';

for (const [name, options] of Object.entries({ 'lmdb': {}, 'lmdb without flush': { flush: false } } satisfies Record<string, Partial<LmdbJournalOptions>>)) {
  journalSuite(name, () => {
    const folder = mkdtempSync(join(tmpdir(), 'lmdb-'));
    const journals: LmdbJournal[] = [];
    let now = Date.now();
    return {
      async journal() {
        const journal = await LmdbJournal.open({ path: join(folder, 'history.mdb'), now: () => now, ...options });
        journals.push(journal);
        return journal;
      },
      advance: (milliseconds) => (now += milliseconds),
      async stop() {
        await Promise.all(journals.map((journal) => journal.close()));
        rmSync(folder, { recursive: true });
      },
    };
  });
}
