import assert from 'node:assert/strict';
import type { Json, Store } from '../index.ts';
import { eventually } from './eventually.ts';
import { codeOf, storeTest as test } from './store-bench.ts';

const NAMES = [
  '__proto__',
  'constructor',
  'a b',
  'a:b',
  '{a}',
  'a}b',
  '*',
  'h?llo',
  'ä',
  '房间',
  '🙂',
  'a\nb',
  '\0',
  '0',
  'x'.repeat(600),
];

const valueOf = async (store: Store, key: string): Promise<unknown> => (await store.get([key]))[0]?.value;

/** The keys with which a watcher is called. */
function watched(store: Store): (string | undefined)[] {
  const keys: (string | undefined)[] = [];
  store.watch((key) => keys.push(key));
  return keys;
}

export const documentTests = [
  test('returns to every node what one of them wrote, and undefined for a missing document', async (bench) => {
    const [a, b] = await bench.nodes('a', 'b') as [Store, Store];

    const version = await a.put('one', { n: 1 });
    const found = await b.get(['none', 'one', 'one']);

    assert.deepEqual(found, [undefined, { value: { n: 1 }, version }, { value: { n: 1 }, version }]);
    assert.deepEqual(await b.get([]), []);
  }),

  test('keeps values as JSON writes them, and shares no object', async (bench) => {
    const [a, b] = await bench.nodes('a', 'b') as [Store, Store];
    const inner = { list: [1] };
    const values: Json[] = [
      null,
      true,
      false,
      0,
      -1.5,
      1e21,
      2 ** 53 - 1,
      '',
      'text',
      '"\\\u2028\ud800',
      [],
      {},
      [[], {}],
      { inner, same: inner },
      JSON.parse('{"__proto__":{"x":1}}') as Json,
      { date: new Date(0) as unknown as string, gone: undefined as unknown as null },
    ];

    for (const [index, value] of values.entries()) await a.put(`k${index}`, value);
    inner.list.push(2);
    const read = (await b.get(values.map((_, index) => `k${index}`))).map((found) => found!.value);
    (read[13] as { inner: { list: number[] } }).inner.list.push(3);

    const expected = values.map((value) => JSON.stringify(value));
    expected[13] = '{"inner":{"list":[1,3]},"same":{"list":[1]}}';
    assert.deepEqual(read.map((value) => JSON.stringify(value)), expected);
    assert.deepEqual(await valueOf(b, 'k13'), { inner: { list: [1] }, same: { list: [1] } });
  }),

  test('takes every name literally', async (bench) => {
    const [a, b] = await bench.nodes('a', 'b') as [Store, Store];

    for (const name of NAMES) {
      await a.put(name, name);
      await a.enter(name, name, { holder: name, value: name });
    }

    assert.deepEqual((await b.get(NAMES)).map((found) => found?.value), NAMES);
    assert.deepEqual(await b.sizes(NAMES), NAMES.map(() => 1));
    for (const name of NAMES) {
      assert.deepEqual((await b.members(name, { limit: 10 })).members, [{ id: name, value: name }]);
      assert.deepEqual(await b.leave(name, name, { holder: name }), { last: true, size: 0 });
    }
  }),

  test('keeps values of any length up to 16 MiB, and refuses longer ones', async (bench) => {
    const [a, b] = await bench.nodes('a', 'b') as [Store, Store];

    for (const length of [257, 70_000, 2_000_000]) {
      const value = { text: 'ä'.repeat(length / 2), more: [length] };
      await Promise.all([a.put('long', value), a.enter('set', 'long', { holder: 'a1', value })]);
      const { members } = await b.members('set', { limit: 1 });

      assert.deepEqual(await valueOf(b, 'long'), value);
      assert.deepEqual(members, [{ id: 'long', value }]);
    }
    const tooLong = 'x'.repeat(16_777_216);
    assert.equal(await codeOf(a.put('long', tooLong)), 'OPTION_INVALID');
    assert.equal(await codeOf(a.enter('set', 'other', { holder: 'a1', value: [tooLong] })), 'OPTION_INVALID');
    assert.deepEqual(await b.sizes(['set']), [1]);
  }),

  test('refuses arguments that it cannot keep with OPTION_INVALID', async (bench) => {
    const store = await bench.node('a');
    const circle: Record<string, unknown> = {};
    circle['circle'] = circle;

    const refused = [
      store.put('', 1),
      store.put('\ud800', 1),
      store.put('k', undefined as unknown as Json),
      store.put('k', circle as Json),
      store.put('k', 1, { ttl: 0 }),
      store.put('k', 1, { ttl: Number.NaN }),
      store.get([7 as unknown as string]),
      store.touch(['k'], -1),
      store.enter('', 'm'),
      store.enter('s', ''),
      store.enter('s', 'm', { holder: '' }),
      store.enter('s', 'm', { max: 0 }),
      store.enter('s', 'm', { holder: 'h', ttl: 1_000 }),
      store.enter('s', 'm', { value: 1n as unknown as Json }),
      store.leave('s', 'm', { keepFor: 0 }),
      store.members('s', { limit: 0 }),
      store.members('s', { limit: 1_001 }),
      store.sizes(['']),
      store.take('r', { burst: 0, per: 1 }, 1),
      store.take('r', { burst: 1, per: 0 }, 1),
      store.take('r', { burst: 1, per: 1 }, 0),
      store.lease('', 1_000),
      store.lease('a', 0),
    ];

    for (const [index, code] of (await Promise.all(refused.map(codeOf))).entries()) {
      assert.equal(code, 'OPTION_INVALID', `#${index}`);
    }
    assert.deepEqual(await store.get(['k']), [undefined]);
    assert.deepEqual(await store.sizes(['s']), [0]);
  }),

  test('replaces a document only if it has the expected version', async (bench) => {
    const [a, b] = await bench.nodes('a', 'b') as [Store, Store];

    const first = await a.put('key', 1, { if: 'absent' });
    const second = await b.put('key', 2, { if: first });
    const codes = await Promise.all(
      [
        a.put('key', 3, { if: 'absent' }),
        a.put('key', 3, { if: first }),
        a.put('none', 3, { if: first }),
        a.delete('key', { if: first }),
      ].map(codeOf),
    );

    assert.deepEqual(codes, Array<string>(4).fill('STORE_CONFLICT'));
    assert.deepEqual(await b.get(['key', 'none']), [{ value: 2, version: second }, undefined]);
    assert.equal(await a.delete('key', { if: second }), true);
    assert.equal(await valueOf(b, 'key'), undefined);
  }),

  test('lets exactly one of several nodes replace a version', async (bench) => {
    const nodes = await bench.nodes('a', 'b', 'c');
    const version = await nodes[0]!.put('key', 0);

    const attempts = Array.from({ length: 30 }, (_, index) =>
      codeOf(nodes[index % 3]!.put('key', index, { if: version })),
    );
    const codes = await Promise.all(attempts);

    assert.equal(codes.filter((code) => code === 'none').length, 1);
    assert.equal(codes.filter((code) => code === 'STORE_CONFLICT').length, 29);
    assert.equal(await valueOf(nodes[1]!, 'key'), codes.indexOf('none'));
  }),

  test('gives no version twice', async (bench) => {
    const [a, b] = await bench.nodes('a', 'b') as [Store, Store];

    const versions = [await a.put('key', 1), await a.put('key', 1), await b.put('key', 1)];
    await a.delete('key');
    versions.push(await b.put('key', 1), await a.put('other', 1));

    assert.equal(new Set(versions).size, 5);
    assert.equal(await codeOf(a.put('key', 2, { if: versions[2]! })), 'STORE_CONFLICT');
  }),

  test('returns whether there was a document to delete', async (bench) => {
    const [a, b] = await bench.nodes('a', 'b') as [Store, Store];
    const version = await a.put('key', 1);

    const deleted = [await b.delete('key'), await a.delete('key'), await a.delete('key', { if: version })];

    assert.deepEqual(deleted, [true, false, false]);
  }),

  test('deletes a document after its ttl, and keeps one without a ttl', async (bench) => {
    const store = await bench.node('a');
    await store.put('ends', 1, { ttl: bench.shortTtl });
    await store.put('stays', 1);
    await store.put('was to end', 1, { ttl: bench.shortTtl });
    await store.put('was to end', 2);

    await bench.pass(bench.shortTtl);

    assert.deepEqual(
      (await store.get(['ends', 'stays', 'was to end'])).map((found) => found?.value),
      [undefined, 1, 2],
    );
    assert.equal(await store.delete('ends'), false);
    assert.equal(await codeOf(store.put('ends', 2, { if: 'absent' })), 'none');
  }),

  test('touch extends the ttl of documents, keeps their versions, and creates none', async (bench) => {
    const [a, b] = await bench.nodes('a', 'b') as [Store, Store];
    const version = await a.put('key', 1, { ttl: bench.shortTtl });

    await b.touch(['key', 'none'], bench.shortTtl * 4);
    await bench.pass(bench.shortTtl);
    const kept = await a.get(['key', 'none']);
    await b.touch(['key'], bench.shortTtl);
    await bench.pass(bench.shortTtl);

    assert.deepEqual(kept, [{ value: 1, version }, undefined]);
    assert.deepEqual(await a.get(['key']), [undefined]);
  }),

  test('notifies the watchers of all nodes of each change, those of the same node at once', async (bench) => {
    const [a, b] = await bench.nodes('a', 'b') as [Store, Store];
    const [here, there] = [watched(a), watched(b)];
    await eventually('the watchers to be notified', async () => {
      await a.put('probe', 1);
      return there.includes('probe');
    });

    await a.put('written', 1);
    const atOnce = here.includes('written');
    await a.delete('written');
    await a.put('last', 1);
    await eventually('the last change', () => there.includes('last') && here.includes('last'));

    assert.equal(atOnce, true);
    for (const keys of [here, there]) {
      assert.ok(keys.filter((key) => key === 'written').length >= 2, `notified of ${keys.join(', ')}`);
    }
  }),

  test('notifies no watcher of a call that changed nothing, and no watcher that has stopped', async (bench) => {
    const [a, b] = await bench.nodes('a', 'b') as [Store, Store];
    const kept = watched(b);
    const stopped: (string | undefined)[] = [];
    const stop = b.watch((key) => stopped.push(key));
    await a.put('key', 1);
    stop();
    stop();
    await eventually('a notice', async () => {
      await a.put('probe', 1);
      return kept.includes('probe');
    });
    const before = stopped.length;

    await codeOf(a.put('conflict', 1, { if: 'other' }));
    await a.delete('missing');
    await a.put('end', 1);
    await eventually('the end', () => kept.includes('end'));

    assert.equal(stopped.length, before);
    assert.deepEqual(kept.filter((key) => key === 'conflict' || key === 'missing'), []);
  }),

  test('runs the calls of one node in order', async (bench) => {
    const store = await bench.node('a');

    const [, one, , two, , three, , sizes, , none] = await Promise.all([
      store.put('key', 1),
      store.get(['key']),
      store.put('key', 2),
      store.get(['key']),
      store.delete('key'),
      store.get(['key']),
      store.enter('set', 'm', { holder: 'h' }),
      store.sizes(['set']),
      store.leave('set', 'm', { holder: 'h' }),
      store.sizes(['set']),
    ]);

    assert.deepEqual([one[0]?.value, two[0]?.value, three[0]], [1, 2, undefined]);
    assert.deepEqual([sizes, none], [[1], [0]]);
  }),

  test('shares nothing with another backend', async (bench) => {
    const a = await bench.node('a');
    const other = await (await bench.another()).store();
    await other.lease('a', 60_000);

    await a.put('key', 1);
    await a.enter('set', 'member', { holder: 'h' });

    assert.deepEqual(await other.get(['key']), [undefined]);
    assert.deepEqual(await other.sizes(['set']), [0]);
  }),

  test('grants the tokens of a rate to all nodes together, as many as there are', async (bench) => {
    const nodes = await bench.nodes('a', 'b', 'c');
    const rate = { burst: 10, per: 3_600_000 };

    const taken = await Promise.all(Array.from({ length: 9 }, (_, index) => nodes[index % 3]!.take('rate', rate, 3)));
    const other = await nodes[0]!.take('other', rate, 10);

    assert.equal(taken.reduce((sum, { granted }) => sum + granted, 0), 10);
    assert.deepEqual(taken.map(({ granted }) => granted).sort(), [0, 0, 0, 0, 0, 1, 3, 3, 3]);
    for (const { granted, retryAfter } of taken) assert.equal(retryAfter > 0, granted < 3);
    assert.deepEqual(other, { granted: 10, retryAfter: 0 });
  }),

  test('refills tokens as time passes, after `retryAfter` at the latest', async (bench) => {
    const store = await bench.node('a');
    const rate = { burst: 4, per: bench.shortTtl * 4 };
    await store.take('rate', rate, 4);

    const empty = await store.take('rate', rate, 1);
    await bench.pass(empty.retryAfter);
    const one = await store.take('rate', rate, 1);
    await bench.pass(bench.shortTtl * 5);
    const full = await store.take('rate', rate, 9);

    assert.equal(empty.granted, 0);
    assert.ok(empty.retryAfter > 0 && empty.retryAfter <= bench.shortTtl, `retryAfter is ${empty.retryAfter}`);
    assert.equal(one.granted, 1);
    assert.equal(full.granted, 4);
  }),

  test('applies a changed rate', async (bench) => {
    const store = await bench.node('a');
    await store.take('rate', { burst: 100, per: 3_600_000 }, 1);

    const smaller = await store.take('rate', { burst: 5, per: 3_600_000 }, 99);

    assert.equal(smaller.granted, 5);
  }),
];
