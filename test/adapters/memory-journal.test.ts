import { expect } from 'chai';
import { MemoryAdapter } from '../../adapters/memory.ts';
import { MemoryJournal, type Journal } from '../../index.ts';
import { journalSuite } from '../../testing/index.ts';

const ROOMY = { size: 1_000, ttl: 1_000_000 };

/** A journal whose time passes when it is told to. */
function timed(options: ConstructorParameters<typeof MemoryJournal>[0] = {}) {
  let now = 5_000;
  const journal = new MemoryJournal({ ...options, now: () => now });
  return { journal, advance: (milliseconds: number) => void (now += milliseconds) };
}

const codeOf = (promise: Promise<unknown>) => promise.then(() => 'none', (error: unknown) => (error as { code: string }).code);
const say = (journal: Journal, topic: string, value: string, more = {}) => journal.append(topic, { id: 'id', value }, { ...ROOMY, ...more });

journalSuite('memory', () => {
  const { journal, advance } = timed();
  return { journal: () => journal, advance };
});

describe('the journal of a memory adapter', () => {
  it('is shared by the adapters of one bus, and by no other', async () => {
    const bus = {};
    const [one, same, other] = [new MemoryAdapter(bus).journal, new MemoryAdapter(bus).journal, new MemoryAdapter().journal];

    await say(one, 'topic', 'hi');

    expect((await same.read('topic', { limit: 5 })).entries).to.have.length(1);
    expect((await other.read('topic', { limit: 5 })).entries).to.have.length(0);
  });
});

describe('the memory journal', () => {
  it('keeps at most `maxTopics` topics, and forgets only those without entries', async () => {
    const { journal, advance } = timed({ maxTopics: 3 });
    await say(journal, 'full', 'x');
    await say(journal, 'ends', 'x', { ttl: 10 });
    await journal.positions(['empty']);

    const [empty] = await journal.positions(['empty']);
    await say(journal, 'new', 'x');
    const refused = await codeOf(say(journal, 'newer', 'x'));
    advance(11);
    await say(journal, 'newer', 'x');

    expect(refused).to.equal('JOURNAL_FULL');
    expect(journal.size.topics).to.equal(3);
    expect((await journal.read('full', { limit: 5 })).entries).to.have.length(1);
    expect(await codeOf(journal.positions(['empty']))).to.equal('JOURNAL_FULL');
    expect(empty!.offset).to.equal(0);
  });

  it('removes the topic\'s own entries when all bytes are used, and never those of another topic', async () => {
    const { journal } = timed({ maxBytes: 10_000 });
    const value = 'x'.repeat(1_000);
    for (let index = 0; index < 4; index++) await say(journal, 'quiet', value);

    for (let index = 0; index < 50; index++) await say(journal, 'loud', value);
    const refused = await codeOf(say(journal, 'third', 'x'.repeat(9_000)));

    expect((await journal.read('quiet', { limit: 100 })).entries).to.have.length(4);
    expect((await journal.read('loud', { limit: 100 })).entries).to.have.length.within(1, 5);
    expect(refused).to.equal('JOURNAL_FULL');
    expect(journal.size.bytes).to.be.below(10_001);
  });

  it('removes what has expired during appends, without a timer', async () => {
    const { journal, advance } = timed({ keyWindow: 10 });
    for (let index = 0; index < 300; index++) await say(journal, `topic ${index}`, 'x'.repeat(100), { ttl: 10, idempotencyKey: 'key' });
    const before = journal.size;

    advance(11);
    for (let index = 0; index < 200; index++) await say(journal, 'other', '', { size: 1 });

    expect(before.bytes).to.be.above(300 * 300);
    expect(journal.size.bytes).to.be.below(301 * 101 + 500);
  });

  it('counts no byte of what it has forgotten', async () => {
    const { journal } = timed({ maxKeys: 2 });
    for (let index = 0; index < 20; index++) await say(journal, 'topic', 'äöü', { size: 3, idempotencyKey: `key ${index}` });
    const { entries, top } = await journal.read('topic', { limit: 1 });
    await journal.redact('topic', { ...top, offset: entries[0]!.offset, id: 'id' }, 'a longer tombstone');

    await journal.drop('topic');

    expect(journal.size).to.deep.equal({ topics: 0, bytes: 0 });
  });

  it('remembers at most `maxKeys` keys of a topic', async () => {
    const { journal } = timed({ maxKeys: 2 });
    for (const idempotencyKey of ['a', 'b', 'c']) await say(journal, 'topic', idempotencyKey, { idempotencyKey });

    const duplicates = [];
    for (const idempotencyKey of ['c', 'b', 'a']) duplicates.push((await say(journal, 'topic', 'again', { idempotencyKey })).duplicate);

    expect(duplicates).to.deep.equal([true, true, false]);
  });

  it('warns of a watcher that throws, and appends', async () => {
    const { journal } = timed();
    const warnings: Error[] = [];
    const warned = (warning: Error) => warnings.push(warning);
    process.on('warning', warned);
    journal.watch(() => { throw new Error('a watcher'); });

    await say(journal, 'topic', 'hi');
    await new Promise(setImmediate);
    process.off('warning', warned);

    expect(warnings.map(({ message }) => message)).to.deep.equal(['a watcher']);
    expect((await journal.positions(['topic']))[0]!.offset).to.equal(1);
  });

  it('refuses wrong options', () => {
    for (const [option, value] of [['maxTopics', 0], ['maxBytes', -1], ['keyWindow', '5'], ['now', 5]] as const) {
      expect(() => new MemoryJournal({ [option]: value })).to.throw(`option "journal.${option}"`);
    }
  });
});
