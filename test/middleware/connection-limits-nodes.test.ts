import { expect } from 'chai';
import { ModuleError, type Usable } from '../../index.ts';
import { connectionLimits, type ConnectionLimitsOptions } from '../../middleware/connection-limits.ts';
import { as, from, names } from '../support/callers.ts';
import type { Client, UpgradeRefused } from '../support/client.ts';
import { knowEachOther } from '../support/nodes.ts';
import { behindNetwork } from '../support/shared-network.ts';
import { start } from '../support/start.ts';
import { eventually } from '../support/timing.ts';

/** Nodes with one store. */
async function nodes(count: number, use: () => readonly Usable[]) {
  const bus = {};
  const started = [];
  for (let index = 0; index < count; index++) {
    const { adapter, network } = behindNetwork(bus);
    const node = await start({ adapter, nodeId: `n${index}`, trustProxy: ['127.0.0.0/8'], drainTimeout: 500, use: use() });
    started.push({ ...node, network });
  }
  await knowEachOther(...started);
  return started;
}

type Node = Awaited<ReturnType<typeof nodes>>[number];

const limited = (count: number, options: ConnectionLimitsOptions) => nodes(count, () => [names, connectionLimits(options)]);

/** Connects many clients at once, in turn to each node. Resolves to the accepted ones and the statuses of the others. */
async function burst(all: readonly Node[], count: number, options: Parameters<Node['connect']>[0]) {
  const answers = await Promise.all(Array.from({ length: count }, (_, index) =>
    all[index % all.length]!.connect(options).then((client) => client, (error: unknown) => (error as UpgradeRefused).status)));
  return {
    clients: answers.filter((answer): answer is Client => typeof answer === 'object'),
    refused: answers.filter((answer) => typeof answer !== 'object'),
  };
}

const statusOf = (attempt: Promise<Client>) => attempt.then(() => 'accepted', (error: unknown) => (error as UpgradeRefused).status);

/** How many of these users' clients are still open after all refusals have arrived. */
async function staying(all: readonly Node[], clients: readonly Client[], expected: number): Promise<number> {
  const open = () => all.reduce((sum, { manager }) => sum + manager.connections.size, 0);
  await eventually('the others are closed', () => open() <= expected || open());
  await Promise.all(clients.filter(({ ws }) => ws.readyState !== ws.OPEN).map(({ closed }) => closed));
  return open();
}

