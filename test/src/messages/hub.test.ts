import { expect } from 'chai';
import type { Adapter, SendLayer } from '../../../src/contracts.ts';
import type { Client } from '../../support/client.ts';
import { eventually } from '../../support/timing.ts';
import { codeOf, next, plugin, raise, startKernel, type StartedKernel } from '../start-kernel.ts';

const send = (name: string, handler: SendLayer['handler']): SendLayer => ({ type: 'send', name, handler });

/** So many clients, and their connections' ids in the same order. */
async function crowd(kernel: StartedKernel, count: number): Promise<{ clients: Client[]; ids: string[] }> {
  const clients: Client[] = [];
  const ids: string[] = [];
  for (let each = 0; each < count; each++) {
    const added = next(kernel.manager, 'connection:added');
    clients.push(await kernel.connect());
    ids.push((await added)[0].id);
  }
  return { clients, ids };
}

describe('topics', () => {
  it('reach only their subscribers, and return their number', async () => {
    const kernel = await startKernel();
    const { manager } = kernel;
    const { clients: [a, b, c], ids } = await crowd(kernel, 3);
    manager.subscribe(ids[0]!, 'news');
    manager.subscribe(ids[1]!, 'news');

    const count = manager.publish('news', { type: 'headline', content: 'hello' });
    manager.broadcast({ type: 'end' });

    expect(count).to.equal(2);
    for (const client of [a!, b!]) expect(await client.next()).to.include({ type: 'headline', content: 'hello' });
    expect(await c!.next()).to.include({ type: 'end' });
  });

  it('skip the connections in `except`', async () => {
    const kernel = await startKernel();
    const { manager } = kernel;
    const { clients: [a, b, c], ids } = await crowd(kernel, 3);

    const counts = [manager.broadcast({ type: 'one' }, { except: ids[0]! }), manager.broadcast({ type: 'two' }, { except: [ids[0]!, ids[1]!] }), manager.broadcast({ type: 'end' })];
    await Promise.all([a!, b!, c!].map((client) => client.next('end')));

    expect(counts).to.deep.equal([2, 1, 3]);
    expect([a!, b!, c!].map((client) => client.messages.map(({ type }) => type))).to.deep.equal([['end'], ['one', 'end'], ['one', 'two', 'end']]);
  });

  it('send the same id and timestamp to all', async () => {
    const kernel = await startKernel();
    const { clients } = await crowd(kernel, 3);

    kernel.manager.broadcast({ type: 'tick' });

    const got = await Promise.all(clients.map((client) => client.next('tick')));
    expect(new Set(got.map(({ id, timestamp }) => `${id} ${String(timestamp)}`)).size).to.equal(1);
  });

  it('end when the last subscriber unsubscribes or disconnects', async () => {
    const kernel = await startKernel();
    const { manager } = kernel;
    const { clients, ids } = await crowd(kernel, 2);
    const before = manager.inspect().topics;
    for (const id of ids) manager.subscribe(id, 'news');
    manager.subscribe(ids[0]!, 'news');

    manager.unsubscribe(ids[0]!, 'news');
    const one = manager.publish('news', { type: 'x' });
    await clients[1]!.close();
    await eventually('one connection', () => manager.connections.size === 1);

    expect(one).to.equal(1);
    expect(manager.publish('news', { type: 'x' })).to.equal(0);
    expect(manager.inspect().topics).to.equal(before);
  });

  it('reject an unknown connection, and ignore its unsubscribe', async () => {
    const { manager } = await startKernel();

    expect(() => { manager.subscribe('nobody', 'news'); }).to.throw().with.property('code', 'CONNECTION_UNKNOWN');
    expect(() => { manager.unsubscribe('nobody', 'news'); }).to.not.throw();
  });

  it('keep the order in which they were published', async () => {
    const kernel = await startKernel();
    const { clients } = await crowd(kernel, 5);

    for (let n = 0; n < 500; n++) kernel.manager.broadcast({ type: 'tick', content: n });
    kernel.manager.broadcast({ type: 'end' });

    for (const client of clients) {
      await client.next('end');
      expect(client.messages.slice(0, -1).map(({ content }) => content as number)).to.deep.equal(Array.from({ length: 500 }, (_, n) => n));
    }
  });

  it('reach all connections of a user', async () => {
    const login = { type: 'connection' as const, name: 'login', handler: (_ws: unknown, { url = '' }) => ({ user: { id: new URL(url, 'http://x').searchParams.get('user')! } }) };
    const { manager, connect } = await startKernel({ use: [login] });
    const [ann1, ann2, bob] = [await connect({ search: '?user=ann' }), await connect({ search: '?user=ann' }), await connect({ search: '?user=bob' })];

    const counts = [manager.sendToUser('ann', { type: 'hi' }), manager.sendToUser('nobody', { type: 'hi' }), manager.broadcast({ type: 'end' })];
    await Promise.all([ann1, ann2, bob].map((client) => client.next('end')));

    expect(counts).to.deep.equal([2, 0, 3]);
    expect([ann1, ann2, bob].map((client) => client.messages.length)).to.deep.equal([2, 2, 1]);
  });

  it('can be delivered on this node alone, with a position', async () => {
    const kernel = await startKernel();
    const { clients: [client], ids } = await crowd(kernel, 1);
    kernel.manager.subscribe(ids[0]!, 'news');
    kernel.manager.use(plugin('store', ({ node }) => node.deliver('news', { type: 'old' }, { epoch: 'e', offset: 7 })));

    expect(await client!.next('old')).to.include({ epoch: 'e', offset: 7 });
  });
});

