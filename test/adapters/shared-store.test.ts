import { expect } from 'chai';
import sinon from 'sinon';
import { MemoryAdapter } from '../../adapters/memory.ts';
import { createSharedStore } from '../../src/plugins/shared-store.ts';
import { definePlugin, type PluginContext, type Reaped, type SharedStore } from '../../src/index.ts';
import { cleanup } from '../support/cleanup.ts';
import { eventually } from '../support/timing.ts';
import { behindNetwork } from '../support/shared-network.ts';
import { leaseBench, settled } from '../support/lease-bench.ts';
import { codeOf, startKernel } from '../src/start-kernel.ts';

/** A plugin that only gives its context. */
function bare(name: string) {
  let context!: PluginContext;
  const plugin = definePlugin({ name, setup: (given) => { context = given; } });
  return { plugin, context: () => context, store: () => context.store! };
}

async function store() {
  const bench = leaseBench();
  const node = bench.node('a');
  await node.keeper.start();
  return { shared: createSharedStore('rooms', node.keeper, (add) => add()), bench, node };
}

describe('the store of a plugin', () => {
  it('is that of the adapter, apart from the keys and sets of other plugins', async () => {
    const [rooms, polls] = [bare('rooms'), bare('polls')];
    const { manager } = await startKernel({ adapter: new MemoryAdapter(), use: [rooms.plugin, polls.plugin] });
    const [heardByRooms, heardByPolls]: [unknown[], unknown[]] = [[], []];
    rooms.store().watch((key) => heardByRooms.push(key));
    polls.store().watch((key) => heardByPolls.push(key));

    const version = await rooms.store().put('key', 1);
    await rooms.store().enter('set', 'ann', { holder: 'h', value: { name: 'Ann' } });

    expect(await rooms.store().get(['key', 'other'])).to.deep.equal([{ value: 1, version }, undefined]);
    expect(await polls.store().get(['key'])).to.deep.equal([undefined]);
    expect(await rooms.store().members('set', { limit: 9 })).to.deep.equal({ members: [{ id: 'ann', value: { name: 'Ann' } }], cursor: undefined });
    expect([await rooms.store().sizes(['set']), await polls.store().sizes(['set'])]).to.deep.equal([[1], [0]]);
    expect(await polls.store().take('rate', { burst: 1, per: 60_000 }, 1)).to.include({ granted: 1 });
    expect(await rooms.store().take('rate', { burst: 1, per: 60_000 }, 1)).to.include({ granted: 1 });
    expect([heardByRooms, heardByPolls]).to.deep.equal([['key'], []]);
    expect(await rooms.store().delete('key')).to.equal(true);
    expect(await rooms.store().leave('set', 'ann')).to.deep.equal({ last: true, size: 0 });
    expect(manager.getHealth().checks['store']).to.include({ status: 'healthy' });
  });

  it('has a prefix that no other plugin can have', async () => {
    const [one, other] = [bare('a:b'), bare('a')];
    await startKernel({ adapter: new MemoryAdapter(), use: [one.plugin, other.plugin] });

    await one.store().put('key', 1);

    expect(await other.store().get(['b:key', 'key'])).to.deep.equal([undefined, undefined]);
  });

  it('has no functions of the lease', async () => {
    const { plugin, store: given } = bare('rooms');
    await startKernel({ adapter: new MemoryAdapter(), use: [plugin] });

    expect(['lease', 'renew', 'release', 'reap'].filter((name) => name in given())).to.deep.equal([]);
  });

  it('is undefined without a store, and seats need nothing then', async () => {
    const withoutStore = Object.defineProperty(new MemoryAdapter(), 'store', { value: undefined });
    for (const adapter of [undefined, withoutStore]) {
      const { plugin, context } = bare('rooms');
      const { manager } = await startKernel({ adapter, use: [plugin] });

      const undo = context().seats({ enterAgain: () => { throw new Error('never called'); }, lapsed: () => { throw new Error('never called'); } });
      undo();

      expect(context().store).to.equal(undefined);
      expect(manager.getHealth().checks).to.not.have.property('store');
    }
  });

  for (const [title, act] of Object.entries<(store: SharedStore) => Promise<unknown>>({
    'an empty key': (shared) => shared.put('', 1),
    'a key that is no string': (shared) => shared.get(['key', undefined as unknown as string]),
    'an empty set': (shared) => shared.enter('', 'ann'),
    'a set that is no string': (shared) => shared.sizes([3 as unknown as string]),
    'a lone surrogate': (shared) => shared.delete('\ud800'),
  })) {
    it(`refuses ${title} by name`, async () => {
      const { shared } = await store();

      expect(await codeOf(act(shared))).to.equal('OPTION_INVALID');
    });
  }

  it('refuses everything while the lease is lost', async () => {
    const { shared, bench, node } = await store();
    await shared.put('key', 1);
    node.network.mode = 'refuse';

    bench.standStill(10_000);

    const codes = await Promise.all([
      shared.get(['key']), shared.put('key', 1), shared.delete('key'), shared.touch(['key'], 1_000),
      shared.enter('set', 'ann'), shared.leave('set', 'ann'), shared.members('set', { limit: 1 }), shared.sizes(['set']),
      shared.take('rate', { burst: 1, per: 1_000 }, 1),
    ].map(codeOf));
    expect(new Set(codes)).to.deep.equal(new Set(['LEASE_LOST']));
  });

  it('refuses an answer that comes after the lease was lost, also when there is a new one', async () => {
    const { shared, bench, node } = await store();
    node.network.mode = 'silence';
    const codes = [codeOf(shared.put('key', 1)), codeOf(shared.get(['key']))];
    bench.standStill(10_000);
    node.keeper.holds();
    node.network.mode = 'up';
    await bench.pass(2_000);

    expect(await Promise.all(codes)).to.deep.equal(['LEASE_LOST', 'LEASE_LOST']);
    expect(await codeOf(shared.put('key', 1))).to.equal(undefined);
  });

  it('lapses the node when the store says that the lease is lost', async () => {
    const { shared, bench, node } = await store();
    bench.data.end(bench.data.alive('a')!);

    const code = await codeOf(shared.put('key', 1));

    expect(code).to.equal('LEASE_LOST');
    expect(node.log).to.deep.equal(['store:lapsed']);
  });

  it('keeps the order of the calls of one turn', async () => {
    const { shared } = await store();

    const [, found] = await Promise.all([shared.put('key', 1), shared.get(['key'])]);

    expect(found[0]?.value).to.equal(1);
  });

  it('forgets watchers and seats when the plugin is unloaded', async () => {
    const heard: unknown[] = [];
    const rooms = definePlugin({
      name: 'rooms',
      setup(context) {
        context.store!.watch((key) => heard.push(key));
        context.seats({ enterAgain: () => undefined });
      },
    });
    const polls = bare('rooms-2');
    const { manager } = await startKernel({ adapter: new MemoryAdapter(), use: [polls.plugin] });
    const before = manager.inspect();
    manager.use(rooms);
    const labels = manager.inspect({ detail: true }).filter(({ owner }) => owner === 'rooms').map(({ label }) => label);
    const store = manager.inspect()['seatParts'];

    await manager.unload('rooms');
    await polls.store().put('key', 1);

    expect([labels.includes('seats'), store]).to.deep.equal([true, 1]);
    expect(manager.inspect()).to.deep.equal(before);
    expect(heard).to.deep.equal([]);
  });

  it('refuses seats without enterAgain()', async () => {
    const { plugin, context } = bare('rooms');
    await startKernel({ use: [plugin] });

    expect(() => context().seats({} as never)).to.throw().with.property('code', 'HANDLER_INVALID');
  });
});

