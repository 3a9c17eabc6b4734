import { setImmediate as nextTurn } from 'node:timers/promises';
import { expect } from 'chai';
import sinon from 'sinon';
import { MemoryStore } from '../../../adapters/memory/memory-store.ts';
import { StoreData } from '../../../adapters/memory/store-data.ts';
import { LEASE_TTL, LeaseKeeper } from '../../../src/cluster/lease-keeper.ts';
import type { SeatPart, Store } from '../../../src/index.ts';
import { Core } from '../../../src/runtime/core.ts';
import { resolveOptions } from '../../../src/runtime/options.ts';
import { cleanup } from '../../support/cleanup.ts';
import { ManualClock } from '../../support/manual-clock.ts';

/** Lets all promises settle that wait for no timer. */
const settled = async (): Promise<void> => { for (let turn = 0; turn < 20; turn++) await nextTurn(); };

interface Bench {
  readonly data: StoreData;
  /** Advances the clocks of all nodes and of the store, in small steps. */
  readonly pass: (milliseconds: number) => Promise<void>;
  /** The clocks go on, but no timer of a node runs: the process stood still. */
  readonly standStill: (milliseconds: number) => void;
  readonly node: (id?: string, wrap?: (store: Store) => Store) => Node;
  /** Another node with a lease that holds seats `[set, member, holder]`, and never renews it. */
  readonly dying: (id: string, seats: readonly (readonly [set: string, member: string, holder: string])[]) => Promise<Store>;
}

interface Node {
  readonly keeper: LeaseKeeper;
  readonly core: Core;
  readonly store: Store;
  /** Events, calls and errors, in order. */
  readonly log: string[];
  readonly seats: (plugin: string, part?: Partial<SeatPart>) => () => unknown;
}

function bench(): Bench {
  const time = sinon.useFakeTimers({ toFake: ['performance', 'setInterval', 'clearInterval', 'setTimeout', 'clearTimeout'] });
  cleanup(() => { time.restore(); });
  const clock = new ManualClock();
  const data = new StoreData(clock);
  return {
    data,
    async pass(milliseconds) {
      await settled();
      for (let left = milliseconds; left > 0; left -= 250) {
        clock.advance(Math.min(left, 250));
        time.tick(Math.min(left, 250));
        await settled();
      }
    },
    standStill(milliseconds) {
      clock.advance(milliseconds);
      time.jump(milliseconds);
    },
    node(id = 'a', wrap = (store) => store) {
      const core = new Core(resolveOptions({ port: 0, nodeId: id, logLevel: 'error' }));
      const store = wrap(new MemoryStore(data));
      const keeper = new LeaseKeeper(core, store);
      const log: string[] = [];
      core.hooks.on('store:lapsed', () => void log.push('store:lapsed'));
      core.hooks.on('store:renewed', () => void log.push('store:renewed'));
      core.hooks.on('store:data-lost', () => void log.push('store:data-lost'));
      core.hooks.on('error', (error) => void log.push(`error ${(error as { code?: string }).code ?? error.message}`));
      cleanup(() => keeper.stop().catch(() => undefined));
      return {
        keeper, core, store, log,
        seats: (plugin, part = {}) => keeper.parts.add(plugin, {
          enterAgain: () => void log.push(`${plugin} enters`),
          lapsed: () => void log.push(`${plugin} lapsed`),
          reaped: ({ node, set, member, last }) => void log.push(`${plugin} reaped ${node} ${set} ${member} ${last}`),
          ...part,
        }),
      };
    },
    async dying(id, seats) {
      const store = new MemoryStore(data);
      await store.lease(id, LEASE_TTL);
      for (const [set, member, holder] of seats) await store.enter(set, member, { holder });
      return store;
    },
  };
}

describe('LeaseKeeper', () => {
  it('takes a lease and renews it for as long as the node runs', async () => {
    const { node, pass } = bench();
    const { keeper, log, store } = node();

    await keeper.start();
    await pass(60_000);
    await store.put('key', 1);

    expect(keeper.holds()).to.equal(true);
    expect(keeper.check()).to.deep.equal({ status: 'healthy' });
    expect(log).to.deep.equal([]);
  });

  it('releases the lease when it stops, so that the node can start again at once', async () => {
    const { node } = bench();
    const { keeper } = node('a');
    await keeper.start();

    await keeper.stop();
    const second = node('a');
    await second.keeper.start();

    expect([keeper.holds(), second.keeper.holds()]).to.deep.equal([false, true]);
  });
});
