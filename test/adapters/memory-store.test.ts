import { expect } from 'chai';
import { MemoryAdapter } from '../../adapters/memory.ts';
import { MemoryStore } from '../../adapters/memory/memory-store.ts';
import { StoreData } from '../../adapters/memory/store-data.ts';
import { storeCases, storeSuite } from '../../testing/index.ts';
import { ManualClock } from '../support/manual-clock.ts';

function backend() {
  const clock = new ManualClock();
  const data = new StoreData(clock);
  return {
    clock, data,
    store: () => new MemoryStore(data),
    advance: (milliseconds: number) => clock.advance(milliseconds),
    forget: () => data.forget(),
  };
}

storeSuite('memory', backend, { forgets: true });

describe('the store of a memory adapter', () => {
  const cases = storeCases(() => {
    const bus = {};
    return { store: () => new MemoryAdapter(bus).store };
  });

  // The system's clock: one lease that expires, and one that is waited for.
  for (const title of ['waits until the lease of a crashed run has expired', 'returns each seat of an expired node to exactly one caller of reap']) {
    it(title, cases.find((one) => one.title === title)!.run);
  }

  it('is separate for each bus', async () => {
    const [one, other] = [new MemoryAdapter({}).store, new MemoryAdapter({}).store];
    await Promise.all([one.lease('a', 60_000), other.lease('a', 60_000)]);

    await one.put('key', 1);

    expect(await other.get(['key'])).to.deep.equal([undefined]);
  });
});

describe('the memory store', () => {
  it('drops expired entries during writes, without a timer', async () => {
    const { clock, data, store } = backend();
    const node = store();
    await node.lease('a', 1e9);
    for (let index = 0; index < 500; index++) {
      await node.put(`ends-${index}`, index, { ttl: 1_000 });
      await node.enter(`ends-${index}`, 'member', { ttl: 1_000 });
      await node.enter(`kept-${index}`, 'member', { holder: 'h' });
      await node.leave(`kept-${index}`, 'member', { holder: 'h', keepFor: 1_000 });
      await node.take(`rate-${index}`, { burst: 5, per: 1_000 }, 1);
    }
    const before = data.sizes;

    clock.advance(1_001);
    for (let index = 0; index < 1_200; index++) {
      await node.put('key', index);
      await node.enter('set', 'member');
      await node.take('rate', { burst: 5, per: 1_000 }, 1);
    }

    expect(before).to.deep.equal({ documents: 500, sets: 1_000, rates: 500, runs: 1 });
    expect(data.sizes).to.deep.equal({ documents: 1, sets: 1, rates: 1, runs: 1 });
  });

  it('keeps nothing of a node that crashed and was reaped', async () => {
    const { clock, data, store } = backend();
    const [survivor] = [store()];
    await survivor.lease('survivor', 1e9);
    for (let index = 0; index < 20; index++) {
      const node = store();
      await node.lease('restarting', 1_000);
      await node.enter(`set-${index}`, 'member', { holder: 'h' });
      clock.advance(1_001);
    }

    while ((await survivor.reap()).length > 0);

    expect(data.sizes).to.deep.equal({ documents: 0, sets: 0, rates: 0, runs: 1 });
  });

  it('warns of a watcher that throws, and calls the others', async () => {
    const node = backend().store();
    await node.lease('a', 1_000);
    const warnings: Error[] = [];
    const warned = (warning: Error) => warnings.push(warning);
    process.on('warning', warned);
    const told: unknown[] = [];
    node.watch(() => { throw new Error('a watcher'); });
    node.watch((key) => told.push(key));

    await node.put('key', 1);
    await new Promise(setImmediate);
    process.off('warning', warned);

    expect(told).to.deep.equal(['key']);
    expect(warnings.map(({ message }) => message)).to.deep.equal(['a watcher']);
  });
});
