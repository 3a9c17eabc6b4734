import assert from 'node:assert/strict';
import type { Reaped, Store } from '../index.ts';
import { codeOf, LONG, storeTest as test } from './store-bench.ts';

/** Every function that needs a lease. */
const attempts: Readonly<Record<string, (store: Store) => Promise<unknown>>> = {
  renew: (store) => store.renew(),
  reap: (store) => store.reap(),
  held: (store) => store.held(),
  get: (store) => store.get(['key']),
  put: (store) => store.put('key', 'late'),
  delete: (store) => store.delete('key'),
  touch: (store) => store.touch(['key'], 1_000),
  enter: (store) => store.enter('set', 'late', { holder: 'late' }),
  leave: (store) => store.leave('set', 'member'),
  members: (store) => store.members('set', { limit: 10 }),
  sizes: (store) => store.sizes(['set']),
  take: (store) => store.take('rate', { burst: 1, per: 1_000 }, 1),
};

async function codesOf(store: Store): Promise<Readonly<Record<string, string>>> {
  const codes: Record<string, string> = {};
  for (const [name, attempt] of Object.entries(attempts)) codes[name] = await codeOf(attempt(store));
  return codes;
}

const ALL_LOST = Object.fromEntries(Object.keys(attempts).map((name) => [name, 'LEASE_LOST']));

/** Reaps until there is nothing left. */
export async function reapAll(store: Store): Promise<Reaped[]> {
  const reaped: Reaped[] = [];
  for (;;) {
    const some = await store.reap();
    if (some.length === 0) return reaped;
    reaped.push(...some);
  }
}

export const named = (reaped: readonly Reaped[]): string[] =>
  reaped.map(({ set, member, holder, last }) => `${set} ${member} ${holder} ${last}`).sort();

const idsOf = async (store: Store, set: string): Promise<string[]> =>
  (await store.members(set, { limit: 1_000 })).members.map(({ id }) => id);

