import { expect } from 'chai';
import { MemoryJournal, type ConnectionLayer } from '../../index.ts';
import { history } from '../../plugins/history.ts';
import { recovery, type RecoveryOptions } from '../../plugins/recovery.ts';
import { rooms } from '../../plugins/rooms.ts';
import { RecoveringClient, type Received } from '../../testing/index.ts';
import { knowEachOther } from '../support/nodes.ts';
import { behindNetwork } from '../support/shared-network.ts';
import { start } from '../support/start.ts';
import { eventually } from '../support/timing.ts';

const byName: ConnectionLayer = {
  type: 'connection', name: 'login',
  handler: (_ws, { url }) => {
    const id = new URL(url, 'http://x').searchParams.get('user');
    return id === null ? {} : { user: { id } };
  },
};

interface World { readonly options?: RecoveryOptions; readonly work?: (runs: number) => unknown }

/** Two nodes with one store and one journal, and a handler that counts its runs. */
async function twoNodes({ options = {}, work = (runs) => ({ type: 'done', content: { runs } }) }: World = {}) {
  const bus = {};
  const journal = new MemoryJournal();
  const runs: { readonly node: string; readonly isRepeat: boolean }[] = [];
  const begin = async (nodeId: string) => {
    const { adapter, network } = behindNetwork(bus);
    const plugins = [rooms({ echo: true }), history({ topics: { 'news:*': {} }, canRead: () => true, journal }), recovery(options)];
    const node = await start({ adapter, nodeId, handlers: [], drainTimeout: 500, use: [byName, ...plugins] });
    node.manager.registerHandler('work', ({ isRepeat }) => work(runs.push({ node: nodeId, isRepeat })));
    return { ...node, network };
  };
  const [a, b] = [await begin('a'), await begin('b')] as const;
  await knowEachOther(a, b);
  await a.manager.api('rooms').create('lobby', { message: { historySize: 100 } });
  let target = a;
  const client = (search = '?user=ann') => new RecoveringClient(() => target.connect({ search }));
  const stored = async (sessionId = '') => (await a.network.store.get([`recovery:${sessionId}`]))[0]?.value as Received | undefined;
  return { a, b, begin, client, runs, stored, to: (node: typeof a) => { target = node; } };
}

type Nodes = Awaited<ReturnType<typeof twoNodes>>;

/** A client on node a with a session, which the store has. */
async function begun(nodes: Nodes, search?: string) {
  const client = nodes.client(search);
  await client.open();
  await client.request({ type: 'join-room', roomId: 'lobby' });
  await client.request({ type: 'subscribe', topic: 'news:a' });
  return client;
}

const size = ({ manager }: Nodes['a']) => manager.connections.size;
const texts = ({ messages }: RecoveringClient) => messages.map(({ content }) => content.content as string).join('');
const say = ({ manager }: Nodes['a'], content: string) => manager.api('rooms').send('lobby', content);
const ask = async ({ client }: RecoveringClient, id: string, more = {}) =>
  (await client!.request({ type: 'work', id, ack: true, ...more })).content as { runs?: number; code?: string };

