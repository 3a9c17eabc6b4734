import { expect } from 'chai';
import { init, type InitOptions } from '../../handlers/init.ts';
import type { ConnectionLayer } from '../../index.ts';
import type { Client } from '../support/client.ts';
import { knowEachOther } from '../support/nodes.ts';
import { behindNetwork } from '../support/shared-network.ts';
import { start } from '../support/start.ts';
import { eventually } from '../support/timing.ts';

const asUser: ConnectionLayer = {
  type: 'connection', name: 'names',
  handler(_ws, { url }) {
    const id = new URL(url, 'http://localhost').searchParams.get('user');
    return id === null ? {} : { user: { id } };
  },
};

/** Two nodes with one store. */
async function twoNodes(options: InitOptions = {}) {
  const bus = {};
  const begin = async (nodeId: string) => {
    const { adapter, network } = behindNetwork(bus);
    const node = await start({ adapter, nodeId, handlers: [], drainTimeout: 500, use: [asUser, init(options)] });
    return { ...node, network };
  };
  const [a, b] = [await begin('a'), await begin('b')] as const;
  await knowEachOther(a, b);
  const stored = async (sessionId: string) => (await a.network.store.get([`init:${sessionId}`]))[0]?.value as { node: string; connection: string; user: string | null } | undefined;
  return { a, b, stored, begin };
}

const welcome = async (client: Client, sessionId?: unknown) => {
  const { content } = await client.request({ type: 'init', ...(sessionId === undefined ? {} : { sessionId }) });
  return content as { connectionId: string; sessionId: string; resumed: boolean };
};

const as = (user: string) => ({ search: `?user=${user}` });

/** Connects to a node with a new session, and waits until that is stored. */
async function begun({ a, stored }: Awaited<ReturnType<typeof twoNodes>>, user = 'ann') {
  const client = await a.connect(as(user));
  const { sessionId, connectionId } = await welcome(client);
  await eventually('the session is stored', async () => await stored(sessionId) !== undefined);
  return { client, sessionId, connectionId };
}