export const leaseTests = [
  test('gives each lease its own incarnation, and all leases the same generation', async (bench) => {
    const [a, b] = [await bench.store(), await bench.store()];

    const leases = [await a.lease('a', LONG), await b.lease('b', LONG), await b.renew(), await a.lease('a', LONG)];

    const incarnations = leases.map(({ incarnation }) => incarnation);
    assert.equal(new Set(incarnations).size, 3);
    assert.equal(incarnations[1], incarnations[2]);
    assert.equal(new Set(leases.map(({ generation }) => generation)).size, 1);
    for (const { now } of leases) assert.ok(Number.isSafeInteger(now) && now > 0, `now is ${now}`);
    assert.ok(leases[3]!.now >= leases[0]!.now);
  }),

  test('refuses everything with LEASE_LOST before there is a lease', async (bench) => {
    const store = await bench.store();

    assert.deepEqual(await codesOf(store), ALL_LOST);
    await store.release();
  }),

  test('refuses everything with LEASE_LOST after the lease has expired, and writes nothing', async (bench) => {
    const store = await bench.node('a', bench.shortTtl);
    const other = await bench.node('b');
    await other.put('key', 'early');
    await other.enter('set', 'member');

    await bench.pass(bench.shortTtl);

    assert.deepEqual(await codesOf(store), ALL_LOST);
    assert.equal((await other.get(['key']))[0]?.value, 'early');
    assert.deepEqual(await idsOf(other, 'set'), ['member']);
  }),

  test('refuses everything with LEASE_LOST after release, which may be called twice', async (bench) => {
    const store = await bench.node('a');

    await store.release();
    await store.release();

    assert.deepEqual(await codesOf(store), ALL_LOST);
  }),

  test('holds a lease for as long as it is renewed', async (bench) => {
    const store = await bench.node('a', bench.shortTtl);
    const other = await bench.node('b');
    await store.enter('set', 'member', { holder: 'h' });

    for (let index = 0; index < 8; index++) {
      await bench.pass(bench.shortTtl / 4);
      await store.renew();
    }

    assert.deepEqual(await other.reap(), []);
    assert.equal(await codeOf(store.put('key', 1)), 'none');
  }),

  test('refuses an older run after a newer one of the same node began', async (bench) => {
    const old = await bench.node('a', bench.shortTtl);
    await bench.pass(bench.shortTtl);
    const newer = await bench.node('a');

    assert.deepEqual(await codesOf(old), ALL_LOST);
    assert.equal(await codeOf(newer.put('key', 'new')), 'none');
  }),

  test('gives a node whose lease expired a new incarnation', async (bench) => {
    const store = await bench.store();
    const before = await store.lease('a', bench.shortTtl);
    await store.enter('set', 'member', { holder: 'h' });
    await bench.pass(bench.shortTtl);

    const after = await store.lease('a', LONG);
    const swept = named(await reapAll(store));
    const entered = await store.enter('set', 'member', { holder: 'h' });

    assert.notEqual(after.incarnation, before.incarnation);
    assert.deepEqual(swept, ['set member h true']);
    assert.deepEqual(entered, { first: true, size: 1 });
  }),

  test('begins at once after a release', async (bench) => {
    const first = await bench.node('a', LONG);
    await first.release();

    const second = await bench.node('a');

    assert.equal(await codeOf(second.put('key', 1)), 'none');
  }),

  test('waits until the lease of a crashed run has expired', async (bench) => {
    await bench.node('a', bench.shortTtl);
    const restarted = await bench.store();
    let begun = false;

    const lease = restarted.lease('a', LONG).then(() => { begun = true; });
    await bench.pass(bench.shortTtl / 4);
    const early = begun;
    await bench.pass(bench.shortTtl);
    await lease;

    assert.equal(early, false);
    assert.equal(await codeOf(restarted.put('key', 1)), 'none');
  }),

  test('refuses a node id with NODE_ID_TAKEN while another run renews', async (bench) => {
    const first = await bench.node('a', bench.shortTtl);
    const second = await bench.store();

    const code = codeOf(second.lease('a', LONG));
    for (let index = 0; index < 6; index++) {
      await bench.pass(bench.shortTtl / 4);
      await first.renew();
    }

    assert.equal(await code, 'NODE_ID_TAKEN');
    assert.deepEqual(await codesOf(second), ALL_LOST);
    assert.equal(await codeOf(first.put('key', 1)), 'none');
  }),

  test('returns each seat of an expired node to exactly one caller of reap', async (bench) => {
    const others = await bench.nodes('b', 'c', 'd');
    await others[0]!.enter('x', 'both', { holder: 'b1' });
    const seats = Array.from({ length: 60 }, (_, index) => [`set-${index % 7}`, `m${index}`, `h${index}`] as const);
    await bench.dead('a', [...seats, ['x', 'both', 'h-both'], ['x', 'twice', 'h-1'], ['x', 'twice', 'h-2']]);

    const reaped = (await Promise.all(others.map((store) => reapAll(store)))).flat();

    const lasts = reaped.filter(({ member, last }) => member === 'twice' && last);
    const expected = [
      ...seats.map(([set, member, holder]) => `${set} ${member} ${holder} true`),
      'x both h-both false',
    ];
    assert.deepEqual(named(reaped.filter(({ member }) => member !== 'twice')), expected.sort());
    assert.equal(reaped.length, seats.length + 3);
    assert.equal(lasts.length, 1);
    assert.deepEqual([...new Set(reaped.map(({ node }) => node))], ['a']);
    for (const { value, member, holder } of reaped) if (member.startsWith('m')) assert.equal(value, holder);
    assert.deepEqual(await idsOf(others[1]!, 'x'), ['both']);
    assert.deepEqual(await reapAll(others[2]!), []);
  }),

  test('returns many seats in several calls of reap, each seat once', async (bench) => {
    const store = await bench.node('b');
    const seats = Array.from({ length: 1_200 }, (_, index) => ['set', `m${index}`, `h${index}`] as const);
    const dying = await bench.node('a');
    for (let index = 0; index < seats.length; index += 100) {
      await Promise.all(
        seats.slice(index, index + 100).map(([set, member, holder]) => dying.enter(set, member, { holder })),
      );
    }
    await dying.release();

    const first = await store.reap();
    const rest = await reapAll(store);

    assert.ok(first.length > 0 && first.length < seats.length, `one call returned ${first.length}`);
    assert.equal(new Set([...first, ...rest].map(({ holder }) => holder)).size, seats.length);
    assert.equal(first.length + rest.length, seats.length);
    assert.deepEqual(await store.sizes(['set']), [0]);
  }),

  test('does not release seats of running nodes, nor seats that have a new owner', async (bench) => {
    const alive = await bench.node('b');
    await alive.enter('set', 'alive', { holder: 'h1' });
    await bench.dead('a', [['set', 'moved', 'h2'], ['set', 'left', 'h3'], ['set', 'dead', 'h4']]);

    const moved = await alive.enter('set', 'moved', { holder: 'h2' });
    const left = await alive.leave('set', 'left');
    const reaped = named(await reapAll(alive));

    assert.deepEqual([moved, left], [{ first: false, size: 4 }, { last: true, size: 3 }]);
    assert.deepEqual(reaped, ['set dead h4 true']);
    assert.deepEqual((await idsOf(alive, 'set')).sort(), ['alive', 'moved']);
  }),

  test('counts the members of an expired node until they are reaped', async (bench) => {
    const store = await bench.node('b');
    await bench.dead('a', [['set', 'one', 'h1'], ['set', 'two', 'h2']]);

    const full = await codeOf(store.enter('set', 'three', { holder: 'h3', max: 2 }));
    const again = await store.enter('set', 'one', { holder: 'h4', max: 2 });
    const reaped = named(await reapAll(store));
    const entered = await store.enter('set', 'three', { holder: 'h3', max: 2 });

    assert.equal(full, 'STORE_FULL');
    assert.deepEqual(again, { first: false, size: 2 });
    assert.deepEqual(reaped, ['set one h1 false', 'set two h2 true']);
    assert.deepEqual(entered, { first: true, size: 2 });
  }),

  test('returns seats again if the caller crashed before it had handled them', async (bench) => {
    const survivor = await bench.node('c');
    await bench.dead('a', [['set', 'one', 'h1'], ['set', 'two', 'h2']]);
    const dying = await bench.node('b', bench.shortTtl);

    const first = named(await dying.reap());
    const meanwhile = await survivor.reap();
    await bench.pass(bench.shortTtl);
    const second = named(await reapAll(survivor));

    assert.deepEqual(first, ['set one h1 true', 'set two h2 true']);
    assert.deepEqual(meanwhile, []);
    assert.deepEqual(second, first);
  }),

  test('returns seats again if the caller took a new lease before it had handled them', async (bench) => {
    const store = await bench.node('b');
    await bench.dead('a', [['set', 'one', 'h1'], ['set', 'two', 'h2']]);

    const first = named(await store.reap());
    await store.lease('b', LONG);
    const second = named(await reapAll(store));

    assert.deepEqual(first, ['set one h1 true', 'set two h2 true']);
    assert.deepEqual(second, first);
    assert.deepEqual(await store.reap(), []);
  }),

  test('does not return seats again that a caller had handled before its lease ended', async (bench) => {
    const survivor = await bench.node('c');
    const [called, released] = [await bench.node('b', bench.shortTtl), await bench.node('d', bench.shortTtl)];
    const dying = await bench.node('a', bench.shortTtl);
    await dying.enter('set', 'one', { holder: 'h1' });
    await dying.release();

    const first = named(await reapAll(called));
    await bench.node('e').then(async (store) => {
      await store.enter('set', 'two', { holder: 'h2' });
      await store.release();
    });
    const second = named(await released.reap());
    await released.release();
    await bench.pass(bench.shortTtl);

    assert.deepEqual([first, second], [['set one h1 true'], ['set two h2 true']]);
    assert.deepEqual(await reapAll(survivor), []);
  }),

  test('names the seats that a node holds, in pages', async (bench) => {
    const [a, b] = await bench.nodes('a', 'b') as [Store, Store];
    const names = Array.from({ length: 1_200 }, (_, index) => `m${index}`);
    await Promise.all(names.map((member) => a.enter('set', member, { holder: `h ${member}` })));
    const others = [b.enter('set', 'm0', { holder: 'b1' }), a.enter('other', 'x', { holder: 'y' })];
    await Promise.all([a.enter('set', 'free'), ...others]);
    await a.leave('set', 'm7', { holder: 'h m7' });

    const found = new Set<string>();
    let cursor: string | undefined;
    do {
      const page = await a.held({ cursor });
      for (const { set, member, holder } of page.seats) found.add(`${set}/${member}/${holder}`);
      cursor = page.cursor;
    } while (cursor !== undefined);

    const expected = names.filter((name) => name !== 'm7').map((member) => `set/${member}/h ${member}`);
    assert.deepEqual([...found].sort(), [...expected, 'other/x/y'].sort());
    assert.deepEqual((await b.held()).seats, [{ set: 'set', member: 'm0', holder: 'b1' }]);
  }),

  test('returns the seats that a node held when it released its lease', async (bench) => {
    const [a, b] = await bench.nodes('a', 'b') as [Store, Store];
    await a.enter('set', 'node', { holder: 'h' });
    await a.enter('set', 'no node');

    await a.release();

    assert.deepEqual(named(await reapAll(b)), ['set node h true']);
    assert.deepEqual(await idsOf(b, 'set'), ['no node']);
  }),
];