describe('recovery on several nodes', () => {
  it('gives a client on another node its rooms, its subscriptions, its metadata and what it missed', async () => {
    const nodes = await twoNodes();
    const client = await begun(nodes);
    const { sessionId } = client;
    [...nodes.a.manager.connections.values()][0]!.metadata['theme'] = 'dark';
    await client.drop();
    await eventually('a knows', () => size(nodes.a) === 0);
    await say(nodes.a, 'x');
    await nodes.a.manager.api('history').append('news:a', { type: 'news', content: { content: 'y' } });

    nodes.to(nodes.b);
    const answer = await client.open();
    await say(nodes.a, 'z');
    await eventually('the last message', () => client.messages.length === 3);

    expect(answer).to.include({ resumed: true, sessionId });
    expect(texts(client)).to.equal('xyz');
    expect([client.repeated, client.missed]).to.deep.equal([[], []]);
    const [connection] = [...nodes.b.manager.connections.values()];
    expect(connection!.metadata['theme']).to.equal('dark');
    expect(nodes.b.manager.api('recovery').session(connection!)).to.deep.include({ userId: 'ann', topics: ['news:a'] });
    expect(await nodes.b.manager.api('rooms').fetchMembers('lobby')).to.have.nested.property('members.length', 1);
  });

  it('closes the older connection on another node before the newer receives', async () => {
    const nodes = await twoNodes();
    const client = await begun(nodes);
    const older = client.client!;
    nodes.to(nodes.b);

    const connection = await nodes.b.connect({ search: '?user=ann' });
    const reply = await connection.request({ type: 'recover', sessionId: client.sessionId! });
    const { code } = await older.closed;
    await say(nodes.a, 'x');
    await connection.next('room-message');

    expect([reply.content.resumed, code]).to.deep.equal([true, 4011]);
    expect(older.messages.filter(({ type }) => type === 'room-message')).to.deep.equal([]);
    expect(await nodes.stored(client.sessionId)).to.include({ node: 'b' });
  });

  it('takes a session over from a node that does not answer, whose writes are then refused', async () => {
    const nodes = await twoNodes();
    const client = await begun(nodes);
    const older = client.client!;
    nodes.a.network.mode = 'refuse';
    const connection = await nodes.b.connect({ search: '?user=ann' });

    const { content } = await connection.request({ type: 'recover', sessionId: client.sessionId! });
    // It writes what it knows: the store has a newer version.
    nodes.a.network.mode = 'up';
    await eventually('a hears of it', () => size(nodes.a) === 0);

    expect(content.resumed).to.equal(true);
    expect((await older.closed).code).to.equal(4011);
    expect(await nodes.stored(client.sessionId)).to.include({ node: 'b' });
  });

  it('closes the older connection when the store shows its node that it was replaced', async () => {
    const nodes = await twoNodes();
    const client = await begun(nodes);
    const { value, version } = (await nodes.b.network.store.get([`recovery:${client.sessionId!}`]))[0]!;

    await nodes.b.network.store.put(`recovery:${client.sessionId!}`, { ...value as object, node: 'b', connection: 'x' }, { if: version });

    expect((await client.client!.closed).code).to.equal(4011);
    expect(await nodes.stored(client.sessionId)).to.include({ node: 'b', connection: 'x' });
  });

  it('gives a session to one of many connections that resume it at once, on both nodes', async () => {
    const nodes = await twoNodes();
    const client = await begun(nodes);
    await client.drop();
    const all = await Promise.all([nodes.a, nodes.b, nodes.a, nodes.b, nodes.a].map((node) => node.connect({ search: '?user=ann' })));

    const outcomes = await Promise.all(all.map((one) => Promise.race([
      one.request({ type: 'recover', sessionId: client.sessionId! }).then(({ content }) => content.resumed as boolean), one.closed.then(({ code }) => code),
    ])));
    await eventually('one is left', () => size(nodes.a) + size(nodes.b) === 1 || [size(nodes.a), size(nodes.b)]);

    expect(outcomes.filter((outcome) => outcome !== true && outcome !== 4011)).to.deep.equal([]);
    const owner = (await nodes.stored(client.sessionId))!['connection'];
    expect([...nodes.a.manager.connections.keys(), ...nodes.b.manager.connections.keys()]).to.deep.equal([owner]);
  });

  it('gives no session to another user or a forged id, with the same answer for both', async () => {
    const nodes = await twoNodes();
    const client = await begun(nodes);
    await client.drop();
    await eventually('a knows', () => size(nodes.a) === 0);
    const resume = async (search: string, sessionId: string | undefined) => {
      const { content } = await (await nodes.b.connect({ search })).request({ type: 'recover', sessionId: sessionId! });
      return { ...content, sessionId: content.sessionId === client.sessionId } as object;
    };

    const [other, anonymous, forged] = [await resume('?user=bob', client.sessionId), await resume('', client.sessionId), await resume('?user=bob', 'forged')];

    expect(other).to.deep.equal(forged);
    expect({ ...anonymous, userId: 'bob' }).to.deep.equal(forged);
    expect(anonymous).to.not.have.property('userId');
    expect(forged).to.include({ resumed: false, sessionId: false });
  });

  it('does not restore a room whose user was banned while away', async () => {
    const nodes = await twoNodes();
    const client = await begun(nodes);
    await client.drop();
    await nodes.b.manager.api('rooms').ban('lobby', 'ann');
    await say(nodes.a, 'secret');
    nodes.to(nodes.b);

    const { topics } = await client.open();

    expect(topics).to.deep.include({ topic: 'room:lobby', recovered: false, reason: 'unknown' });
    expect(JSON.stringify(client.client!.messages)).to.not.include('secret');
  });

  it('deletes the session of a client that the application removed', async () => {
    const nodes = await twoNodes();
    const client = await begun(nodes);

    [...nodes.a.manager.connections.values()][0]!.close(4010, 'kicked');
    await eventually('it is deleted', async () => await nodes.stored(client.sessionId) === undefined);
    nodes.to(nodes.b);

    expect(await client.open()).to.include({ resumed: false });
  });

  it('keeps the sessions of a node that stops', async () => {
    const nodes = await twoNodes();
    const client = await begun(nodes);

    await nodes.a.stop();
    nodes.to(nodes.b);

    expect(await client.open()).to.include({ resumed: true });
  });

  it('answers STORE_UNAVAILABLE while the store is away, and resumes the session afterwards', async () => {
    const nodes = await twoNodes();
    const client = await begun(nodes);
    await client.drop();
    await eventually('a knows', () => size(nodes.a) === 0);
    const connection = await nodes.b.connect({ search: '?user=ann' });
    const recover = () => connection.request({ type: 'recover', sessionId: client.sessionId! });

    nodes.b.network.mode = 'refuse';
    const refused = await recover();
    nodes.b.network.mode = 'up';
    const resumed = await recover();

    expect([refused.content.code, resumed.content.resumed]).to.deep.equal(['STORE_UNAVAILABLE', true]);
  });

  it('writes the sessions that began while the store was away, and those that the store has lost', async () => {
    const nodes = await twoNodes();
    nodes.a.network.mode = 'refuse';
    const client = nodes.client();
    await client.open();
    expect(await nodes.stored(client.sessionId).catch(() => 'away')).to.equal('away');

    nodes.a.network.mode = 'up';
    await eventually('it is written', async () => await nodes.stored(client.sessionId) !== undefined);
    await nodes.a.network.store.delete(`recovery:${client.sessionId!}`);

    await eventually('it is written again', async () => await nodes.stored(client.sessionId) !== undefined);
  });

  it('reports metadata that JSON cannot represent, and keeps the session', async () => {
    const nodes = await twoNodes();
    const errors: unknown[] = [];
    nodes.a.manager.on('error', (error) => errors.push(error));
    const client = nodes.client();
    await client.open();
    [...nodes.a.manager.connections.values()][0]!.metadata['count'] = 1n;
    await client.request({ type: 'join-room', roomId: 'lobby' });
    await client.drop();
    nodes.to(nodes.b);

    expect(await client.open()).to.include({ resumed: true });
    expect(errors.some((error) => error instanceof TypeError)).to.equal(true);
  });
});

