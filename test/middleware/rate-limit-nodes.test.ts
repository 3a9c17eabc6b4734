import { expect } from 'chai';
import fc from 'fast-check';
import { ModuleError, type Connection, type ConnectionLayer, type PluginContext } from '../../index.ts';
import { rateLimit, type RateLimitOptions } from '../../middleware/rate-limit.ts';
import { createSharedStore } from '../../src/plugins/shared-store.ts';
import { leaseBench, settled, type LeaseBench } from '../support/lease-bench.ts';
import { knowEachOther } from '../support/nodes.ts';
import { behindNetwork } from '../support/shared-network.ts';
import { start } from '../support/start.ts';
import { setUp, stubConnection } from '../support/stub-context.ts';

/** The plugin on one node, without a server: says of a frame whether it passed. */
async function judge(bench: LeaseBench, id: string, peers: readonly string[], options: RateLimitOptions) {
  const { keeper, network } = bench.node(id);
  await keeper.start();
  const more: Partial<PluginContext> = {
    node: { connections: new Map(), peers } as unknown as PluginContext['node'],
    store: createSharedStore('rate-limit', keeper, (add) => add()),
  };
  const stub = setUp(rateLimit({ muteFor: 0, closeAfter: false, maxBytesPerSecond: false, by: 'user', ...options }), [], more);
  const ask = (connection: Connection, bytes = 20) => {
    const verdict = stub.guards[0]!.charge(connection, bytes);
    return verdict instanceof ModuleError ? verdict.details as { retryAfter: number; scope: string } : undefined;
  };
  const ann = stubConnection({ id: `${id}.c`, ip: '192.0.2.1', user: { id: 'ann' } });
  const burst = (tries: number, connection = ann) =>
    Array.from({ length: tries }, () => ask(connection)).filter((refusal) => !refusal).length;
  return { ...stub, network, ask, ann, burst };
}

/** The plugin on several nodes with one store. */
async function judges(count: number, options: RateLimitOptions, bench: LeaseBench = leaseBench()) {
  const ids = Array.from({ length: count }, (_, index) => `n${index}-${Math.round(performance.now())}`);
  const nodes = await Promise.all(ids.map((id) => judge(bench, id, ids.filter((other) => other !== id), options)));
  return {
    nodes,
    /** Lets time pass, with the rounds in which debts are paid. */
    pass: async (milliseconds: number, each?: () => void) => {
      for (let left = milliseconds; left > 0; left -= 50) {
        await bench.pass(Math.min(left, 50));
        for (const { periodic } of nodes) for (const work of periodic) work();
        each?.();
      }
      await settled();
    },
  };
}