describe('a node with a store', () => {
  it('gives the seats of a node that stopped to the plugin on another one', async () => {
    const bus = {};
    const reaped: Reaped[] = [];
    const halls = (on: Reaped[]) => definePlugin({
      name: 'halls',
      setup: (context) => {
        context.seats({ enterAgain: () => undefined, reaped: (seat) => void on.push(seat) });
        return { enter: () => context.store!.enter('lobby', 'ann', { holder: `${context.node.id}.h` }) };
      },
    });
    await startKernel({ adapter: new MemoryAdapter(bus), nodeId: 'a', use: [halls(reaped)] });
    const b = await startKernel({ adapter: new MemoryAdapter(bus), nodeId: 'b', use: [halls([])] });
    await (b.manager.api('halls') as { enter: () => Promise<unknown> }).enter();

    await b.manager.stop();
    await eventually('a cleared the seat', () => reaped.length > 0);

    expect(reaped).to.deep.equal([{ node: 'b', set: 'lobby', member: 'ann', holder: 'b.h', value: null, last: true }]);
  });

  it('knows that its lease is lost before it handles a message that waited while it stood still', async () => {
    let isAway = false;
    const rooms = definePlugin({
      name: 'rooms',
      setup(context) {
        context.seats({ enterAgain: () => { isAway = false; }, lapsed: () => { isAway = true; } });
        context.registerHandler('ask', () => ({ isAway }));
      },
    });
    const { manager, connect } = await startKernel({ adapter: new MemoryAdapter(), use: [rooms] });
    const client = await connect();
    const events: string[] = [];
    manager.on('store:lapsed', () => events.push('lapsed')).on('store:renewed', () => events.push('renewed'));

    const now = performance.now.bind(performance);
    const stub = sinon.stub(performance, 'now').callsFake(() => now() + 20_000);
    cleanup(() => { stub.restore(); });
    const first = await client.request({ type: 'ask' });
    await eventually('the node is back', () => events.length === 2);
    const second = await client.request({ type: 'ask' });

    expect([first.content, second.content]).to.deep.equal([{ isAway: true }, { isAway: false }]);
    expect(events).to.deep.equal(['lapsed', 'renewed']);
    expect(manager.getHealth().checks['store']).to.include({ status: 'healthy' });
  });

  it('stops in time if the store does not answer, and stops the adapter', async () => {
    const { adapter, network: net } = behindNetwork();
    let isStopped = false;
    const stop = adapter.stop.bind(adapter);
    adapter.stop = async () => {
      isStopped = true;
      return stop();
    };
    const { manager, failures } = await startKernel({ adapter, drainTimeout: 200 });
    net.mode = 'silence';

    await manager.stop();
    net.mode = 'up';
    await settled();

    expect(isStopped).to.equal(true);
    expect(failures.map(({ error, context }) => [error.code, context.phase])).to.deep.equal([['STOP_TIMEOUT', 'store']]);
  });

  it('reports a store that fails to release the lease, and stops', async () => {
    const { adapter, network: net } = behindNetwork();
    const { manager, failures } = await startKernel({ adapter });
    net.mode = 'refuse';

    await manager.stop();

    expect(failures.map(({ error, context }) => [error.code, context.phase])).to.deep.equal([['STORE_UNAVAILABLE', 'store']]);
  });
});
