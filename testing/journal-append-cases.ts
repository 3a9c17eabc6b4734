import assert from 'node:assert/strict';
import type { Journal, Position } from '../index.ts';
import { eventually } from './eventually.ts';
import { fill, journalTest as test, ROOMY, valuesOf } from './journal-bench.ts';
import { codeOf } from './store-bench.ts';

/** Appends a value with an idempotency key. */
const once = (journal: Journal, value: string, key: string, topic = 'topic') =>
  journal.append(topic, { id: `id-${value}`, value }, { ...ROOMY, idempotencyKey: key });
/** The position of an answer, without `duplicate`. */
const positionOf = ({ epoch, offset, id }: Position): Position => ({ epoch, offset, id });

export const appendTests = [
  test('gives the entries of a topic the offsets 1, 2, 3 in one epoch, for every node', async (bench) => {
    const [a, b] = await bench.journals(2) as [Journal, Journal];

    const one = await a.append('topic', { id: 'x', value: 'one' }, ROOMY);
    const two = await b.append('topic', { id: 'y', value: 'two' }, ROOMY);
    const other = await b.append('other', { id: 'z', value: 'three' }, ROOMY);
    const page = await a.read('topic', { limit: 10 });

    assert.deepEqual(one, { epoch: one.epoch, offset: 1, id: 'x', duplicate: false });
    assert.deepEqual(two, { epoch: one.epoch, offset: 2, id: 'y', duplicate: false });
    assert.equal(other.offset, 1);
    assert.notEqual(other.epoch, one.epoch);
    assert.deepEqual(page, {
      top: positionOf(two),
      entries: [{ offset: 1, id: 'x', value: 'one' }, { offset: 2, id: 'y', value: 'two' }],
      complete: true,
    });
  }),

  test('gives every entry another offset, and keeps the order of each node', async (bench) => {
    const journals = await bench.journals(3);

    const positions = await Promise.all(Array.from({ length: 90 }, (_, index) =>
      journals[index % 3]!.append('topic', { id: `m${index}`, value: `${index}` }, ROOMY)));
    const { entries } = await journals[0]!.read('topic', { limit: 1_000 });

    const offsets = positions.map(({ offset }) => offset);
    assert.deepEqual([...offsets].sort((x, y) => x - y), Array.from({ length: 90 }, (_, index) => index + 1));
    for (const { id, offset } of entries) assert.equal(positions[Number(id.slice(1))]!.offset, offset);
    for (const node of [0, 1, 2]) {
      const own = offsets.filter((_, index) => index % 3 === node);
      assert.deepEqual(own, [...own].sort((x, y) => x - y));
    }
  }),

  test('begins the history of a topic when it is first named', async (bench) => {
    const [a, b] = await bench.journals(2) as [Journal, Journal];

    const [asked, other] = await a.positions(['topic', 'other']);
    const { top } = await b.read('third', { limit: 1 });
    const appended = await b.append('topic', { id: 'x', value: '' }, ROOMY);

    assert.deepEqual(asked, { epoch: asked?.epoch, offset: 0, id: '' });
    assert.equal(new Set([asked.epoch, other?.epoch, top.epoch]).size, 3);
    assert.deepEqual([appended.epoch, appended.offset], [asked.epoch, 1]);
    assert.deepEqual(await a.positions(['third', 'topic']), [top, positionOf(appended)]);
  }),

  test('keeps the last `size` entries', async (bench) => {
    const journal = await bench.journal();
    await fill(journal, 'topic', ['1', '2', '3', '4', '5'], 3);
    const kept = await valuesOf(journal, 'topic');

    await fill(journal, 'topic', ['6'], 1);

    assert.deepEqual(kept, ['3', '4', '5']);
    assert.deepEqual(await valuesOf(journal, 'topic'), ['6']);
    assert.equal((await journal.positions(['topic']))[0]!.offset, 6);
  }),

  test('removes entries after their ttl, and keeps epoch and offset', async (bench) => {
    const [a, b] = await bench.journals(2) as [Journal, Journal];
    const first = await a.append('topic', { id: 'x', value: 'ends' }, { size: 10, ttl: bench.shortTtl });
    const before = await valuesOf(b, 'topic');

    await bench.pass(bench.shortTtl);
    const page = await b.read('topic', { limit: 10 });
    const next = await b.append('topic', { id: 'y', value: 'stays' }, ROOMY);

    assert.deepEqual(before, ['ends']);
    assert.deepEqual(page, { top: positionOf(first), entries: [], complete: false });
    assert.deepEqual([next.epoch, next.offset], [first.epoch, 2]);
    assert.deepEqual(await valuesOf(a, 'topic'), ['stays']);
  }),

  test('appends an entry once, however often its idempotency key comes, from any node', async (bench) => {
    const [a, b] = await bench.journals(2) as [Journal, Journal];
    const first = await once(a, 'one', 'key');
    await once(a, 'two', 'other key');

    const again = await once(b, 'again', 'key');
    const atOnce = await Promise.all([a, b, a, b].map((journal) => once(journal, 'three', 'third key')));
    const elsewhere = await once(a, 'four', 'key', 'other');

    assert.deepEqual(again, { ...first, duplicate: true });
    assert.deepEqual(await valuesOf(a, 'topic'), ['one', 'two', 'three']);
    assert.equal(atOnce.filter(({ duplicate }) => !duplicate).length, 1);
    assert.deepEqual(new Set(atOnce.map(({ offset }) => offset)), new Set([3]));
    assert.deepEqual([elsewhere.offset, elsewhere.duplicate], [1, false]);
  }),

  test('recognizes an idempotency key after its entry was removed', async (bench) => {
    const journal = await bench.journal();
    const first = await once(journal, 'one', 'key');
    await fill(journal, 'topic', ['two', 'three'], 1);

    assert.deepEqual(await once(journal, 'again', 'key'), { ...first, duplicate: true });
    assert.deepEqual(await valuesOf(journal, 'topic'), ['three']);
  }),

  test('forgets an idempotency key after `keyWindow`', async (bench) => {
    const journal = await bench.journal();
    await once(journal, 'one', 'key');

    await bench.pass(journal.keyWindow);
    const later = await once(journal, 'two', 'key');

    assert.deepEqual([later.offset, later.duplicate], [2, false]);
  }),

  test('renews the epoch, and keeps the entries, if an entry that a node has seen is lost', async (bench) => {
    const [a, b] = await bench.journals(2) as [Journal, Journal];
    await fill(a, 'topic', ['1', '2', '3'], 2);
    const [top] = await a.positions(['topic']) as [Position];
    const ask = async (seen: Partial<Position>): Promise<Position> =>
      (await b.positions(['topic'], new Map([['topic', { ...top, ...seen }]])))[0]!;

    const same = [
      await ask({}), await ask({ epoch: 'other', offset: 9 }), await ask({ offset: 2, id: 'id-2' }),
      await ask({ offset: 1, id: 'removed, so nothing is known of it' }), await ask({ offset: 0, id: '' }),
    ];
    const above = await ask({ offset: 4, id: 'lost' });
    const replaced = await ask({ epoch: above.epoch, id: 'lost' });
    const seen = { epoch: replaced.epoch, offset: 7, id: 'lost' };
    const appended = await a.append('topic', { id: 'id-4', value: '4' }, { ...ROOMY, seen });

    for (const one of same) assert.deepEqual(one, top);
    assert.deepEqual([above.offset, replaced.offset, appended.offset], [3, 3, 4]);
    assert.equal(new Set([top.epoch, above.epoch, replaced.epoch, appended.epoch]).size, 4);
    assert.deepEqual(await valuesOf(a, 'topic'), ['2', '3', '4']);
  }),

  test('tells the watchers of all nodes of each entry', async (bench) => {
    const [a, b] = await bench.journals(2) as [Journal, Journal];
    const heard = new Map<string, unknown>();
    // Without this function, nodes tell each other.
    if (!b.watch) return;
    const unwatch = b.watch((topic, entry) => heard.set(`${topic} ${entry.offset}`, entry));
    const own: string[] = [];
    a.watch!((_, { value }) => own.push(value));

    const appended = await a.append('topic', { id: 'x', value: 'one' }, ROOMY);
    await fill(a, 'topic', ['two']);
    await eventually('the watchers hear of both', () => heard.size === 2 && new Set(own).size === 2);
    unwatch();
    await fill(a, 'topic', ['three']);

    assert.deepEqual(heard.get('topic 1'), { ...positionOf(appended), value: 'one' });
    await eventually('the other watcher hears of the third', () => own.includes('three'));
    assert.equal(heard.size, 2);
  }),

  test('refuses wrong arguments', async (bench) => {
    const journal = await bench.journal();
    const append = (topic: string, entry: object, options: object): Promise<string> =>
      codeOf(journal.append(topic, { id: 'x', value: '', ...entry }, { ...ROOMY, ...options }));
    const seen = { epoch: 'e', offset: 1, id: 'x' };

    const codes = [
      await append('', {}, {}), await append('\ud800', {}, {}), await append('topic', { id: '' }, {}),
      await append('topic', { value: 5 }, {}), await append('topic', { value: '\udfff' }, {}),
      await append('topic', {}, { size: 0 }), await append('topic', {}, { size: -1 }),
      await append('topic', {}, { size: 1e9 }), await append('topic', {}, { ttl: 0 }),
      await append('topic', {}, { ttl: NaN }), await append('topic', {}, { idempotencyKey: '' }),
      await append('topic', {}, { seen: { ...seen, offset: -1 } }), await codeOf(journal.positions(['topic', ''])),
      await codeOf(journal.redact('topic', { ...seen, offset: 1.5 }, '')), await codeOf(journal.drop('')),
    ];

    assert.deepEqual(new Set(codes), new Set(['OPTION_INVALID']));
    assert.deepEqual(await valuesOf(journal, 'topic'), []);
  }),
];
