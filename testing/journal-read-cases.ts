import assert from 'node:assert/strict';
import type { Journal, JournalRange, Position } from '../index.ts';
import { fill, journalTest as test, ROOMY, valuesOf } from './journal-bench.ts';
import { codeOf } from './store-bench.ts';

const NAMES = ['__proto__', 'constructor', 'a b', 'a:b', '{a}', '*', 'h?llo', '房间', '🙂', 'a\nb', '\0', 'x'.repeat(600)];

export const readTests = [
  test('reads a range from either end, and says whether entries of it were removed', async (bench) => {
    const journal = await bench.journal();
    await fill(journal, 'topic', ['1', '2', '3', '4', '5', '6', '7', '8'], 5);
    type Case = readonly [range: Omit<JournalRange, 'limit'>, limit: number, values: string, complete: boolean];
    const cases: readonly Case[] = [
      [{}, 10, '45678', false], [{}, 2, '45', false], [{ reverse: true }, 2, '87', false],
      [{ after: 3 }, 10, '45678', true], [{ after: 2 }, 10, '45678', false], [{ after: 6 }, 10, '78', true],
      [{ after: 6, reverse: true }, 1, '8', true], [{ before: 6 }, 10, '45', false],
      [{ before: 6, reverse: true }, 1, '5', false], [{ after: 4, before: 7 }, 10, '56', true],
      [{ after: 8 }, 10, '', true], [{ after: 1e9 }, 10, '', true], [{ before: 0 }, 10, '', true],
      [{ before: 1 }, 10, '', true], [{ before: 3 }, 10, '', false], [{ after: 5, before: 5 }, 10, '', true],
      [{ after: 1, before: 3 }, 10, '', false], [{ before: 1e9, reverse: true }, 3, '876', false],
    ];

    for (const [range, limit, values, complete] of cases) {
      const page = await journal.read('topic', { ...range, limit });
      assert.deepEqual(
        [page.entries.map(({ value }) => value).join(''), page.complete, page.top.offset], [values, complete, 8],
        JSON.stringify({ ...range, limit }),
      );
    }
  }),

  test('refuses ranges that are no page', async (bench) => {
    const journal = await bench.journal();
    const read = (range: object): Promise<string> => codeOf(journal.read('topic', { limit: 1, ...range }));

    for (const limit of [0, -1, 1e9, 1_001, 1.5, NaN, '5', undefined]) {
      assert.equal(await read({ limit }), 'OPTION_INVALID', String(limit));
    }
    for (const offset of [-1, 0.5, NaN, Infinity, '1']) {
      assert.equal(await read({ after: offset }), 'OPTION_INVALID', String(offset));
      assert.equal(await read({ before: offset }), 'OPTION_INVALID', String(offset));
    }
    for (const reverse of ['false', 0, 1, null]) {
      assert.equal(await read({ reverse }), 'OPTION_INVALID', String(reverse));
    }
    assert.equal(await read({ limit: 1_000, reverse: false }), 'none');
  }),

  test('returns values of about 1 MiB at once, and at least one', async (bench) => {
    const journal = await bench.journal();
    const value = 'x'.repeat(400_000);
    for (const id of ['a', 'b', 'c', 'd']) await journal.append('topic', { id, value }, ROOMY);
    await journal.append('topic', { id: 'e', value: value.repeat(4) }, ROOMY);
    const sizes: number[] = [];

    for (let after = 0; after < 5;) {
      const { entries } = await journal.read('topic', { after, limit: 100 });
      sizes.push(entries.length);
      after = entries.at(-1)!.offset;
    }

    assert.deepEqual(sizes, [2, 2, 1]);
  }),

  test('keeps topics, ids, keys and values with any characters apart', async (bench) => {
    const [a, b] = await bench.journals(2) as [Journal, Journal];
    for (const name of NAMES) {
      await a.append(name, { id: name, value: name }, { ...ROOMY, idempotencyKey: name });
    }

    for (const name of NAMES) {
      assert.deepEqual((await b.read(name, { limit: 5 })).entries, [{ offset: 1, id: name, value: name }]);
    }
  }),

  test('replaces the value of a redacted entry, for every node', async (bench) => {
    const [a, b] = await bench.journals(2) as [Journal, Journal];
    await fill(a, 'topic', ['1', '2', '3'], 2);
    const [{ epoch }] = await a.positions(['topic']) as [Position];
    const redact = (position: Partial<Position>, topic = 'topic'): Promise<boolean> =>
      b.redact(topic, { epoch, offset: 2, id: 'id-2', ...position }, 'gone');

    const refused = [
      await redact({ epoch: 'other' }), await redact({ id: 'id-3' }), await redact({ offset: 3 }),
      await redact({ offset: 1, id: 'id-1' }), await redact({ offset: 9 }), await redact({ offset: 0, id: '' }),
      await redact({}, 'other'),
    ];
    const before = await valuesOf(a, 'topic');
    const done = [await redact({}), await redact({})];

    assert.deepEqual(refused, refused.map(() => false));
    assert.deepEqual(before, ['2', '3']);
    assert.deepEqual(done, [true, true]);
    assert.deepEqual(await valuesOf(a, 'topic'), ['gone', '3']);
    assert.deepEqual(await a.positions(['topic']), [{ epoch, offset: 3, id: 'id-3' }]);
  }),

  test('begins a dropped history again with another epoch, and without its keys', async (bench) => {
    const [a, b] = await bench.journals(2) as [Journal, Journal];
    const options = { ...ROOMY, idempotencyKey: 'key' };
    const first = await a.append('topic', { id: 'x', value: 'old' }, options);
    await fill(a, 'other', ['stays']);

    await b.drop('topic');
    await b.drop('topic');
    await b.drop('never named');
    const again = await a.append('topic', { id: 'x', value: 'new' }, options);

    assert.notEqual(again.epoch, first.epoch);
    assert.deepEqual([again.offset, again.duplicate], [1, false]);
    assert.deepEqual([await valuesOf(b, 'topic'), await valuesOf(b, 'other')], [['new'], ['stays']]);
  }),
];