describe('rate-limit on several nodes', () => {
  it('accepts from a user on all nodes together what the rate allows, and larger bursts only once', async () => {
    const { nodes, pass } = await judges(3, { maxPerSecond: 10, burstSize: 20 });
    let accepted = 0;

    await pass(20_000, () => { for (const { burst } of nodes) accepted += burst(3); });

    // Once a burst for each node, and one for the store.
    expect(accepted).to.be.within(200, 200 + 4 * 20);
  });

  it('refuses nothing from a user who stays within the limit on one node', async () => {
    const { nodes: [node], pass } = await judges(3, { maxPerSecond: 20, burstSize: 40 });

    const first = node!.burst(40);
    let [accepted, sent] = [0, 0];
    await pass(10_000, () => {
      accepted += node!.burst(1);
      sent++;
    });

    expect([first, accepted]).to.deep.equal([40, sent]);
  });

  it('accepts from a user no more than before on one node', async () => {
    const { nodes: [node], pass } = await judges(1, { maxPerSecond: 10, burstSize: 20 });
    let accepted = 0;

    await pass(10_000, () => { accepted += node!.burst(3); });

    expect(accepted).to.be.within(100, 121);
  });

  it('asks the store rarely, and no message waits for it', async () => {
    const { nodes: [node], pass } = await judges(2, { maxPerSecond: 100, burstSize: 100 });
    await pass(500);
    node!.network.calls.length = 0;

    let accepted = 0;
    await pass(10_000, () => { accepted += node!.burst(4); });

    expect(accepted).to.equal(800);
    expect(node!.network.calls.filter((name) => name === 'take').length).to.be.below(accepted / 2);
  });

  it('takes nothing from the store for connections, and for clients without a user', async () => {
    const bench = leaseBench();
    const byConnection = await judge(bench, 'a', ['b'], { by: 'connection', maxPerSecond: 10 });
    const byUser = await judge(bench, 'b', ['a'], { maxPerSecond: 10 });
    const anonymous = stubConnection({ id: 'anonymous' });

    const accepted = [byConnection.burst(20), byUser.burst(20, anonymous)];
    await settled();

    expect(accepted).to.deep.equal([10, 10]);
    for (const { network } of [byConnection, byUser]) expect(network.calls).to.not.include('take');
  });

  it('counts different users of one address together, by that address', async () => {
    const { nodes, pass } = await judges(2, { by: ['user', 'ip'], maxPerSecond: 10, burstSize: 10 });
    const users = nodes.map((_, index) => stubConnection({ id: `c${index}`, ip: '192.0.2.1', user: { id: `user${index}` } }));
    let accepted = 0;

    await pass(10_000, () => { for (const [index, { burst }] of nodes.entries()) accepted += burst(2, users[index]); });

    expect(accepted).to.be.within(100, 100 + 3 * 10);
  });

  it('limits bytes on all nodes', async () => {
    const { nodes, pass } = await judges(2, { maxPerSecond: 10_000, maxBytesPerSecond: 1_000, burstBytes: 2_000 });
    let bytes = 0;

    await pass(20_000, () => { for (const { ask, ann } of nodes) if (!ask(ann, 100)) bytes += 100; });

    expect(bytes).to.be.within(20_000, 20_000 + 3 * 2_000 + 400);
  });

  it('names the time after which a message passes', async () => {
    const { nodes, pass } = await judges(2, { maxPerMinute: 60, burstSize: 5 });
    for (const { burst } of nodes) burst(10);
    await pass(100);
    const waits: number[] = [];

    for (let round = 0; round < 10; round++) {
      const refusal = nodes[0]!.ask(nodes[0]!.ann);
      if (refusal) waits.push(refusal.retryAfter);
      await pass(refusal?.retryAfter ?? 0);
      expect(nodes[0]!.ask(nodes[0]!.ann), `round ${round}`).to.equal(undefined);
      await pass(50);
    }

    expect(waits).to.not.deep.equal([]);
    expect(Math.max(...waits)).to.be.below(12_000);
  });

  for (const mode of ['refuse', 'silence'] as const) {
    it(`applies the share of the node while the store ${mode === 'refuse' ? 'cannot be reached' : 'does not answer'}`, async () => {
      const { nodes, pass } = await judges(4, { maxPerSecond: 20, burstSize: 20 });
      for (const { network } of nodes) network.mode = mode;
      for (const { burst } of nodes) burst(1);
      await pass(1_000);
      let accepted = 0;

      await pass(10_000, () => { for (const { burst } of nodes) accepted += burst(2); });

      for (const { network } of nodes) network.mode = 'up';
      expect(accepted).to.be.within(150, 20 * 10 + 4 * 20);
    });
  }

  it('limits a user as usual while the store is away, on a single node', async () => {
    const { nodes: [node], pass } = await judges(1, { maxPerSecond: 20, burstSize: 20 });
    node!.network.mode = 'refuse';
    let accepted = 0;

    await pass(10_000, () => { accepted += node!.burst(2); });

    node!.network.mode = 'up';
    expect(accepted).to.be.within(200, 222);
  });

  it('counts on all nodes again after an outage', async () => {
    const { nodes, pass } = await judges(2, { maxPerSecond: 10, burstSize: 10 });
    for (const { network } of nodes) network.mode = 'refuse';
    await pass(3_000, () => { for (const { burst } of nodes) burst(2); });
    for (const { network } of nodes) network.mode = 'up';
    await pass(2_000, () => { for (const { burst } of nodes) burst(2); });
    let accepted = 0;

    await pass(20_000, () => { for (const { burst } of nodes) accepted += burst(2); });

    expect(accepted).to.be.within(190, 200 + 3 * 10);
  });

  it('HOSTILE: accepts from an actor who changes nodes and pauses no more than bursts and the rate allow', async () => {
    const bench = leaseBench();
    await fc.assert(fc.asyncProperty(
      fc.array(fc.record({ wait: fc.integer({ min: 0, max: 3_000 }), node: fc.nat(2), tries: fc.integer({ min: 1, max: 30 }) }), { maxLength: 25 }),
      async (steps) => {
        const { nodes, pass } = await judges(3, { maxPerSecond: 10, burstSize: 10 }, bench);
        const begin = performance.now();
        const connection = stubConnection({ id: 'c', user: { id: `user ${begin}` } });
        let accepted = 0;
        for (const { wait, node, tries } of steps) {
          await pass(wait);
          accepted += nodes[node]!.burst(tries, connection);
        }
        const seconds = (performance.now() - begin) / 1_000;
        await pass(50);
        // A full bucket of credit on each node, one in the store, and what a node takes ahead.
        expect(accepted).to.be.at.most(4 * 10 + 3 + 10 * seconds);
      },
    ), { numRuns: 15 });
  }).timeout(60_000);

  it('limits a user with connections to two nodes', async () => {
    const asAnn: ConnectionLayer = { type: 'connection', name: 'ann', handler: () => ({ user: { id: 'ann' } }) };
    const bus = {};
    const begin = async (nodeId: string) => {
      const { adapter, network } = behindNetwork(bus);
      return { ...await start({ adapter, nodeId, use: [asAnn, rateLimit({ by: 'user', maxPerMinute: 30, burstSize: 5, muteFor: 0, closeAfter: false })] }), network };
    };
    const nodes = [await begin('a'), await begin('b')];
    await knowEachOther(...nodes);
    const clients = await Promise.all(nodes.map(({ connect }) => connect()));
    const count = async () => {
      const replies = await Promise.all(clients.flatMap((client) => Array.from({ length: 5 }, () => client.request({ type: 'ping' }))));
      return replies.filter(({ type }) => type === 'pong').length;
    };

    const first = await count();
    const second = await count();

    expect(first).to.equal(10);
    expect(second).to.equal(0);
  });
});