describe('init on several nodes', () => {
  it('resumes a session on another node, and there only', async () => {
    const nodes = await twoNodes();
    const { client, sessionId } = await begun(nodes);
    await client.close();

    const there = await welcome(await nodes.b.connect(as('ann')), sessionId);
    const back = await welcome(await nodes.a.connect(as('ann')), sessionId);

    expect([there, back].map(({ resumed, sessionId: id }) => [resumed, id])).to.deep.equal([[true, sessionId], [true, sessionId]]);
    await eventually('one node has it', () => nodes.b.manager.connections.size === 0);
    expect((await nodes.stored(sessionId))?.node).to.equal('a');
  });

  it('replaces the older connection of a session with 4011, on whatever node it is', async () => {
    const nodes = await twoNodes();
    const { client, sessionId } = await begun(nodes);

    const { resumed, connectionId } = await welcome(await nodes.b.connect(as('ann')), sessionId);

    expect(resumed).to.equal(true);
    expect((await client.closed).code).to.equal(4011);
    await eventually('a has no connection', () => nodes.a.manager.connections.size === 0);
    expect(await nodes.stored(sessionId)).to.deep.equal({ user: 'ann', node: 'b', connection: connectionId });
  });

  it('replaces the older connection of a session on the same node', async () => {
    const nodes = await twoNodes();
    const { client, sessionId } = await begun(nodes);

    const { resumed } = await welcome(await nodes.a.connect(as('ann')), sessionId);

    expect(resumed).to.equal(true);
    expect((await client.closed).code).to.equal(4011);
  });

  it('gives a session to the same user only', async () => {
    const nodes = await twoNodes();
    const { client, sessionId } = await begun(nodes);

    const bob = await welcome(await nodes.b.connect(as('bob')), sessionId);
    const anonymous = await welcome(await nodes.b.connect(), sessionId);

    for (const { resumed, sessionId: id } of [bob, anonymous]) {
      expect(resumed).to.equal(false);
      expect(id).to.not.equal(sessionId);
    }
    expect(client.ws.readyState).to.equal(client.ws.OPEN);
  });

  it('knows the user of a client that authenticated after init', async () => {
    const nodes = await twoNodes();
    const client = await nodes.a.connect();
    const { sessionId, connectionId } = await welcome(client);
    nodes.a.manager.identify(connectionId, { id: 'ann' });
    await eventually('the user is stored', async () => (await nodes.stored(sessionId))?.user === 'ann');

    const [anonymous, ann] = [await welcome(await nodes.b.connect(), sessionId), await welcome(await nodes.b.connect(as('ann')), sessionId)];

    expect([anonymous.resumed, ann.resumed]).to.deep.equal([false, true]);
  });

  it('resumes sessions of a node that stopped', async () => {
    const nodes = await twoNodes();
    const { sessionId } = await begun(nodes);

    await nodes.a.manager.stop();

    expect(await welcome(await nodes.b.connect(as('ann')), sessionId)).to.include({ resumed: true, sessionId });
  });

  for (const given of ['unknown', '', '\ud800', 'x'.repeat(128)]) {
    it(`gives a new session to a client with the session id ${JSON.stringify(given).slice(0, 20)}`, async () => {
      const { b } = await twoNodes();

      const { resumed, sessionId } = await welcome(await b.connect(as('ann')), given);

      expect(resumed).to.equal(false);
      expect(sessionId).to.not.equal(given);
    });
  }

  it('gives a session to one client only when two nodes are asked at once', async () => {
    const nodes = await twoNodes();
    const { client, sessionId } = await begun(nodes);
    await client.close();
    const clients = await Promise.all(Array.from({ length: 6 }, (_, index) => (index % 2 ? nodes.a : nodes.b).connect(as('ann'))));

    await Promise.all(clients.map((one) => one.request({ type: 'init', sessionId }).catch(() => undefined)));

    const connections = () => [nodes.a, nodes.b].flatMap(({ manager }) => [...manager.connections.values()]);
    const holders = () => connections().filter((one) => one.isOpen && one.sessionId === sessionId);
    await eventually('one connection has the session', () => holders().length === 1 || holders().length);
    expect((await nodes.stored(sessionId))?.connection).to.equal(holders()[0]!.id);
  });

  it('stores a session of a connection that has taken another one no longer', async () => {
    const nodes = await twoNodes();
    const { client, sessionId } = await begun(nodes);
    await client.close();
    const next = await nodes.b.connect(as('ann'));
    const { sessionId: own } = await welcome(next);
    await eventually('it is stored', async () => await nodes.stored(own) !== undefined);

    await welcome(next, sessionId);

    await eventually('it is deleted', async () => await nodes.stored(own) === undefined);
    expect(next.ws.readyState).to.equal(next.ws.OPEN);
  });

  it('keeps no more sessions of one user than the limit', async () => {
    const nodes = await twoNodes({ maxSessionsPerActor: 2 });
    const sessions: string[] = [];
    for (let index = 0; index < 3; index++) {
      const { client, sessionId } = await begun(nodes);
      sessions.push(sessionId);
      await client.close();
      await eventually('it has left', () => nodes.a.manager.connections.size === 0);
    }

    await eventually('the oldest is deleted', async () => await nodes.stored(sessions[0]!) === undefined);

    expect(await Promise.all(sessions.slice(1).map(async (id) => (await nodes.stored(id))?.user))).to.deep.equal(['ann', 'ann']);
  });

  it('knows only the sessions of its node while the store cannot be used, and stores them later', async () => {
    const nodes = await twoNodes();
    const { client, sessionId } = await begun(nodes);
    await client.close();
    await eventually('it has left', () => nodes.a.manager.connections.size === 0);
    for (const { network } of [nodes.a, nodes.b]) network.mode = 'refuse';

    const there = await welcome(await nodes.b.connect(as('ann')), sessionId);
    const here = await welcome(await nodes.a.connect(as('ann')), sessionId);
    for (const { network } of [nodes.a, nodes.b]) network.mode = 'up';
    await eventually('both are stored', async () =>
      (await nodes.stored(sessionId))?.connection === here.connectionId && (await nodes.stored(there.sessionId))?.node === 'b', 5_000);

    expect([there.resumed, here.resumed]).to.deep.equal([false, true]);
  });
});
