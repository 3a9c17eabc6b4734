import { expect } from 'chai';
import { MemoryStore } from '../../adapters/memory/memory-store.ts';
import { LEASE_TTL } from '../../src/cluster/lease-keeper.ts';
import { codeOf, deferred } from '../src/start-kernel.ts';
import { leaseBench, settled } from '../support/lease-bench.ts';

describe('LeaseKeeper', () => {
  it('takes a lease, and renews it for as long as the node runs', async () => {
    const { node, pass } = leaseBench();
    const { keeper, log, network } = node();

    await keeper.start();
    await pass(60_000);

    expect(keeper.holds()).to.equal(true);
    expect(await codeOf(network.store.put('key', 1))).to.equal(undefined);
    expect(keeper.check()).to.deep.equal({ status: 'healthy' });
    expect(log).to.deep.equal([]);
  });

  it('knows the clock of the store, whatever the clock of the node', async () => {
    const { node, pass, data } = leaseBench();
    const { keeper } = node();
    await keeper.start();

    await pass(500);
    expect(keeper.now()).to.be.closeTo(data.clock.now(), 1);
    await pass(60_000);
    expect(keeper.now()).to.be.closeTo(data.clock.now(), 1);
  });

  it('releases the lease when it stops, so that the node can start again at once', async () => {
    const { node } = leaseBench();
    const first = node('a');
    await first.keeper.start();

    await first.keeper.stop();
    const second = node('a');
    await second.keeper.start();

    expect([first, second].map(({ keeper }) => keeper.holds())).to.deep.equal([false, true]);
  });

  it('waits at its start until the lease of a crashed run has expired', async () => {
    const { node, pass, crashing } = leaseBench();
    await crashing('a');
    const { keeper, log } = node('a');
    let isStarted = false;

    const started = keeper.start().then(() => { isStarted = true; });
    await pass(LEASE_TTL - 500);
    const early = isStarted;
    await pass(1_000);
    await started;
    await pass(30_000);

    expect(early).to.equal(false);
    expect(keeper.holds()).to.equal(true);
    expect(log).to.deep.equal([]);
  });

  it('does not start while another running node has its id', async () => {
    const { node, pass } = leaseBench();
    const first = node('a');
    const second = node('a');
    await first.keeper.start();

    const code = codeOf(second.keeper.start());
    await pass(LEASE_TTL * 1.5);

    expect(await code).to.equal('NODE_ID_TAKEN');
    expect([first, second].map(({ keeper }) => keeper.holds())).to.deep.equal([true, false]);
    expect(first.log).to.deep.equal([]);
  });

  it('tries for ten seconds to take its first lease', async () => {
    const { node, pass } = leaseBench();
    const [early, late] = [node('a'), node('b')];
    for (const { network } of [early, late]) network.mode = 'refuse';

    const codes = [codeOf(early.keeper.start()), codeOf(late.keeper.start())];
    await pass(5_000);
    early.network.mode = 'up';
    await pass(10_000);

    expect(await Promise.all(codes)).to.deep.equal([undefined, 'ADAPTER_FAILED']);
    expect(early.keeper.holds()).to.equal(true);
  });

  it('goes on if some renewals fail', async () => {
    const { node, pass } = leaseBench();
    const { keeper, log, network } = node();
    await keeper.start();

    for (let round = 0; round < 5; round++) {
      network.mode = 'refuse';
      await pass(6_000);
      network.mode = 'up';
      await pass(3_000);
    }

    expect(keeper.holds()).to.equal(true);
    expect(log).to.deep.equal([]);
  });

  for (const mode of ['refuse', 'silence'] as const) {
    it(`lapses before the store does if renewals ${mode === 'refuse' ? 'fail' : 'are not answered'}`, async () => {
      const { node, pass, data } = leaseBench();
      const { keeper, network, log, seats } = node('a');
      await keeper.start();
      seats('rooms');

      network.mode = mode;
      // With `silence` the store renews the lease, but the node does not know.
      await pass(LEASE_TTL - 250);
      const before = [...log];
      await pass(250);

      expect(before).to.deep.equal([]);
      expect(log.slice(0, 2)).to.deep.equal(['rooms lapsed', 'store:lapsed']);
      expect(keeper.holds()).to.equal(false);
      expect(keeper.check()).to.include({ status: 'unhealthy' });
      expect(keeper.check()['since']).to.be.a('string');
      expect(data.sizes.runs).to.equal(1);
    });
  }

  it('takes a new lease after a lapse, and the plugins enter their seats again', async () => {
    const { node, pass } = leaseBench();
    const { keeper, network, log, seats } = node('a');
    await keeper.start();
    seats('rooms');
    const { epoch } = keeper;
    network.mode = 'refuse';
    await pass(LEASE_TTL + 20_000);
    const away = log.splice(0);

    network.mode = 'up';
    await pass(5_000);

    expect(away).to.deep.equal(['rooms lapsed', 'store:lapsed', 'error STORE_UNAVAILABLE']);
    expect(log).to.deep.equal(['rooms enters', 'store:renewed']);
    expect(keeper.holds()).to.equal(true);
    expect(keeper.epoch).to.be.above(epoch);
    expect(keeper.check()).to.deep.equal({ status: 'healthy' });
  });

  it('knows at once that it lapsed while the process stood still, before anything is handled', async () => {
    const { node, pass, standStill } = leaseBench();
    const { keeper, log, seats } = node('a');
    await keeper.start();
    seats('rooms');

    standStill(20_000);
    const holds = keeper.holds();
    const atOnce = [...log];
    await pass(2_000);

    expect(holds).to.equal(false);
    expect(atOnce).to.deep.equal(['rooms lapsed', 'store:lapsed']);
    expect(log.slice(2)).to.deep.equal(['rooms enters', 'store:renewed']);
  });

  it('does not extend a lease by an answer that comes after a new one began', async () => {
    const { node, pass } = leaseBench();
    const { keeper, network } = node('a');
    await keeper.start();
    network.mode = 'silence';
    await pass(LEASE_TTL);
    network.mode = 'refuse';
    await pass(30_000);

    // The late answers of the renewals.
    network.mode = 'up';
    await settled();

    expect(keeper.holds()).to.equal(false);
  });

  it('counts a lease from before its renewal was sent', async () => {
    const { node, pass } = leaseBench();
    const { keeper, network } = node('a');
    await keeper.start();
    network.mode = 'silence';
    await pass(9_000);
    network.mode = 'up';
    await settled();

    // The renewals were sent after 3, 6 and 9 s, and none after that is answered.
    network.mode = 'refuse';
    await pass(9_750);
    const before = keeper.holds();
    await pass(500);

    expect([before, keeper.holds()]).to.deep.equal([true, false]);
  });

  it('lapses when the store says that the lease is lost', async () => {
    const { node, pass, data } = leaseBench();
    const { keeper, log, seats } = node('a');
    await keeper.start();
    seats('rooms');

    data.end(data.alive('a')!);
    await pass(6_000);

    expect(log).to.deep.equal(['rooms lapsed', 'store:lapsed', 'rooms enters', 'store:renewed']);
    expect(keeper.holds()).to.equal(true);
  });

  it('waits while another node has taken its id after a lapse, and reports that once', async () => {
    const { node, pass, data, standStill } = leaseBench();
    const { keeper, log } = node('a');
    await keeper.start();
    standStill(LEASE_TTL);
    const other = new MemoryStore(data);
    await other.lease('a', LEASE_TTL);

    for (let second = 0; second < 60; second += 3) {
      await other.renew();
      await pass(3_000);
    }
    const meanwhile = log.splice(0);
    await other.release();
    await pass(15_000);

    expect(meanwhile).to.deep.equal(['store:lapsed', 'error NODE_ID_TAKEN']);
    expect(log).to.deep.equal(['store:renewed']);
    expect(keeper.holds()).to.equal(true);
  });

  it('lets the plugins enter again without a lapse when the store may have lost data', async () => {
    const { node, pass, data } = leaseBench();
    const { keeper, log, seats } = node('a');
    await keeper.start();
    seats('rooms');

    data.forget();
    await pass(4_000);

    expect(log).to.deep.equal(['store:data-lost', 'rooms enters']);
    expect(keeper.check()).to.deep.equal({ status: 'healthy' });
  });

  it('says once that data was lost during a lapse', async () => {
    const { node, pass, data } = leaseBench();
    const { keeper, network, log, seats } = node('a');
    await keeper.start();
    seats('rooms');
    network.mode = 'refuse';
    await pass(LEASE_TTL);
    data.forget();

    network.mode = 'up';
    await pass(6_000);

    expect(log.filter((line) => !line.startsWith('error'))).to.deep.equal([
      'rooms lapsed', 'store:lapsed', 'store:data-lost', 'rooms enters', 'store:renewed',
    ]);
  });

  it('takes no new lease after it was stopped', async () => {
    const { node, pass, data } = leaseBench();
    const { keeper, network } = node('a');
    await keeper.start();
    network.mode = 'refuse';
    await pass(LEASE_TTL);
    network.mode = 'silence';
    await pass(1_000);

    await keeper.stop();
    network.mode = 'up';
    await pass(30_000);

    expect(data.alive('a')).to.equal(undefined);
    expect(keeper.holds()).to.equal(false);
  });
});

