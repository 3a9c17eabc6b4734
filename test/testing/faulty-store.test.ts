import { expect } from 'chai';
import { MemoryAdapter } from '../../adapters/memory.ts';
import type { Store } from '../../index.ts';
import { crashEverywhere, FaultyStore, type StoreFaults } from '../../testing/index.ts';

const codeOf = (promise: Promise<unknown>) => promise.then(() => 'none', (error: unknown) => (error as { code: string }).code);

/** A store with these faults, and one without on the same bus. */
async function pair(faults: StoreFaults = {}): Promise<[FaultyStore, Store]> {
  const bus = {};
  const [inner, other] = [new MemoryAdapter(bus).store, new MemoryAdapter(bus).store];
  await Promise.all([inner.lease('faulty', 60_000), other.lease('other', 60_000)]);
  return [new FaultyStore(inner, faults), other];
}

describe('the faulty store', () => {
  it('does what the store does without faults', async () => {
    const [faulty, other] = await pair();

    const version = await faulty.put('key', 1);
    await faulty.enter('set', 'm', { holder: 'h' });

    expect(await other.get(['key'])).to.deep.equal([{ value: 1, version }]);
    expect(await other.sizes(['set'])).to.deep.equal([1]);
    expect(faulty.calls).to.equal(2);
  });

  it('fails in the same way for the same seed, and in another for another', async () => {
    const outcome = async (seed: number) => {
      const [faulty] = await pair({ seed, losses: 0.3, lostReplies: 0.3 });
      const codes: string[] = [];
      for (let index = 0; index < 40; index++) codes.push(await codeOf(faulty.put('key', index)));
      return codes.join();
    };

    expect(await outcome(1)).to.equal(await outcome(1));
    expect(await outcome(1)).to.not.equal(await outcome(2));
  });

  it('loses calls without doing them, and replies after doing them', async () => {
    const [lossy, afterLoss] = await pair({ losses: 1 });
    const [deaf, afterReply] = await pair({ lostReplies: 1 });

    const codes = [await codeOf(lossy.put('key', 1)), await codeOf(deaf.put('key', 1))];

    expect(codes).to.deep.equal(['STORE_UNAVAILABLE', 'STORE_UNAVAILABLE']);
    expect(await afterLoss.get(['key'])).to.deep.equal([undefined]);
    expect((await afterReply.get(['key']))[0]?.value).to.equal(1);
  });

  it('returns the seats again whose reply was lost', async () => {
    const bus = {};
    const [dead, inner] = [new MemoryAdapter(bus).store, new MemoryAdapter(bus).store];
    await dead.lease('dead', 60_000);
    for (const holder of ['h1', 'h2']) await dead.enter('set', holder, { holder });
    await dead.release();
    await inner.lease('alive', 60_000);
    const faulty = new FaultyStore(inner, { lostReplies: 0.9 });
    const members: string[] = [];
    const codes = new Set<string>();

    while (members.length < 2) {
      codes.add(await codeOf(faulty.reap().then((seats) => void members.push(...seats.map(({ member }) => member)))));
    }

    expect(members).to.have.members(['h1', 'h2']);
    expect([...codes]).to.include('STORE_UNAVAILABLE');
    while (await codeOf(faulty.reap().then((seats) => expect(seats).to.deep.equal([]))) !== 'none');
  });

  it('does calls twice, and tells of changes twice', async () => {
    const [faulty, other] = await pair({ duplicates: 1 });
    const [told, heard]: [unknown[], (string | undefined)[]] = [[], []];
    faulty.watch((key) => told.push(key));
    other.watch((key) => heard.push(key));

    const version = await faulty.put('key', 1);
    const taken = await faulty.take('rate', { burst: 10, per: 60_000 }, 3);
    const left = await other.take('rate', { burst: 10, per: 60_000 }, 10);

    expect(heard.length).to.equal(2);
    expect(told).to.deep.equal(['key', 'key', 'key', 'key']);
    expect((await other.get(['key']))[0]?.version).to.not.equal(version);
    expect([taken.granted, left.granted]).to.deep.equal([3, 4]);
  });

  it('conflicts where a version is expected, and nowhere else', async () => {
    const [faulty] = await pair({ conflicts: 1 });

    const codes = [
      await codeOf(faulty.put('key', 1)), await codeOf(faulty.put('other', 1, { if: 'absent' })),
      await codeOf(faulty.delete('key', { if: 'x' })), await codeOf(faulty.delete('key')),
    ];

    expect(codes).to.deep.equal(['none', 'STORE_CONFLICT', 'STORE_CONFLICT', 'none']);
  });

  it('says that notices may be missing', async () => {
    const [faulty, other] = await pair({ lostNotices: 1 });
    const told: unknown[] = [];
    faulty.watch((key) => told.push(key));

    await other.put('key', 1);

    expect(told).to.deep.equal([undefined]);
  });

  it('keeps the order of calls that it delays', async () => {
    const [faulty, other] = await pair({ delays: 0.5 });
    const order: number[] = [];

    await Promise.all(Array.from({ length: 30 }, async (_, index) => {
      await faulty.put('key', index);
      order.push(index);
    }));

    expect(order).to.deep.equal(Array.from({ length: 30 }, (_, index) => index));
    expect((await other.get(['key']))[0]?.value).to.equal(29);
  });

  it('does nothing after a crash, and leaves its lease', async () => {
    const [faulty, other] = await pair({ crashAt: 2, crash: 'after' });
    const told: unknown[] = [];
    faulty.watch((key) => told.push(key));

    await faulty.enter('set', 'one', { holder: 'h' });
    const codes = [await codeOf(faulty.enter('set', 'two', { holder: 'h' })), await codeOf(faulty.release())];
    await other.put('key', 1);

    expect(codes).to.deep.equal(['STORE_UNAVAILABLE', 'STORE_UNAVAILABLE']);
    expect([faulty.isCrashed, await other.sizes(['set']), await other.reap()]).to.deep.equal([true, [2], []]);
    expect(told).to.deep.equal([]);
  });

  it('crashes before and after each call of a scenario', async () => {
    const sizes: (number | undefined)[] = [];

    const runs = await crashEverywhere(async (faults) => {
      const [faulty, other] = await pair(faults);
      await codeOf(faulty.enter('set', 'one').then(() => faulty.enter('set', 'two')));
      sizes.push(...await other.sizes(['set']));
      return faulty;
    });

    expect(runs).to.equal(5);
    expect(sizes).to.deep.equal([0, 1, 1, 2, 2]);
  });
});
