import assert from 'node:assert/strict';
import type { Store } from '../index.ts';
import { codeOf, storeTest as test } from './store-bench.ts';

const idsOf = async (store: Store, set = 'set'): Promise<string[]> =>
  (await store.members(set, { limit: 1_000 })).members.map(({ id }) => id);

/** Reads all pages, and calls `between` after each one. */
async function pages(store: Store, limit: number, between: () => unknown = () => undefined): Promise<string[][]> {
  const all: string[][] = [];
  let cursor: string | undefined;
  do {
    const page = await store.members('set', { cursor, limit });
    all.push(page.members.map(({ id }) => id));
    cursor = page.cursor;
    await between();
  } while (cursor !== undefined);
  return all;
}

export const setTests = [
  test('reports once that a member entered, and once that it left, whatever holds its seats', async (bench) => {
    const [a, b] = await bench.nodes('a', 'b') as [Store, Store];

    const entered = [
      await a.enter('set', 'user', { holder: 'a1' }), await a.enter('set', 'user', { holder: 'a2' }),
      await b.enter('set', 'user', { holder: 'b1' }), await b.enter('set', 'other', { holder: 'b2' }),
      await a.enter('set', 'user', { holder: 'a1' }),
    ];
    const left = [
      await a.leave('set', 'user', { holder: 'a1' }), await a.leave('set', 'user', { holder: 'a1' }),
      await b.leave('set', 'user', { holder: 'b1' }), await a.leave('set', 'user', { holder: 'a2' }),
      await a.leave('set', 'user', { holder: 'a2' }), await a.leave('set', 'unknown'), await a.leave('empty', 'user'),
    ];

    assert.deepEqual(
      entered.map(({ first, size }) => [first, size]),
      [
        [true, 1],
        [false, 1],
        [false, 1],
        [true, 2],
        [false, 2],
      ],
    );
    assert.deepEqual(left.map(({ last, size }) => [last, size]), [
      [false, 2], [false, 2], [false, 2], [true, 1], [false, 1], [false, 1], [false, 0],
    ]);
    assert.deepEqual(await b.sizes(['set', 'empty', 'set']), [1, 0, 1]);
  }),

  test('releases all seats of a member without a holder, on all nodes', async (bench) => {
    const [a, b] = await bench.nodes('a', 'b') as [Store, Store];
    await a.enter('set', 'user', { holder: 'a1' });
    await b.enter('set', 'user', { holder: 'b1' });
    await b.enter('set', 'user');

    const kicked = await a.leave('set', 'user');
    const late = await b.leave('set', 'user', { holder: 'b1' });

    assert.deepEqual([kicked, late], [{ last: true, size: 0 }, { last: false, size: 0 }]);
    assert.deepEqual(await idsOf(b), []);
  }),

  test('never has more members than `max`, whatever enters at once', async (bench) => {
    const nodes = await bench.nodes('a', 'b', 'c');

    const codes = await Promise.all(Array.from({ length: 90 }, (_, index) =>
      codeOf(nodes[index % 3]!.enter('set', `m${index}`, { holder: `h${index}`, max: 20 }))));

    assert.equal(codes.filter((code) => code === 'none').length, 20);
    assert.equal(codes.filter((code) => code === 'STORE_FULL').length, 70);
    assert.deepEqual(await nodes[0]!.sizes(['set']), [20]);
    assert.equal((await idsOf(nodes[1]!)).length, 20);
  }),

  test('lets members of a full set enter again, and changes nothing when it refuses', async (bench) => {
    const [a, b] = await bench.nodes('a', 'b') as [Store, Store];
    await a.enter('set', 'one', { holder: 'a1', max: 1 });

    const again = await b.enter('set', 'one', { holder: 'b1', max: 1 });
    const refused = await codeOf(b.enter('set', 'two', { holder: 'b2', max: 1, replaces: 'nothing', value: 'new' }));
    await a.leave('set', 'one');
    const free = await b.enter('set', 'two', { holder: 'b2', max: 1 });

    assert.deepEqual(again, { first: false, size: 1 });
    assert.equal(refused, 'STORE_FULL');
    assert.deepEqual(free, { first: true, size: 1 });
    assert.deepEqual((await a.members('set', { limit: 9 })).members, [{ id: 'two', value: null }]);
  }),

  test('gives the place of a guest in a full set to the member that replaces it', async (bench) => {
    const [a, b] = await bench.nodes('a', 'b') as [Store, Store];
    await a.enter('set', 'guest', { holder: 'h1', max: 2 });
    await a.enter('set', 'other', { holder: 'h2', max: 2 });

    const replaced = await a.enter('set', 'user', { holder: 'h1', max: 2, replaces: 'guest' });
    const late = await a.leave('set', 'guest', { holder: 'h1' });
    const refused = await codeOf(b.enter('set', 'third', { max: 2 }));

    assert.deepEqual(replaced, { first: true, size: 2 });
    assert.deepEqual(late, { last: false, size: 2 });
    assert.equal(refused, 'STORE_FULL');
    assert.deepEqual((await idsOf(b)).sort(), ['other', 'user']);
  }),

  test('counts a user once if the user was in the set before the guest became that user', async (bench) => {
    const [a, b] = await bench.nodes('a', 'b') as [Store, Store];
    await b.enter('set', 'user', { holder: 'b1' });
    await a.enter('set', 'guest', { holder: 'a1' });

    const replaced = await a.enter('set', 'user', { holder: 'a1', replaces: 'guest' });
    await b.leave('set', 'user', { holder: 'b1' });

    assert.deepEqual(replaced, { first: false, size: 1 });
    assert.deepEqual(await idsOf(b), ['user']);
  }),

  test('keeps the place of a member that left for a while', async (bench) => {
    const [a, b] = await bench.nodes('a', 'b') as [Store, Store];
    await a.enter('set', 'user', { holder: 'a1', max: 1 });

    const left = await a.leave('set', 'user', { holder: 'a1', keepFor: 60_000 });
    const seen = [await b.sizes(['set']), await idsOf(b)];
    const refused = await codeOf(b.enter('set', 'other', { holder: 'b1', max: 1 }));
    const back = await b.enter('set', 'user', { holder: 'b2', max: 1 });
    await b.leave('set', 'user', { holder: 'b2' });
    const free = await codeOf(b.enter('set', 'other', { holder: 'b1', max: 1 }));

    assert.deepEqual(left, { last: true, size: 0 });
    assert.deepEqual(seen, [[0], []]);
    assert.equal(refused, 'STORE_FULL');
    assert.deepEqual(back, { first: true, size: 1 });
    assert.equal(free, 'none');
  }),

  test('ends a kept place after its time, and when all seats of the member are released', async (bench) => {
    const store = await bench.node('a');
    for (const member of ['one', 'two']) {
      await store.enter('set', member, { holder: member, max: 2 });
      await store.leave('set', member, { holder: member, keepFor: member === 'one' ? bench.shortTtl : 600_000 });
    }
    const full = await codeOf(store.enter('set', 'three', { max: 2 }));

    await bench.pass(bench.shortTtl);
    const expired = await codeOf(store.enter('set', 'three', { max: 2 }));
    await store.leave('set', 'two');
    const released = await codeOf(store.enter('set', 'four', { max: 2 }));

    assert.deepEqual([full, expired, released], ['STORE_FULL', 'none', 'none']);
  }),

  test('keeps no place for a member that still has another seat', async (bench) => {
    const store = await bench.node('a');
    await store.enter('set', 'user', { holder: 'h1' });
    await store.enter('set', 'user', { holder: 'h2' });

    const first = await store.leave('set', 'user', { holder: 'h1', keepFor: 600_000 });
    await store.leave('set', 'user', { holder: 'h2' });

    assert.deepEqual(first, { last: false, size: 1 });
    assert.equal(await codeOf(store.enter('set', 'other', { max: 1 })), 'none');
  }),

  test('ends seats without a holder after their ttl, unless they are entered again', async (bench) => {
    const [a, b] = await bench.nodes('a', 'b') as [Store, Store];
    await a.enter('set', 'ends', { ttl: bench.shortTtl, max: 3 });
    await a.enter('set', 'again', { ttl: bench.shortTtl, max: 3 });
    await a.enter('set', 'stays', { ttl: bench.shortTtl, max: 3 });
    await b.enter('set', 'again', { ttl: bench.shortTtl * 20 });
    await b.enter('set', 'stays');

    await bench.pass(bench.shortTtl);
    const left = await a.leave('set', 'ends');
    const entered = await codeOf(b.enter('set', 'fourth', { max: 3 }));

    assert.deepEqual(left, { last: false, size: 2 });
    assert.equal(entered, 'none');
    assert.deepEqual(await idsOf(a), ['again', 'stays', 'fourth']);
  }),

  test('keeps a member with a seat of a connection after its seat without a holder ended', async (bench) => {
    const store = await bench.node('a');
    await store.enter('set', 'user', { ttl: bench.shortTtl });
    await store.enter('set', 'user', { holder: 'h' });

    await bench.pass(bench.shortTtl);
    const left = await store.leave('set', 'user', { holder: 'h' });

    assert.deepEqual(left, { last: true, size: 0 });
  }),

  test('returns the last value of a member, which stays if none is given', async (bench) => {
    const [a, b] = await bench.nodes('a', 'b') as [Store, Store];
    await a.enter('set', 'user', { holder: 'a1', value: { name: 'old' } });
    await a.enter('set', 'plain', { holder: 'a2' });

    await b.enter('set', 'user', { holder: 'b1', value: { name: 'new', list: [] } });
    await a.enter('set', 'user', { holder: 'a3' });

    assert.deepEqual((await b.members('set', { limit: 9 })).members, [
      { id: 'user', value: { name: 'new', list: [] } }, { id: 'plain', value: null },
    ]);
  }),

  test('lists the members in pages, in the order in which they entered', async (bench) => {
    const [a, b] = await bench.nodes('a', 'b') as [Store, Store];
    const ids = Array.from({ length: 10 }, (_, index) => `m${(index * 7) % 10}`);
    for (const id of ids) await a.enter('set', id, { holder: `h-${id}` });

    assert.deepEqual(await pages(b, 4), [ids.slice(0, 4), ids.slice(4, 8), ids.slice(8)]);
    assert.deepEqual(await pages(b, 5), [ids.slice(0, 5), ids.slice(5)]);
    assert.deepEqual(await pages(b, 100), [ids]);
    assert.deepEqual(await b.members('none', { limit: 5 }), { members: [], cursor: undefined });
  }),

  test('lists a member that stays exactly once, whatever comes and goes between two pages', async (bench) => {
    const store = await bench.node('a');
    const staying = Array.from({ length: 30 }, (_, index) => `stays-${index}`);
    for (const id of staying) {
      await store.enter('set', id, { holder: id });
      await store.enter('set', `leaves-${id}`, { holder: id });
    }
    let step = 0;

    const listed = (await pages(store, 5, async () => {
      step++;
      await store.leave('set', `leaves-stays-${step}`);
      await store.leave('set', `leaves-stays-${30 - step}`);
      if (step < 10) await store.enter('set', `comes-${step}`, { holder: 'h' });
      await store.enter('set', 'stays-1', { holder: `again-${step}` });
    })).flat();

    assert.deepEqual(listed.filter((id) => id.startsWith('stays')), staying);
    assert.equal(new Set(listed).size, listed.length);
  }),
];