describe('a message that is sent again to another node', () => {
  it('gets the answer of the first time, and the handler does not run again', async () => {
    const nodes = await twoNodes();
    const client = await begun(nodes);
    const first = await ask(client, '1');
    await client.drop();
    nodes.to(nodes.b);
    await client.open();

    const again = await ask(client, '1', { meta: { repeat: 20 } });
    const other = await ask(client, '2');

    expect([first, again, other]).to.deep.equal([{ runs: 1 }, { runs: 1 }, { runs: 2 }]);
    expect(nodes.runs.map(({ node }) => node)).to.deep.equal(['a', 'b']);
  });

  it('waits for the handler that still runs on the other node', async () => {
    let finish: (value: unknown) => void = () => undefined;
    const nodes = await twoNodes({ work: () => new Promise((resolve) => (finish = resolve)) });
    const client = await begun(nodes);
    const reply = client.request({ type: 'work' });
    await eventually('the handler runs', () => nodes.runs.length === 1);
    await client.drop();
    await eventually('a knows', () => size(nodes.a) === 0);
    nodes.to(nodes.b);

    await client.open();
    await eventually('b asks', () => nodes.b.manager.connections.size === 1);
    finish({ type: 'done', content: 'late' });

    expect((await reply).content).to.equal('late');
    expect(nodes.runs.length).to.equal(1);
  });

  it('runs the handler again, with isRepeat, if the other node died while it ran', async () => {
    const nodes = await twoNodes({ work: (runs) => (runs === 1 ? new Promise(() => undefined) : { type: 'done', content: runs }) });
    const client = await begun(nodes);
    const reply = client.request({ type: 'work' });
    await eventually('the handler runs', () => nodes.runs.length === 1);
    await client.drop();
    await eventually('a knows', () => size(nodes.a) === 0);
    await nodes.a.manager.stop();
    nodes.to(nodes.b);

    await client.open();

    expect((await reply).content).to.equal(2);
    expect(nodes.runs).to.deep.equal([{ node: 'a', isRepeat: false }, { node: 'b', isRepeat: true }]);
  });

  it('is refused if its answer was deleted to make room', async () => {
    const nodes = await twoNodes({ options: { maxAnswers: 3 } });
    const client = await begun(nodes);
    const since = performance.now();
    for (const id of ['1', '2', '3', '4', '5', '6', '7', '8']) await ask(client, id);
    await client.drop();
    nodes.to(nodes.b);
    await client.open();

    const old = await ask(client, '1', { meta: { repeat: performance.now() - since + 1_000 } });
    const kept = await ask(client, '8', { meta: { repeat: 1 } });

    expect([old.code, kept.runs]).to.deep.equal(['MESSAGE_TOO_OLD', 8]);
  });

  it('is recognized by the outbox of its user after the session has ended, and by no other outbox', async () => {
    const nodes = await twoNodes();
    const open = async (node: Nodes['a'], search: string) => {
      const connection = await node.connect({ search });
      await connection.request({ type: 'recover', content: { outbox: 'o1' } });
      return async (id: string) => (await connection.request({ type: 'work', id, ack: true, meta: { repeat: 5 } })).content.runs as number;
    };

    const [ann, annElsewhere, bob, anonymous] = [await open(nodes.a, '?user=ann'), await open(nodes.a, '?user=ann'), await open(nodes.b, '?user=bob'), await open(nodes.b, '')];
    const first = await ann('1');
    await eventually('the store has it', async () => (await nodes.a.network.store.sizes(['recovery:outbox ["ann","o1"]']))[0] === 1);
    const later = await open(nodes.b, '?user=ann');

    expect([first, await annElsewhere('1'), await later('1'), await bob('1'), await anonymous('1')]).to.deep.equal([1, 1, 1, 2, 3]);
  });

  it('has its answer written when the store is back', async () => {
    const nodes = await twoNodes();
    const client = await begun(nodes);
    nodes.a.network.mode = 'refuse';
    await ask(client, '1');
    nodes.a.network.mode = 'up';
    const [session] = [...nodes.a.manager.connections.values()].map((one) => nodes.a.manager.api('recovery').session(one));
    // That of join-room is there, too.
    await eventually('the store has it', async () => (await nodes.a.network.store.sizes([`recovery:${session!.handle}`]))[0] === 2);
    await client.drop();
    nodes.to(nodes.b);
    const answer = await client.open();

    expect(answer).to.include({ resumed: true });
    expect(await ask(client, '1', { meta: { repeat: 20 } })).to.deep.equal({ runs: 1 });
  });
});