describe('messages that a plugin takes over', () => {
  it('are not sent by the kernel, and count as sent to no one', async () => {
    const kernel = await startKernel();
    const { clients: [client], ids } = await crowd(kernel, 1);
    const taken: unknown[] = [];
    kernel.manager.subscribe(ids[0]!, 'news');
    kernel.manager.use(plugin('taker', (context) => context.publishWith((topic, message, options) => {
      if (topic !== 'news') return false;
      taken.push({ message, options });
      return true;
    })));
    await kernel.manager.ready();

    const counts = [kernel.manager.publish('news', { type: 'taken' }, { except: 'a' }), kernel.manager.publish('news', { type: 'local' }, { local: true }), kernel.manager.broadcast({ type: 'end' })];
    await client!.next('end');

    expect(counts).to.deep.equal([0, 1, 1]);
    expect(taken).to.deep.equal([{ message: { type: 'taken' }, options: { except: 'a' } }]);
    expect(client!.messages.map(({ type }) => type)).to.deep.equal(['local', 'end']);
  });

  it('are delivered later, with the send layers run once', async () => {
    const kernel = await startKernel();
    const { clients: [one, two], ids } = await crowd(kernel, 2);
    let runs = 0;
    kernel.manager.use({ type: 'send', name: 'count', handler: (message) => (message.type === 'news' ? { ...message, runs: ++runs } : message) });
    for (const id of ids) kernel.manager.subscribe(id, 'news');
    const counts: number[] = [];
    kernel.manager.use(plugin('store', ({ node }) => {
      const message = { ...node.prepare('news', { type: 'news', topic: 'x', epoch: 'x' }), topic: 'news', epoch: 'e', offset: 7 };
      counts.push(node.deliverPrepared('news', message, { except: [ids[1]!] }), node.deliverPrepared('news', message, { to: { id: ids[1]! } }), node.deliverPrepared('news', message, { to: { id: 'gone' } }));
    }));

    const received = [await one!.next('news'), await two!.next('news')];

    expect(counts).to.deep.equal([1, 1, 0]);
    for (const message of received) expect(message).to.include({ topic: 'news', epoch: 'e', offset: 7, runs: 1 });
    expect(received[0]!.id).to.equal(received[1]!.id);
  });
});

describe('a topic', () => {
  it('is announced when its first subscriber comes, and when its last one leaves', async () => {
    const kernel = await startKernel();
    const { clients: [client], ids } = await crowd(kernel, 2);
    const told: string[] = [];
    kernel.manager.on('topic:opened', ({ topic }) => told.push(`opened ${topic}`));
    kernel.manager.on('topic:closed', ({ topic }) => told.push(`closed ${topic}`));

    for (const id of ids) kernel.manager.subscribe(id, 'news');
    kernel.manager.unsubscribe(ids[0]!, 'news');
    kernel.manager.subscribe(ids[0]!, 'other');
    kernel.manager.unsubscribe(ids[1]!, 'news');
    const removed = next(kernel.manager, 'connection:removed');
    await client!.terminate();
    await removed;

    expect(told).to.deep.equal(['opened news', 'opened other', 'closed news', 'closed other']);
  });
});

