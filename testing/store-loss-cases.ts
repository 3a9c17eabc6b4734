import assert from 'node:assert/strict';
import type { Store } from '../index.ts';
import { codeOf, storeTest as test, type StoreBench } from './store-bench.ts';
import { named, reapAll } from './store-lease-cases.ts';

async function forgetful(bench: StoreBench): Promise<[Store, Store, string]> {
  const a = await bench.node('a');
  const b = await bench.store();
  const { generation } = await b.lease('b', bench.shortTtl * 2);
  await a.put('key', 'lost');
  await b.enter('set', 'member', { holder: 'h' });
  await bench.backend.forget!();
  return [a, b, generation];
}

/** For backends that can lose their data. */
export const forgetTests = [
  test('changes the generation when data was lost, and keeps the leases', async (bench) => {
    const [a, b, before] = await forgetful(bench);

    const leases = [await a.renew(), await b.renew()];

    assert.notEqual(leases[0]!.generation, before);
    assert.equal(leases[0]!.generation, leases[1]!.generation);
    assert.deepEqual(await a.get(['key']), [undefined]);
    assert.deepEqual(await a.sizes(['set']), [0]);
  }),

  test('accepts writes after data was lost, and releases the seats of a node that crashed then', async (bench) => {
    const [a, b] = await forgetful(bench);

    const entered = await b.enter('set', 'member', { holder: 'h' });
    await bench.pass(bench.shortTtl * 2);
    const reaped = named(await reapAll(a));

    assert.deepEqual(entered, { first: true, size: 1 });
    assert.deepEqual(reaped, ['set member h true']);
  }),

  test('refuses newcomers after data was lost, until the node renews its lease', async (bench) => {
    const [a, b] = await forgetful(bench);
    const newcomers = (store: Store): Promise<string[]> => Promise.all([
      codeOf(store.enter('limited', 'new', { holder: 'n', max: 1 })), codeOf(store.put('new', 1, { if: 'absent' })),
    ]);

    await b.renew();
    const unaware = await newcomers(a);
    const returned = await codeOf(b.enter('limited', 'member', { holder: 'h', max: 1 }));
    await a.renew();

    assert.deepEqual([unaware, returned], [['STORE_DATA_LOST', 'STORE_DATA_LOST'], 'none']);
    assert.deepEqual(await newcomers(a), ['STORE_FULL', 'none']);
    assert.deepEqual(await b.sizes(['limited']), [1]);
  }),

  test('gives no version twice, also after data was lost', async (bench) => {
    const a = await bench.node('a');
    const before = [await a.put('key', 1), await a.put('key', 2)];
    await bench.backend.forget!();

    const after = [await a.put('key', 1), await a.put('key', 2)];

    assert.equal(new Set([...before, ...after]).size, 4);
  }),
];