describe('the seats of plugins', () => {
  it('keep the node unhealthy until all plugins have entered theirs', async () => {
    const { node, pass, standStill } = leaseBench();
    const { keeper, log, seats } = node('a');
    const entered = deferred();
    await keeper.start();
    seats('fast');
    seats('slow', { enterAgain: () => entered.promise });
    standStill(20_000);
    await pass(20_000);
    const during = [keeper.check()['reason'], log.includes('store:renewed')];

    entered.resolve();
    await settled();

    expect(during).to.deep.equal(['the node enters its seats again', false]);
    expect(keeper.check()).to.deep.equal({ status: 'healthy' });
    expect(log.at(-1)).to.equal('store:renewed');
    expect(log.filter((line) => line === 'fast enters')).to.have.length(1);
  });

  it('do not wait for a plugin that is unloaded while it enters', async () => {
    const { node, pass, standStill } = leaseBench();
    const { keeper, log, seats } = node('a');
    await keeper.start();
    const unload = seats('slow', { enterAgain: () => new Promise(() => undefined) });
    standStill(20_000);
    await pass(1_000);
    const during = keeper.check().status;

    unload();

    expect([during, keeper.check().status]).to.deep.equal(['unhealthy', 'healthy']);
    expect(log).to.deep.equal(['slow lapsed', 'store:lapsed', 'store:renewed']);
    expect(keeper.parts.size).to.equal(0);
  });

  it('are entered again after a failure, which is reported, by that plugin alone', async () => {
    const { node, pass, standStill } = leaseBench();
    const { keeper, log, seats } = node('a');
    let failures = 2;
    await keeper.start();
    seats('good');
    seats('bad', { enterAgain: () => { if (failures-- > 0) throw new Error('no luck'); } });

    standStill(20_000);
    await pass(5_000);

    expect(log).to.deep.equal([
      'good lapsed', 'bad lapsed', 'store:lapsed', 'good enters', 'error no luck', 'error no luck', 'store:renewed',
    ]);
  });

  it('are entered by one call at a time, and again when the lease is lost meanwhile', async () => {
    const { node, pass, standStill } = leaseBench();
    const { keeper, log, seats } = node('a');
    const calls: { resolve: () => void }[] = [];
    await keeper.start();
    seats('slow', { enterAgain: () => {
      const call = deferred();
      calls.push(call);
      return call.promise;
    } });
    standStill(20_000);
    await pass(1_000);

    standStill(20_000);
    await pass(1_000);
    const atOnce = calls.length;
    calls[0]!.resolve();
    await settled();
    const isServing = log.includes('store:renewed');
    calls[1]!.resolve();
    await settled();

    expect([atOnce, isServing, calls.length]).to.deep.equal([1, false, 2]);
    expect(log).to.deep.equal(['slow lapsed', 'store:lapsed', 'slow lapsed', 'store:lapsed', 'store:renewed']);
  });

  it('lapse at once for a plugin that is loaded while there is no lease', async () => {
    const { node, pass, standStill } = leaseBench();
    const { keeper, log, seats, network } = node('a');
    await keeper.start();
    network.mode = 'refuse';
    standStill(20_000);
    await pass(1_000);
    log.length = 0;

    seats('late');
    network.mode = 'up';
    await pass(5_000);

    expect(log).to.deep.equal(['late lapsed', 'late enters', 'store:renewed']);
  });

  it('of a dead node are handed to the plugin that owns them, once over all nodes', async () => {
    const { node, pass, crashing } = leaseBench();
    const nodes = [node('a'), node('b')];
    for (const { keeper, seats } of nodes) {
      await keeper.start();
      seats('rooms');
      seats('room');
    }
    await crashing('dead', ['rooms:lobby', 'ann', 'h1'], ['rooms:lobby', 'ann', 'h2'], ['room:x:y', 'bob', 'h3']);

    await pass(LEASE_TTL + 5_000);

    expect(nodes.flatMap(({ log }) => log).sort()).to.deep.equal([
      'room reaped dead x:y bob true', 'rooms reaped dead lobby ann false', 'rooms reaped dead lobby ann true',
    ]);
  });

  it('of a dead node are gone within 15 seconds', async () => {
    const { node, pass, crashing, data } = leaseBench();
    const { keeper, seats } = node('a');
    await keeper.start();
    seats('rooms');
    await crashing('dead', ...Array.from({ length: 2_000 }, (_, index) => ['rooms:lobby', `m${index}`, 'h'] as const));

    await pass(15_000);

    expect(data.sets.count('rooms:lobby')).to.equal(0);
  });

  it('go on to be handed after a failure of a plugin, which is reported', async () => {
    const { node, pass, crashing } = leaseBench();
    const { keeper, log, seats } = node('a');
    await keeper.start();
    seats('bad', { reaped: () => { throw new Error('no luck'); } });
    seats('good');
    await crashing('dead', ['bad:set', 'one', 'h'], ['bad:set', 'two', 'h'], ['good:set', 'three', 'h']);

    await pass(15_000);

    expect(log).to.have.members(['good reaped dead set three true', 'error no luck', 'error no luck']);
  });

  it('are handed to another node if the one that cleared them crashes half way', async () => {
    const { node, pass, crashing } = leaseBench();
    const [first, second] = [node('a'), node('b')];
    const handled: string[] = [];
    await first.keeper.start();
    first.seats('rooms', { reaped: () => {
      first.network.mode = 'refuse';
      return new Promise(() => undefined);
    } });
    await crashing('dead', ...Array.from({ length: 120 }, (_, index) => ['rooms:lobby', `m${index}`, 'h'] as const));
    await pass(LEASE_TTL + 4_000);
    await second.keeper.start();
    second.seats('rooms', { reaped: ({ member }) => void handled.push(member) });

    await pass(20_000);

    expect(handled).to.have.length(120);
    expect(new Set(handled).size).to.equal(120);
  });

  it('are handed once to a living plugin if the lease of the node is lost half way', async () => {
    const { node, pass, crashing, standStill } = leaseBench();
    const { keeper, log, seats } = node('a');
    const first = deferred();
    const handled: string[] = [];
    await keeper.start();
    seats('rooms', { reaped: async ({ member }) => {
      if (handled.length === 0) await first.promise;
      handled.push(member);
    } });
    await crashing('dead', ['rooms:lobby', 'one', 'h']);
    await pass(LEASE_TTL + 4_000);

    standStill(20_000);
    keeper.holds();
    first.resolve();
    await pass(10_000);

    // Once more, because nothing says whether the first call was in time.
    expect(handled).to.deep.equal(['one', 'one']);
    expect(log).to.include('store:renewed');
  });

  it('of its own earlier run are not announced as gone if they were entered again', async () => {
    const { node, pass, standStill } = leaseBench();
    const { keeper, log, network, seats } = node('a');
    const enter = async () => { await network.store.enter('rooms:lobby', 'stays', { holder: 'h1' }); };
    await keeper.start();
    seats('rooms', { enterAgain: enter });
    await enter();
    await network.store.enter('rooms:lobby', 'gone', { holder: 'h2' });

    standStill(20_000);
    await pass(5_000);

    expect(log.filter((line) => line.startsWith('rooms reaped'))).to.deep.equal(['rooms reaped a lobby gone true']);
  });

  it('of a plugin that is not loaded are kept until it is', async () => {
    const { node, pass, crashing } = leaseBench();
    const { keeper, log, seats } = node('a');
    await keeper.start();
    await crashing('dead', ['rooms:lobby', 'ann', 'h'], ['other:set', 'x', 'h']);
    await pass(15_000);

    seats('rooms');
    await settled();

    expect(log).to.deep.equal(['rooms reaped dead lobby ann true']);
  });

  it('of plugins that are never loaded are kept up to a limit, and dropping them is reported once', async () => {
    const { node, pass, crashing } = leaseBench();
    const { keeper, log, seats } = node('a');
    await keeper.start();
    await crashing('dead', ...Array.from({ length: 10_010 }, (_, index) => ['rooms:lobby', `m${index}`, 'h'] as const));

    await pass(15_000);
    const reports = log.splice(0);
    seats('rooms');
    await settled();

    expect(reports).to.deep.equal(['error seats of dead nodes were dropped: no loaded plugin owns "rooms:lobby"']);
    expect(log).to.have.length(10_000);
  });
});