describe('sending to one connection', () => {
  it('returns whether the message is queued', async () => {
    const kernel = await startKernel();
    const { clients: [client], ids } = await crowd(kernel, 1);

    const sent = [kernel.manager.sendToConnection(ids[0]!, { type: 'hi' }), kernel.manager.sendToConnection('nobody', { type: 'hi' })];

    expect(sent).to.deep.equal([true, false]);
    expect(await client!.next()).to.include({ type: 'hi' });
  });

  it('emits message:dropped for an unknown connection', async () => {
    const { manager } = await startKernel();
    const dropped = next(manager, 'message:dropped');

    manager.sendToConnection('nobody', { type: 'hi' });

    expect((await dropped)[0]).to.deep.equal({ connection: undefined, code: 'CONNECTION_UNKNOWN' });
    expect(manager.getMetrics().messages.droppedMessages).to.equal(1);
  });
});

describe('send layers', () => {
  it('see each message once, not once per recipient, and may replace it', async () => {
    let calls = 0;
    const kernel = await startKernel({ use: [send('stamp', (message) => { calls++; return { ...message, meta: { stamped: calls } }; })] });
    const { clients } = await crowd(kernel, 3);

    kernel.manager.broadcast({ type: 'tick' });

    for (const client of clients) expect((await client.next('tick')).meta).to.deep.equal({ stamped: 1 });
    expect(calls).to.equal(1);
  });

  it('see replies, too, and the target of each message', async () => {
    const targets: string[] = [];
    const kernel = await startKernel({ use: [send('look', (_message, target) => void targets.push('topic' in target ? target.topic : target.connection.id))] });
    kernel.manager.registerHandler('ask', () => 1);
    const { clients: [client], ids } = await crowd(kernel, 1);

    await client!.request({ type: 'ask' });
    kernel.manager.publish('news', { type: 'x' });

    expect(targets).to.deep.equal([ids[0], 'news']);
  });

  it('drop the message when they throw, and the reason is reported', async () => {
    const kernel = await startKernel({ use: [send('censor', ({ type }) => type === 'bad' ? raise(new Error('not this')) : undefined)] });
    const { clients: [client], ids } = await crowd(kernel, 1);

    const sent = [kernel.manager.broadcast({ type: 'bad' }), kernel.manager.sendToConnection(ids[0]!, { type: 'bad' }), kernel.manager.broadcast({ type: 'good' })];

    expect(sent).to.deep.equal([0, false, 1]);
    expect(await client!.next()).to.include({ type: 'good' });
    expect(kernel.failures.map(({ error }) => error.code)).to.deep.equal(['SEND_LAYER_DROPPED', 'SEND_LAYER_DROPPED']);
    expect(kernel.failures[0]!.error.message).to.include('not this');
  });

  it('drop the message when they are asynchronous, and their rejection is reported', async () => {
    const encrypt = async (): Promise<never> => { throw new Error('no key'); };
    const kernel = await startKernel({ use: [send('encrypt', encrypt as never)] });
    const { clients: [client] } = await crowd(kernel, 1);

    const count = kernel.manager.broadcast({ type: 'secret' });
    await eventually('both failures', () => kernel.failures.length === 2);
    await kernel.manager.unload('encrypt');
    kernel.manager.broadcast({ type: 'end' });
    await client!.next('end');

    expect(count).to.equal(0);
    expect(kernel.failures.map(({ error, context }) => [error.code, context.phase])).to.deep.equal([['SEND_LAYER_DROPPED', 'send'], [undefined, 'send']]);
    expect(kernel.failures[0]!.error.message).to.include('"encrypt" returned a promise; a send layer must be synchronous');
    expect(client!.messages).to.have.lengthOf(1);
  });

  for (const [what, value] of [['a string', 'x'], ['a list', [{ type: 'x' }]], ['a message without a type', { content: 1 }], ['bytes', Buffer.from('x')]] as const) {
    it(`drop the message with a reason when they return ${what}`, async () => {
      const kernel = await startKernel({ use: [send('odd', () => value as never)] });
      await crowd(kernel, 1);

      expect(kernel.manager.broadcast({ type: 'tick' })).to.equal(0);

      expect(kernel.failures.map(({ error }) => error.code)).to.deep.equal(['SEND_LAYER_DROPPED']);
      expect(kernel.failures[0]!.error.message).to.include('"odd" must return a message or nothing');
    });
  }

  it('do not run after they are unloaded', async () => {
    const kernel = await startKernel({ use: [send('stamp', (message) => ({ ...message, meta: { stamped: true } }))] });
    const { clients: [client] } = await crowd(kernel, 1);

    await kernel.manager.unload('stamp');
    kernel.manager.broadcast({ type: 'tick' });

    expect(await client!.next('tick')).to.not.have.property('meta');
  });
});

