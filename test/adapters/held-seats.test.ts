import { expect } from 'chai';
import { HeldSeats, LocalShare, type PluginContext } from '../../src/index.ts';
import { createSharedStore } from '../../src/plugins/shared-store.ts';
import { leaseBench, settled } from '../support/lease-bench.ts';

/** The seats of a plugin on one node. */
async function held() {
  const bench = leaseBench();
  const node = bench.node('a');
  await node.keeper.start();
  const cleanups: (() => unknown)[] = [];
  const context: Partial<PluginContext> = {
    node: { peers: ['b', 'c'] } as unknown as PluginContext['node'],
    on: () => undefined,
    seats: (part) => {
      const undo = node.keeper.parts.add('limits', part);
      return () => void undo();
    },
    every: (milliseconds, work) => void setInterval(() => void work(), milliseconds),
    onUnload: (cleanup) => void cleanups.push(cleanup),
    report: (error) => void node.log.push(`reported ${(error as Error).message}`),
  };
  const store = createSharedStore('limits', node.keeper, (add) => add());
  const share = new LocalShare(context as PluginContext);
  const seats = new HeldSeats(context as PluginContext, store, share);
  return {
    ...bench, ...node, seats, share,
    count: () => bench.data.sets.count('limits:set'),
    unload: () => Promise.all(cleanups.map(async (cleanup) => cleanup())),
  };
}

describe('HeldSeats', () => {
  it('enters a set that has room, and leaves it', async () => {
    const { seats, count } = await held();
    const one = seats.add('set', 'one');
    const two = seats.add('set', 'two');

    const outcomes = [await seats.enter(one, 1), await seats.enter(two, 1)];
    seats.leave(two);
    seats.leave(one);
    seats.leave(one);
    await settled();

    expect(outcomes).to.deep.equal(['entered', 'full']);
    expect([count(), seats.size]).to.deep.equal([0, 0]);
  });

  it('leaves a seat that was left while it entered', async () => {
    const { seats, count, network } = await held();
    const one = seats.add('set', 'one');
    network.mode = 'silence';
    const outcome = seats.enter(one, 1);
    await settled();

    seats.leave(one);
    network.mode = 'up';
    await outcome;
    await settled();

    expect([count(), seats.size]).to.deep.equal([0, 0]);
  });

  it('enters and leaves later what cannot be done now, also above the limit', async () => {
    const { seats, count, network, pass } = await held();
    const [gone, full] = [seats.add('set', 'gone'), seats.add('set', 'full')];
    await seats.enter(gone, 2);
    await seats.enter(full, 2);
    network.mode = 'refuse';
    const late = seats.add('set', 'late');
    const outcome = await seats.enter(late, 1);
    seats.leave(gone);
    await pass(3_000);
    const during = count();

    network.mode = 'up';
    await pass(1_500);

    expect([outcome, during]).to.deep.equal(['later', 2]);
    expect([count(), seats.size]).to.deep.equal([2, 2]);
  });

  it('asks a store that failed only once a second', async () => {
    const { seats, network, pass } = await held();
    network.mode = 'refuse';
    network.calls.length = 0;

    for (let index = 0; index < 50; index++) await seats.enter(seats.add('set', `m${index}`), 100);
    const atOnce = network.calls.length;
    await pass(3_000);

    expect(atOnce).to.equal(1);
    expect(network.calls.filter((name) => name === 'enter')).to.have.length.at.most(5);
  });

  it('enters all seats again after a lapse, and none that was left meanwhile', async () => {
    const { seats, count, network, pass, data, log } = await held();
    const all = Array.from({ length: 250 }, (_, index) => seats.add('set', `m${index}`));
    await Promise.all(all.map((seat) => seats.enter(seat, 1_000)));
    network.mode = 'refuse';
    await pass(12_000);
    for (const seat of all.slice(0, 50)) seats.leave(seat);
    data.forget();

    network.mode = 'up';
    await pass(6_000);

    expect([count(), seats.size]).to.deep.equal([200, 200]);
    expect(log.filter((line) => line.startsWith('error'))).to.deep.equal(['error STORE_UNAVAILABLE']);
  });

  it('enters all seats again when the store may have lost data', async () => {
    const { seats, count, pass, data } = await held();
    await seats.enter(seats.add('set', 'one'), 1);

    data.forget();
    await pass(4_000);

    expect(count()).to.equal(1);
  });

  it('leaves all seats on unload', async () => {
    const { seats, count, unload } = await held();
    for (let index = 0; index < 250; index++) await seats.enter(seats.add('set', `m${index}`), 1_000);

    await unload();

    expect([count(), seats.size]).to.deep.equal([0, 0]);
  });

  it('reports on unload the seats that it cannot leave', async () => {
    const { seats, network, unload, log } = await held();
    await seats.enter(seats.add('set', 'one'), 1);
    network.mode = 'refuse';

    await unload();

    expect(log).to.deep.equal(['reported 1 seats stay in the store until this node stops']);
  });
});

describe('LocalShare', () => {
  it('is needed for a second after a failure', async () => {
    const { share, network, seats, pass } = await held();
    const before = share.isNeeded;
    network.mode = 'refuse';
    await seats.enter(seats.add('set', 'one'), 1);
    const after = share.isNeeded;
    network.mode = 'up';
    await pass(2_000);

    expect([before, after, share.isNeeded]).to.deep.equal([false, true, false]);
  });

  it('divides a limit by the number of nodes, and leaves at least one', async () => {
    const { share } = await held();

    expect([share.nodes, share.of(10), share.of(2)]).to.deep.equal([3, 3, 1]);
  });
});
