import { createHash, randomBytes } from 'node:crypto';
import { copyFileSync, mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import { LmdbJournal, type LmdbJournalOptions } from '../../adapters/lmdb.ts';
import { child } from '../support/child.ts';
import { cleanup } from '../support/cleanup.ts';
import type { JournalWriter } from '../support/processes/journal-writer.ts';
import { codeOf } from '../src/start-kernel.ts';
import { eventually } from '../support/timing.ts';

const WRITER = new URL('../support/processes/journal-writer.ts', import.meta.url);
const ROOMY = { size: 1_000, ttl: 600_000 };

function folder(): string {
  const made = mkdtempSync(join(tmpdir(), 'lmdb-'));
  cleanup(() => rmSync(made, { recursive: true }));
  return made;
}

async function open(options: LmdbJournalOptions): Promise<LmdbJournal> {
  const journal = await LmdbJournal.open(options);
  cleanup(() => journal.close());
  return journal;
}

const digest = (path: string) => createHash('sha256').update(readFileSync(path)).digest('hex');

describe('a journal in a file', () => {
  it('has the same entries, positions and keys after it was closed and opened again', async () => {
    const path = join(folder(), 'new', 'folders', 'history.mdb');
    const before = await open({ path });
    const first = await before.append('topic', { id: 'a', value: 'one' }, { ...ROOMY, idempotencyKey: 'key' });
    await before.append('topic', { id: 'b', value: 'two' }, ROOMY);
    const top = await before.positions(['topic', 'empty']);
    await before.close();

    const after = await open({ path });

    expect(await after.positions(['topic', 'empty'])).to.deep.equal(top);
    expect((await after.read('topic', { limit: 10 })).entries.map(({ value }) => value)).to.deep.equal(['one', 'two']);
    expect(await after.append('topic', { id: 'c', value: 'one' }, { ...ROOMY, idempotencyKey: 'key' })).to.deep.equal({ ...first, duplicate: true });
  });

  it('keeps every acknowledged entry of processes that are killed, each once, and the others go on', async function () {
    this.timeout(60_000);
    const path = join(folder(), 'history.mdb');
    const writers = await Promise.all(['one', 'two', 'three'].map(async (name) => ({ name, ...await child<JournalWriter>(WRITER) })));
    await Promise.all(writers.map(({ call }) => call('open', path)));
    for (const { call, name } of writers) call('appendForEver', 'topic', name, 8).catch(() => undefined);
    const lines = (output: () => string) => output().split('\n').slice(0, -1);

    for (const { name, pid, output, exit } of writers) {
      await eventually(`entries of ${name}`, () => lines(output).length > 60, 30_000);
      process.kill(pid, 'SIGKILL');
      await eventually(`the end of ${name}`, () => exit() !== undefined);
      // A killed writer blocks no other one.
      const rest = writers.filter((writer) => writer.exit() === undefined);
      const counts = rest.map((writer) => lines(writer.output).length);
      await eventually('entries of the others', () => rest.every((writer, index) => lines(writer.output).length > counts[index]! + 20), 30_000);
    }
    const journal = await open({ path });
    const kept = new Map<string, string>();
    for (let after = 0, entries; (entries = (await journal.read('topic', { after, limit: 1_000 })).entries).length > 0; after += entries.length) {
      for (const { offset, value } of entries) kept.set(String(offset), value);
    }
    const acknowledged = writers.flatMap(({ output }) => lines(output)).map((line) => line.split(/ (.*)/) as [string, string]);

    expect(acknowledged.filter(([offset, value]) => kept.get(offset) !== value)).to.deep.equal([]);
    expect(new Set(kept.values()).size).to.equal(kept.size);
    expect([...kept.keys()]).to.deep.equal(Array.from({ length: kept.size }, (_, index) => String(index + 1)));
  });

  it('refuses a file that is not its own or was cut, and leaves it as it is', async () => {
    const place = folder();
    const good = join(place, 'good.mdb');
    const journal = await LmdbJournal.open({ path: good });
    for (let index = 0; index < 50; index++) await journal.append('topic', { id: `${index}`, value: 'x'.repeat(4_000) }, ROOMY);
    await journal.close();
    const damages: Record<string, (path: string) => void> = {
      'a text': (path) => writeFileSync(path, 'hello '.repeat(5_000)),
      'a few bytes': (path) => writeFileSync(path, 'abc'),
      'random bytes': (path) => writeFileSync(path, randomBytes(40_000)),
      'two pages': (path) => truncateSync(path, 8_192),
      'half of it': (path) => truncateSync(path, Math.floor(statSync(path).size / 2)),
      'one page': (path) => truncateSync(path, 4_096),
      'another version': (path) => { const bytes = readFileSync(path); bytes.writeUInt32LE(9, 28); writeFileSync(path, bytes); },
      'a second page that is damaged': (path) => { const bytes = readFileSync(path); bytes.fill(0, 4_096, 8_192); writeFileSync(path, bytes); },
    };

    for (const [what, damage] of Object.entries(damages)) {
      const path = join(place, `${what}.mdb`);
      copyFileSync(good, path);
      damage(path);
      const before = digest(path);

      expect(await codeOf(LmdbJournal.open({ path })), what).to.equal('LMDB_FILE_INVALID');
      expect(digest(path), what).to.equal(before);
    }
    mkdirSync(join(place, 'folder.mdb'));
    expect(await codeOf(LmdbJournal.open({ path: join(place, 'folder.mdb') }))).to.equal('LMDB_FILE_INVALID');
    expect((await (await open({ path: good })).read('topic', { limit: 1_000 })).entries).to.have.length(50);
  });

  it('refuses topics and bytes beyond its bounds, forgets topics without entries first, and tells what was full', async () => {
    let now = 1_000;
    const journal = await open({ path: join(folder(), 'history.mdb'), maxTopics: 3, maxBytes: 1_000, now: () => now });
    const value = 'x'.repeat(200);
    const append = (topic: string, id: string, ttl = 600_000) => journal.append(topic, { id, value }, { size: 100, ttl });
    await append('a', '1', 100);
    await append('b', '1');
    await append('c', '1');

    expect(await codeOf(append('d', '1'))).to.equal('JOURNAL_FULL');
    expect(await codeOf(journal.read('d', { limit: 1 }))).to.equal('JOURNAL_FULL');
    now += 101;
    await append('d', '1');
    // The entries of other topics stay: `b`, `c` and `d` have one each, and `b` gets room by losing its own.
    await append('b', '2');
    expect((await journal.read('b', { limit: 10 })).entries.map(({ id }) => id)).to.deep.equal(['2']);
    expect(await codeOf(journal.append('b', { id: '3', value: 'x'.repeat(900) }, { size: 100, ttl: 1_000 }))).to.equal('JOURNAL_FULL');
    expect((await journal.read('b', { limit: 10 })).entries.map(({ id }) => id)).to.deep.equal(['2']);
    await journal.drop('c');
    await append('b', '4');
    expect((await journal.read('b', { limit: 10 })).entries.map(({ id }) => id)).to.deep.equal(['2', '4']);
  });

  it('refuses entries while the disk is nearly full, and can be read and emptied meanwhile', async () => {
    const path = join(folder(), 'history.mdb');
    const before = await open({ path });
    await before.append('topic', { id: 'a', value: 'one' }, ROOMY);
    await before.append('old', { id: 'a', value: 'one' }, { size: 10, ttl: 1 });
    await eventually('the end of an entry', async () => (await before.read('old', { limit: 10 })).entries.length === 0);
    await before.append('old', { id: 'b', value: 'one' }, { size: 10, ttl: 1 });
    await before.close();
    const journal = await open({ path, minFree: Number.MAX_SAFE_INTEGER });

    const refused = await journal.append('topic', { id: 'b', value: 'two' }, ROOMY).catch((error: unknown) => error as Error & { code: string; cause: Error });
    const page = await journal.read('topic', { limit: 10 });
    const expired = await journal.read('old', { limit: 10 });
    await journal.drop('topic');

    expect(expired).to.deep.include({ entries: [] });
    expect(refused).to.include({ code: 'JOURNAL_FULL' });
    expect(String((refused as Error).cause)).to.match(/has \d+ free bytes, and \d+ must stay free/);
    expect(page.entries.map(({ id }) => id)).to.deep.equal(['a']);
    expect(await codeOf(journal.read('topic', { limit: 10 }))).to.equal('JOURNAL_FULL');
  });

  it('refuses calls after close(), and wrong options', async () => {
    const path = join(folder(), 'history.mdb');
    const journal = await open({ path });
    await journal.close();
    await journal.close();

    expect(await codeOf(journal.append('topic', { id: 'a', value: 'one' }, ROOMY))).to.equal('STORE_UNAVAILABLE');
    expect(await codeOf(journal.read('topic', { limit: 1 }))).to.equal('STORE_UNAVAILABLE');
    for (const wrong of [undefined, {}, { path: '' }, { path: 1 }, { path, maxTopics: 0 }, { path, flush: 'no' }, { path, minFree: -1 }]) {
      expect(await codeOf(LmdbJournal.open(wrong as never)), JSON.stringify(wrong)).to.equal('OPTION_INVALID');
    }
    expect(await codeOf(LmdbJournal.open({ path, file: 'x' } as never))).to.equal('OPTION_UNKNOWN');
  });
});