describe('what was sent', () => {
  it('is emitted once per message, not per recipient', async () => {
    const kernel = await startKernel();
    await crowd(kernel, 3);
    const told: unknown[] = [];
    kernel.manager.on('message:sent', ({ message, target }) => void told.push([message.type, target]));

    kernel.manager.broadcast({ type: 'tick' });

    expect(told).to.deep.equal([['tick', { topic: '*' }]]);
    expect(kernel.manager.getMetrics().messages.sentMessages).to.equal(3);
  });

  it('is drained when it is written', async () => {
    const kernel = await startKernel();
    const { clients: [client], ids } = await crowd(kernel, 1);
    for (let n = 0; n < 50; n++) kernel.manager.sendToConnection(ids[0]!, { type: 'tick', content: 'x'.repeat(10_000) });

    await Promise.all([kernel.manager.drained(ids[0]), kernel.manager.drained(), kernel.manager.drained('no such topic')]);
    kernel.manager.sendToConnection(ids[0]!, { type: 'end' });
    await client!.next('end');

    expect(client!.messages).to.have.lengthOf(51);
  });

  it('is not drained while the client does not read, and settles when the client disconnects', async () => {
    const kernel = await startKernel({ outbox: { limit: 64 * 1_048_576 } });
    const { clients: [client], ids } = await crowd(kernel, 1);
    client!.ws.pause();
    for (let n = 0; n < 400; n++) kernel.manager.sendToConnection(ids[0]!, { type: 'tick', content: 'x'.repeat(100_000) });
    let drained = false;
    const waiting = kernel.manager.drained(ids[0]).then(() => { drained = true; });
    kernel.manager.registerHandler('ask', () => 1);
    await (await kernel.connect()).request({ type: 'ask' });
    const early = drained;

    await client!.terminate();
    await waiting;

    expect(early).to.be.false;
  });
});

