import { expect } from 'chai';
import fc from 'fast-check';
import { MemoryJournal, type AppendedEntry, type Position } from '../../../index.ts';
import { TopicFeed } from '../../../plugins/history/topic-feed.ts';

type Told = AppendedEntry;

/** A feed of one topic, whose deliveries are recorded. Timers run when they are told to. */
function setUp(journal = new MemoryJournal()) {
  const delivered: string[] = [];
  const lost: { from: Position; to: Position }[] = [];
  const reported: unknown[] = [];
  const timers = new Set<() => unknown>();
  const told: Told[] = [];
  journal.watch((_, entry) => told.push(entry));
  const feed = new TopicFeed('topic', {
    journal,
    whenSubscribed: () => undefined,
    decode: (_, { value, ...entry }) => (value === 'broken' ? undefined : { ...entry, size: 1, message: { type: value } }),
    deliver: (_, { message }) => void delivered.push(message.type),
    lost: (_, from, to) => void lost.push({ from, to }),
    report: (error) => void reported.push(error),
    after(_, work) {
      timers.add(work);
      return () => timers.delete(work);
    },
  });
  const receive = ({ value, ...entry }: Told) => feed.receive({ ...entry, size: 1, message: { type: value } });
  return {
    journal, feed, delivered, lost, reported, timers, told, receive,
    append: async (value: string, size = 100) => journal.append('topic', { id: `id-${value}`, value }, { size, ttl: 1e6 }),
    runTimers: async () => {
      for (const work of [...timers]) {
        timers.delete(work);
        await work();
      }
    },
  };
}

const values = (count: number) => Array.from({ length: count }, (_, index) => `m${index + 1}`);

describe('a feed', () => {
  it('begins at the end of the history', async () => {
    const { append, delivered, feed, receive, told } = setUp();
    await append('old');
    await feed.open();

    await append('new');
    told.forEach(receive);

    expect(delivered).to.deep.equal(['new']);
    expect(feed.position).to.include({ offset: 2, id: 'id-new' });
  });

  it('delivers entries that arrived while it was opening', async () => {
    const { append, delivered, feed, receive, told } = setUp();
    await append('old');
    const opening = feed.open();
    const appending = append('new');
    receive(told[1]!);

    await Promise.all([opening, appending]);

    expect(delivered).to.deep.equal(['new']);
  });

  it('delivers each entry once and in order, even if entries are lost, repeated or late', async () => {
    await fc.assert(fc.asyncProperty(fc.array(fc.nat(11), { maxLength: 40 }), async (order) => {
      const { append, delivered, feed, receive, runTimers, told } = setUp();
      await feed.open();
      for (const value of values(12)) await append(value);

      for (const index of order) receive(told[index]!);
      await runTimers();
      await feed.fill();

      expect(delivered).to.deep.equal(values(12));
    }));
  });

  it('reads missing entries only after a while, because they may only be late', async () => {
    const { append, delivered, feed, receive, told, timers, runTimers } = setUp();
    await feed.open();
    for (const value of values(4)) await append(value);

    receive(told[1]!);
    receive(told[0]!);
    const before = [...delivered];
    await runTimers();
    receive(told[3]!);
    await runTimers();

    expect(before).to.deep.equal(['m1', 'm2']);
    expect(delivered).to.deep.equal(values(4));
    expect(timers.size).to.equal(0);
  });

  it('reports a loss if the journal has removed entries', async () => {
    const { append, delivered, feed, lost } = setUp();
    await append('old');
    await feed.open();
    for (const value of values(5)) await append(value, 2);

    await feed.fill();

    expect(delivered).to.deep.equal(['m4', 'm5']);
    expect(lost.map(({ from, to }) => [from.offset, to.offset])).to.deep.equal([[1, 4]]);
  });

  it('goes on from the first entry after the history was dropped', async () => {
    const { append, delivered, feed, journal, lost, receive, told } = setUp();
    await feed.open();
    await append('before');
    receive(told[0]!);

    await journal.drop('topic');
    for (const value of values(3)) await append(value);
    receive(told.at(-1)!);
    await feed.fill();

    expect(delivered).to.deep.equal(['before', ...values(3)]);
    expect(lost).to.have.length(1);
    expect(feed.position!.offset).to.equal(3);
  });

  it('delivers what is new, and nothing twice, in a new epoch that has kept entries', async () => {
    const { append, delivered, feed, journal, receive, told } = setUp();
    await feed.open();
    for (const value of values(3)) {
      await append(value);
      receive(told.at(-1)!);
    }
    const { epoch } = feed.position!;

    await journal.positions(['topic'], new Map([['topic', { epoch, offset: 9, id: 'lost' }]]));
    await append('m4');
    receive(told.at(-1)!);
    await feed.fill();

    expect(delivered).to.deep.equal(values(4));
    expect(feed.position!.epoch).to.not.equal(epoch);
  });

  it('renews the epoch if the journal does not have what other nodes have seen', async () => {
    const { append, feed, lost, receive, told } = setUp();
    await feed.open();
    await append('m1');
    receive(told[0]!);
    const { epoch } = feed.position!;

    receive({ epoch, offset: 5, id: 'lost', value: 'lost' });
    await feed.fill();
    await append('m2');
    receive(told.at(-1)!);

    expect(lost).to.have.length(1);
    expect(feed.position).to.include({ offset: 2, id: 'id-m2' });
    expect(feed.position!.epoch).to.not.equal(epoch);
  });

  it('skips entries that are not messages', async () => {
    const { append, delivered, feed } = setUp();
    await feed.open();
    for (const value of ['m1', 'broken', 'm2']) await append(value);

    await feed.fill();

    expect(delivered).to.deep.equal(['m1', 'm2']);
  });

  it('reports that the journal cannot be reached, and opens later', async () => {
    const journal = new MemoryJournal();
    const positions = journal.positions.bind(journal);
    journal.positions = () => Promise.reject(new Error('away'));
    const { append, delivered, feed, receive, told } = setUp(journal);
    const failed = await feed.open().then(() => 'none', (error: unknown) => (error as Error).message);
    journal.positions = positions;
    await append('m1');
    receive(told[0]!);

    await feed.open();

    expect(failed).to.equal('away');
    expect(delivered).to.deep.equal(['m1']);
  });

  it('keeps a limited number of entries that came too early', async () => {
    const { append, delivered, feed, receive, told } = setUp();
    await feed.open();
    for (const value of values(1_500)) await append(value, 2_000);

    for (const entry of told.slice(1)) receive(entry);
    await feed.fill();

    expect(delivered).to.deep.equal(values(1_500));
  });

  it('delivers nothing after it was closed', async () => {
    const { append, delivered, feed } = setUp();
    await feed.open();
    for (const value of values(3)) await append(value);

    const filling = feed.fill();
    feed.close();
    await filling;

    expect(delivered).to.deep.equal([]);
  });
});