describe('connection-limits on several nodes', () => {
  it('accepts exactly as many connections of an address as the limit says, in a burst to all nodes', async () => {
    const all = await limited(3, { maxPerIP: 10 });

    const { clients, refused } = await burst(all, 40, from('192.0.2.1'));
    const other = await statusOf(all[0]!.connect(from('192.0.2.2')));

    expect(clients).to.have.length(10);
    expect(refused).to.deep.equal(Array(30).fill(429));
    expect(other).to.equal('accepted');
  });

  it('accepts another connection on any node when one has left', async () => {
    const [a, b] = await limited(2, { maxPerIP: 1 }) as [Node, Node];
    const first = await a.connect(from('192.0.2.1'));
    const before = await statusOf(b.connect(from('192.0.2.1')));

    await first.close();
    await eventually('the seat is free', () => statusOf(b.connect(from('192.0.2.1'))).then((status) => status === 'accepted'));

    expect(before).to.equal(429);
    expect(await statusOf(a.connect(from('192.0.2.1')))).to.equal(429);
  });

  it('does not count an upgrade that a later layer refuses', async () => {
    const [a, b] = await nodes(2, () => [
      connectionLimits({ maxPerIP: 1, maxPerWindow: 100 }),
      { type: 'upgrade', name: 'never', handler: ({ url }) => { if (url.includes('never')) throw new ModuleError('FORBIDDEN', {}); } },
    ]) as [Node, Node];

    const refused = await statusOf(a.connect({ ...from('192.0.2.1'), search: '?never' }));
    await eventually('the seat is free', () => statusOf(b.connect(from('192.0.2.1'))).then((status) => status === 'accepted'));

    expect(refused).to.equal(403);
  });

  it('frees the places of a node that stopped', async () => {
    const [a, b] = await limited(2, { maxPerIP: 2 }) as [Node, Node];
    await burst([b], 2, from('192.0.2.1'));
    const before = await statusOf(a.connect(from('192.0.2.1')));

    await b.manager.stop();

    expect(before).to.equal(429);
    expect((await burst([a], 3, from('192.0.2.1'))).clients).to.have.length(2);
  });

  it('counts connections that are older than the plugin, and forgets them when it is unloaded', async () => {
    const [a, b] = await nodes(2, () => []) as [Node, Node];
    await a.connect(from('192.0.2.1'));
    for (const { manager } of [a, b]) manager.use(connectionLimits({ maxPerIP: 1 }));
    await eventually('b refuses', async () => {
      const { clients } = await burst([b], 1, from('192.0.2.1'));
      await Promise.all(clients.map((client) => client.close()));
      return clients.length === 0;
    });

    await a.manager.unload('connection-limits');

    expect(await statusOf(b.connect(from('192.0.2.1')))).to.equal('accepted');
  });

  it('closes connections above the limit of a user, on whatever node the others are', async () => {
    const all = await limited(3, { maxPerUser: 4 });

    const { clients } = await burst(all, 15, as('ann'));
    const bob = await all[0]!.connect(as('bob'));
    const open = await staying(all, clients, 5);
    const codes = await Promise.all(clients.filter(({ ws }) => ws.readyState !== ws.OPEN).map(({ closed }) => closed.then(({ code }) => code)));

    expect(open).to.equal(5);
    expect(codes).to.deep.equal(Array(11).fill(4129));
    expect(bob.ws.readyState).to.equal(bob.ws.OPEN);
  });

  it('closes the oldest connection of a user instead, with replace-oldest, on whatever node it is', async () => {
    const [a, b] = await limited(2, { maxPerUser: 2, whenUserFull: 'replace-oldest' }) as [Node, Node];
    const first = await a.connect(as('ann'));
    const second = await b.connect(as('ann'));

    const third = await b.connect(as('ann'));
    const { code, reason } = await first.closed;
    const fourth = await a.connect(as('ann'));

    expect([code, reason]).to.deep.equal([4011, 'REPLACED: a newer connection of this user']);
    expect((await second.closed).code).to.equal(4011);
    expect([third, fourth].map(({ ws }) => ws.readyState)).to.deep.equal([1, 1]);
  });

  it('never has more connections of a user than the limit for long, with replace-oldest in a burst', async () => {
    const all = await limited(3, { maxPerUser: 2, whenUserFull: 'replace-oldest' });

    const { clients } = await burst(all, 12, as('ann'));

    expect(await staying(all, clients, 2)).to.equal(2);
  });

  it('counts the connections in the window on all nodes', async () => {
    const all = await limited(3, { maxPerIP: false, maxPerWindow: 6 });

    const { clients, refused } = await burst(all, 12, from('192.0.2.1'));

    expect([clients.length, refused.length]).to.deep.equal([6, 6]);
  });

  for (const [title, limit] of Object.entries<ConnectionLimitsOptions>({
    'of open connections': { maxPerIP: 10 }, 'of the window': { maxPerIP: false, maxPerWindow: 10 },
  })) {
    it(`applies the share of each node ${title} while the store cannot be used`, async () => {
      const all = await limited(2, { ...limit });
      for (const { network } of all) network.mode = 'refuse';

      const { clients, refused } = await burst(all, 30, from('192.0.2.1'));
      for (const { network } of all) network.mode = 'up';

      expect(clients).to.have.length(10);
      expect(refused).to.deep.equal(Array(20).fill(429));
    });
  }

  it('applies the share of each node to users while the store cannot be used', async () => {
    const all = await limited(2, { maxPerUser: 4 });
    for (const { network } of all) network.mode = 'refuse';

    const { clients } = await burst(all, 12, as('ann'));

    expect(await staying(all, clients, 4)).to.equal(4);
    for (const { network } of all) network.mode = 'up';
  });

  it('counts together again after an outage, also what came and went meanwhile', async () => {
    const all = await limited(2, { maxPerIP: 4 });
    const [a, b] = all as [Node, Node];
    const { clients: [gone] } = await burst([a], 1, from('192.0.2.1'));
    for (const { network } of all) network.mode = 'refuse';
    const { clients } = await burst(all, 8, from('192.0.2.1'));
    await gone!.close();

    for (const { network } of all) network.mode = 'up';
    await eventually('three seats are taken', () => a.network.store.sizes(['connection-limits:address:192.0.2.1']).then(([size]) => size === 3));

    expect(clients).to.have.length(3);
    expect((await burst([b], 4, from('192.0.2.1'))).clients).to.have.length(1);
  });
});