describe('an adapter', () => {
  /** Nodes that hear each other at once. */
  function bus() {
    const nodes = new Set<{ receive(topic: string, packet: Uint8Array): void }>();
    const calls: string[] = [];
    const adapter = (): Adapter => ({
      name: 'bus',
      async start(node) { nodes.add(node); calls.push('start'); },
      publish(topic, packet) { for (const node of nodes) node.receive(topic, packet); },
      subscribe(topic) { calls.push(`subscribe ${topic}`); },
      unsubscribe(topic) { calls.push(`unsubscribe ${topic}`); },
      async stop() { calls.push('stop'); },
    });
    return { adapter, calls, nodes };
  }

  it('carries topics to other nodes, once to each subscriber', async () => {
    const { adapter } = bus();
    const [a, b] = [await startKernel({ adapter: adapter() }), await startKernel({ adapter: adapter() })];
    const [one, two] = [await crowd(a, 1), await crowd(b, 1)];
    a.manager.subscribe(one.ids[0]!, 'news');
    b.manager.subscribe(two.ids[0]!, 'news');

    const here = a.manager.publish('news', { type: 'headline', content: 1 });
    a.manager.broadcast({ type: 'end' });
    await Promise.all([one.clients[0]!.next('end'), two.clients[0]!.next('end')]);

    expect(here).to.equal(1);
    for (const { clients: [client] } of [one, two]) expect(client!.messages.map(({ type }) => type)).to.deep.equal(['headline', 'end']);
  });

  it('does not get messages with `local`', async () => {
    const { adapter } = bus();
    const [a, b] = [await startKernel({ adapter: adapter() }), await startKernel({ adapter: adapter() })];
    const [one, two] = [await crowd(a, 1), await crowd(b, 1)];
    a.manager.subscribe(one.ids[0]!, 'news');
    b.manager.subscribe(two.ids[0]!, 'news');

    a.manager.publish('news', { type: 'headline' }, { local: true });
    a.manager.broadcast({ type: 'notice' }, { local: true });
    a.manager.broadcast({ type: 'end' });
    const messages = await Promise.all([one, two].map(async ({ clients: [client] }) => (await client!.next('end'), client!.messages)));

    expect(messages.map((all) => all.map(({ type }) => type))).to.deep.equal([['headline', 'notice', 'end'], ['end']]);
  });

  it('finds a connection on another node by its id', async () => {
    const { adapter } = bus();
    const [a, b] = [await startKernel({ adapter: adapter(), nodeId: 'a' }), await startKernel({ adapter: adapter(), nodeId: 'b' })];
    const { clients: [client], ids } = await crowd(b, 1);

    expect(a.manager.sendToConnection(ids[0]!, { type: 'hi' })).to.be.true;

    expect(await client!.next()).to.include({ type: 'hi' });
  });

  it('is called for the first subscriber of a topic and after the last one', async () => {
    const { adapter, calls } = bus();
    const kernel = await startKernel({ adapter: adapter() });
    const { clients, ids } = await crowd(kernel, 2);
    for (const id of ids) kernel.manager.subscribe(id, 'news');

    kernel.manager.unsubscribe(ids[0]!, 'news');
    const early = calls.includes('unsubscribe news');
    await clients[1]!.close();
    await eventually('the last one gone', () => calls.includes('unsubscribe news'));

    expect(early).to.be.false;
    expect(calls.filter((call) => call === 'subscribe news')).to.have.lengthOf(1);
    await kernel.manager.stop();
    expect(calls.at(-1)).to.equal('stop');
  });

  it('that fails is reported, and local clients are served', async () => {
    const { adapter } = bus();
    const kernel = await startKernel({ adapter: { ...adapter(), publish: () => raise(new Error('no bus')), subscribe: async (topic) => (topic === 'news' ? raise(new Error('no bus')) : undefined) } });
    const { clients: [client], ids } = await crowd(kernel, 1);

    kernel.manager.subscribe(ids[0]!, 'news');
    const count = kernel.manager.publish('news', { type: 'headline' });

    expect(count).to.equal(1);
    expect(await client!.next()).to.include({ type: 'headline' });
    const failed = () => new Set(kernel.failures.map(({ error }) => `${error.code!} ${error.message.split(' ').at(-1)!}`));
    await eventually('both failures', () => failed().size === 2 || [...failed()]);
    expect(failed()).to.deep.equal(new Set(['ADAPTER_FAILED publish', 'ADAPTER_FAILED subscribe']));
  });

  it('that delivers invalid packets does no harm', async () => {
    const { adapter, nodes } = bus();
    const kernel = await startKernel({ adapter: adapter() });
    const { clients: [client] } = await crowd(kernel, 1);
    const [node] = nodes;

    for (const rubbish of ['', '{', 'null', '[]', '1', '{"message":1}', '{"message":{}}', '{"message":{"type":5}}', '{"from":"x","message":{"type":"a"},"except":5}', '{"from":"x","to":5,"message":{"type":"a"}}']) node!.receive('*', Buffer.from(rubbish));
    node!.receive('*', Buffer.from([0xff, 0xfe]));
    kernel.manager.broadcast({ type: 'end' });

    await client!.next('end');
    expect(kernel.failures.every(({ error, context }) => error.code === 'ADAPTER_FAILED' && context.phase === 'adapter')).to.be.true;
  });

  it('that does not start makes ready() reject', async () => {
    const { adapter } = bus();

    const failure = startKernel({ adapter: { ...adapter(), start: () => Promise.reject(new Error('no bus')) } });

    expect(await codeOf(failure)).to.equal('ADAPTER_FAILED');
  });
});
