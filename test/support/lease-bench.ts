import { setImmediate as nextTurn } from 'node:timers/promises';
import sinon from 'sinon';
import { MemoryStore } from '../../adapters/memory/memory-store.ts';
import { StoreData } from '../../adapters/memory/store-data.ts';
import { LEASE_TTL, LeaseKeeper } from '../../src/cluster/lease-keeper.ts';
import type { SeatPart } from '../../src/index.ts';
import { Core } from '../../src/runtime/core.ts';
import { resolveOptions } from '../../src/runtime/options.ts';
import { cleanup } from './cleanup.ts';
import { ManualClock } from './manual-clock.ts';
import { network, type Network } from './shared-network.ts';

export interface LeaseNode {
  readonly keeper: LeaseKeeper;
  readonly core: Core;
  readonly network: Network;
  /** Events, calls of the plugins, and codes of errors, in order. */
  readonly log: string[];
  /** Adds a plugin whose calls are logged. */
  readonly seats: (plugin: string, part?: Partial<SeatPart>) => () => unknown;
}

/** The nodes and the store of one test, on clocks that the test moves. */
export interface LeaseBench {
  readonly data: StoreData;
  /** Lets time pass for all nodes and for the store. */
  readonly pass: (milliseconds: number) => Promise<void>;
  /** Time passes while the process of the nodes stands still: no timer runs. */
  readonly standStill: (milliseconds: number) => void;
  readonly node: (id?: string) => LeaseNode;
  /** Another node that holds seats `[set, member, holder]`, and crashes: it never renews its lease. */
  readonly crashing: (id: string, ...seats: readonly (readonly [set: string, member: string, holder: string])[]) => Promise<void>;
}

export function leaseBench(): LeaseBench {
  const time = sinon.useFakeTimers({ toFake: ['performance', 'setInterval', 'clearInterval', 'setTimeout', 'clearTimeout'] });
  let stood = 0;
  // The fake object: it goes when the clock is restored.
  const now = performance.now.bind(performance);
  performance.now = () => now() + stood;
  // Backoff and jitter: half of the longest.
  const random = sinon.stub(Math, 'random').returns(0.5);
  cleanup(() => {
    random.restore();
    time.restore();
  });
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
      stood += milliseconds;
    },
    node(id = 'a') {
      const core = new Core(resolveOptions({ port: 0, nodeId: id }));
      const net = network(new MemoryStore(data));
      const keeper = new LeaseKeeper(core, net.store);
      const log: string[] = [];
      for (const event of ['store:lapsed', 'store:renewed', 'store:data-lost'] as const) {
        core.hooks.on(event, () => void log.push(event));
      }
      core.hooks.on('error', (error) => void log.push(`error ${(error as { code?: string }).code ?? error.message}`));
      cleanup(() => {
        net.mode = 'up';
        return keeper.stop();
      });
      return {
        keeper, core, network: net, log,
        seats: (plugin, part = {}) => keeper.parts.add(plugin, {
          enterAgain: () => void log.push(`${plugin} enters`),
          lapsed: () => void log.push(`${plugin} lapsed`),
          reaped: ({ node, set, member, last }) => void log.push(`${plugin} reaped ${node} ${set} ${member} ${last}`),
          ...part,
        }),
      };
    },
    async crashing(id, ...seats) {
      const store = new MemoryStore(data);
      await store.lease(id, LEASE_TTL);
      for (const [set, member, holder] of seats) await store.enter(set, member, { holder });
    },
  };
}

/** Lets everything run that waits for no timer. */
export async function settled(): Promise<void> { for (let turn = 0; turn < 20; turn++) await nextTurn(); }
