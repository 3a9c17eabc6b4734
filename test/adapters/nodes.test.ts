import { expect } from 'chai';
import { MemoryAdapter } from '../../adapters/memory.ts';
import { ModuleError } from '../../src/errors.ts';
import { definePlugin, type Adapter, type Channel } from '../../src/contracts.ts';
import { codeOf, deferred, next, startKernel } from '../src/start-kernel.ts';
import { knowEachOther } from '../support/nodes.ts';
import { eventually } from '../support/timing.ts';
import type { StartOptions } from '../support/start.ts';

type Answer = (payload: any, from: string) => unknown;

/** Nodes of one bus, each with a plugin that has a channel. */
async function cluster(...nodes: readonly { readonly id: string; readonly answer?: Answer; readonly options?: StartOptions }[]) {
  const bus = {};
  const started = await Promise.all(nodes.map(async ({ id, answer = () => id, options = {} }) => {
    let channel!: Channel;
    const plugin = definePlugin({ name: 'talk', setup: (context) => { channel = context.channel('words', answer); } });
    const node = await startKernel({ adapter: new MemoryAdapter(bus), nodeId: id, use: [plugin], ...options });
    return { ...node, get channel() { return channel; } };
  }));
  await knowEachOther(...started);
  return started;
}

describe('a channel', () => {
  it('tells all other nodes, or one', async () => {
    const heard: string[] = [];
    const note = (id: string): Answer => (payload, from) => void heard.push(`${id}: ${payload} from ${from}`);
    const [a] = await cluster({ id: 'a', answer: note('a') }, { id: 'b', answer: note('b') }, { id: 'c', answer: note('c') });

    a!.channel.tell('hello');
    a!.channel.tell('only c', { node: 'c' });

    await eventually('three words', () => heard.length === 3 || heard);
    expect(heard).to.have.members(['b: hello from a', 'c: hello from a', 'c: only c from a']);
  });

  it('tells the nodes with subscribers of a topic', async () => {
    const heard: string[] = [];
    const note = (id: string): Answer => (payload) => void heard.push(`${id}: ${payload}`);
    const [a, b] = await cluster({ id: 'a', answer: note('a') }, { id: 'b', answer: note('b') }, { id: 'c', answer: note('c') });
    const client = await b!.connect();
    const [id] = b!.manager.connections.keys();
    b!.manager.subscribe(id!, 'news');

    a!.channel.tell('to subscribers', { topic: 'news' });
    a!.channel.tell('to all');

    await eventually('three words', () => heard.length === 3 || heard);
    expect(heard).to.have.members(['b: to subscribers', 'b: to all', 'c: to all']);
    expect(client.messages).to.deep.equal([]);
  });

  it('gives the answers of all nodes, and the errors with their codes', async () => {
    const [a] = await cluster(
      { id: 'a' }, { id: 'b', answer: (payload) => payload * 2 },
      { id: 'c', answer: () => { throw new ModuleError('ROOM_INVALID', { reason: 'is bad' }); } },
      { id: 'd', answer: async () => Promise.reject(new Error('a secret')) },
    );

    const { answers, failed, missing } = await a!.channel.ask(21);

    expect(answers).to.deep.equal([{ node: 'b', answer: 42 }]);
    expect(failed.map(({ node, error }) => [node, error.code, error.message])).to.have.deep.members([
      ['c', 'ROOM_INVALID', 'this cannot be the name of a room: it is bad'], ['d', 'INTERNAL_ERROR', 'a secret'],
    ]);
    expect(missing).to.deep.equal([]);
  });

  it('names the nodes that do not answer in time', async () => {
    const [a] = await cluster({ id: 'a' }, { id: 'b' }, { id: 'c', answer: () => new Promise(() => undefined) });

    const { answers, missing } = await a!.channel.ask('?', { timeout: 50 });

    expect(answers).to.deep.equal([{ node: 'b', answer: 'b' }]);
    expect(missing).to.deep.equal(['c']);
  });

  it('does not wait for a node that stops meanwhile, nor for one that is not there', async () => {
    const [a, b] = await cluster({ id: 'a' }, { id: 'b', answer: () => new Promise(() => undefined) });

    const asked = a!.channel.ask('?', { timeout: 60_000 });
    await b!.manager.stop();

    expect(await asked).to.deep.equal({ answers: [], failed: [], missing: ['b'] });
    expect(await a!.channel.ask('?', { node: 'elsewhere', timeout: 60_000 })).to.deep.equal({ answers: [], failed: [], missing: ['elsewhere'] });
    expect(await a!.channel.ask('?', { timeout: 60_000 })).to.deep.equal({ answers: [], failed: [], missing: [] });
  });

  it('says so where the plugin is not loaded', async () => {
    const [a, b] = await cluster({ id: 'a' }, { id: 'b' });
    await b!.manager.unload('talk');

    const { failed } = await a!.channel.ask('?');

    expect(failed.map(({ error }) => error.code)).to.deep.equal(['CHANNEL_UNKNOWN']);
  });

  it('is one of the node only without an adapter', async () => {
    let channel!: Channel;
    await startKernel({ use: [definePlugin({ name: 'alone', setup: (context) => { channel = context.channel('words', () => 1); } })] });

    channel.tell('anything');

    expect(await channel.ask('anything')).to.deep.equal({ answers: [], failed: [], missing: [] });
  });

  it('is refused twice under one name', async () => {
    const twice = definePlugin({ name: 'twice', setup: (context) => { for (const answer of [1, 2]) context.channel('words', () => answer); } });

    expect(await codeOf(startKernel({ use: [twice] }))).to.equal('DUPLICATE');
  });
});

describe('a node of a cluster', () => {
  it('tells of nodes that join and leave', async () => {
    const bus = {};
    const a = await startKernel({ adapter: new MemoryAdapter(bus), nodeId: 'a' });
    const joined = next(a.manager, 'node:joined');
    const left = next(a.manager, 'node:left');

    const b = await startKernel({ adapter: new MemoryAdapter(bus), nodeId: 'b' });
    const [came] = await joined;
    await b.manager.stop();
    const [went] = await left;

    expect([came, went]).to.deep.equal([{ node: 'b' }, { node: 'b' }]);
  });

  it('reports another node of its id, if there is no store whose lease tells', async () => {
    const bus = {};
    const withoutStore = () => Object.defineProperty(new MemoryAdapter(bus), 'store', { value: undefined });
    const a = await startKernel({ adapter: withoutStore(), nodeId: 'same' });
    const b = await startKernel({ adapter: withoutStore(), nodeId: 'same' });

    await eventually('both know', () => [a, b].every(({ failures }) => failures.some(({ error }) => error.code === 'NODE_ID_TAKEN')));
  });

  it('sends a request to a connection of another node', async () => {
    const [a, b] = await cluster({ id: 'a' }, { id: 'b' });
    const client = await b!.connect();
    const [id] = b!.manager.connections.keys();

    const asked = a!.manager.request(id!, { type: 'sure?' });
    const { id: messageId } = await client.next('sure?');
    void client.send({ type: 'ack', replyTo: messageId, content: 'yes' });

    expect((await asked).content).to.equal('yes');
  });

  it('says why a request to another node failed', async () => {
    const [a, b] = await cluster({ id: 'a' }, { id: 'b' });
    const client = await b!.connect();
    const [id] = b!.manager.connections.keys();
    const abort = new AbortController();

    const silent = codeOf(a!.manager.request(id!, { type: 'sure?' }, { timeout: 20, retries: 1 }));
    const aborted = codeOf(a!.manager.request(id!, { type: 'sure?' }, { signal: abort.signal }));
    abort.abort();
    expect([await silent, await aborted]).to.deep.equal(['REQUEST_TIMEOUT', 'REQUEST_ABORTED']);
    expect(await codeOf(a!.manager.request(id!, { type: 'sure?' }, { signal: abort.signal }))).to.equal('REQUEST_ABORTED');
    await client.close();
    await eventually('it is gone', () => b!.manager.connections.size === 0);

    expect(await codeOf(a!.manager.request(id!, { type: 'sure?' }))).to.equal('CONNECTION_UNKNOWN');
    expect(await codeOf(a!.manager.request('c.0190-none', { type: 'sure?' }))).to.equal('CONNECTION_UNKNOWN');
  });

  it('does not send to a connection whose node is dead', async () => {
    const [a, b] = await cluster({ id: 'a' }, { id: 'b' });
    await b!.connect();
    const [id] = b!.manager.connections.keys();

    const before = a!.manager.sendToConnection(id!, { type: 'hi' });
    await b!.manager.stop();
    await eventually('a knows', () => a!.manager.inspect()['nodes'] === 0);

    expect([before, a!.manager.sendToConnection(id!, { type: 'hi' })]).to.deep.equal([true, false]);
  });

  it('changes a user and closes their connections on all nodes', async () => {
    const asAnn = { type: 'connection' as const, handler: () => ({ user: { id: 'ann', roles: ['guest'] } }) };
    const [a, b] = await cluster({ id: 'a', options: { use: [asAnn] } }, { id: 'b', options: { use: [asAnn] } });
    const clients = [await a!.connect(), await b!.connect()];
    const userOf = ({ manager }: typeof a & object) => [...manager.connections.values()][0]!.user;

    const here = a!.manager.updateUser('ann', { roles: ['admin'] });
    await eventually('b knows', () => userOf(b!)?.roles?.[0] === 'admin');
    const closed = a!.manager.disconnectUser('ann', 4010, 'logged out');
    const ends = await Promise.all(clients.map((client) => client.closed));

    expect([here, closed]).to.deep.equal([1, 1]);
    expect(ends.map(({ code, reason }) => [code, reason])).to.deep.equal(Array(2).fill([4010, 'logged out']));
  });

  it('tells of packets that were lost on the bus, and delivers none twice', async () => {
    const bus = {};
    let fate: 'pass' | 'lose' | 'double' = 'pass';
    const lossy = new (class extends MemoryAdapter {
      override async start(node: Parameters<Adapter['start']>[0]): Promise<void> {
        return super.start({ ...node, receive: (topic, packet) => {
          if (fate === 'lose' && topic === 'news') return;
          node.receive(topic, packet);
          if (fate === 'double') node.receive(topic, packet);
        } });
      }
    })(bus);
    const a = await startKernel({ adapter: new MemoryAdapter(bus), nodeId: 'a' });
    const b = await startKernel({ adapter: lossy, nodeId: 'b' });
    const client = await b.connect();
    const [id] = b.manager.connections.keys();
    b.manager.subscribe(id!, 'news');
    await b.manager.whenSubscribed('news');
    const gaps: unknown[] = [];
    b.manager.on('node:gap', (gap) => gaps.push(gap));
    const publish = async (content: number, how: typeof fate) => {
      fate = how;
      a.manager.publish('news', { type: 'news', content });
      await new Promise((resolve) => setImmediate(() => setImmediate(resolve)));
    };

    await publish(1, 'pass');
    await publish(2, 'lose');
    await publish(3, 'double');
    await publish(4, 'pass');
    await eventually('the last message', () => client.messages.at(-1)?.content === 4);

    expect(client.messages.map(({ content }) => content)).to.deep.equal([1, 3, 4]);
    expect(gaps).to.deep.equal([{ node: 'a', topic: 'news' }]);
  });

  it('resolves whenSubscribed() when the subscription stands, and rejects where it fails', async () => {
    const standing = deferred();
    const slow: Adapter = {
      name: 'slow',
      start: async () => undefined,
      publish: () => undefined,
      subscribe(topic) {
        if (topic === 'broken') return Promise.reject(new Error('no bus'));
        return topic === 'news' ? standing.promise : undefined;
      },
      unsubscribe: () => undefined,
      stop: async () => undefined,
    };
    const { manager, connect, failures } = await startKernel({ adapter: slow });
    await connect();
    const [id] = manager.connections.keys();
    for (const topic of ['news', 'broken', 'quick']) manager.subscribe(id!, topic);
    let isStanding = false;
    const waiting = manager.whenSubscribed('news').then(() => { isStanding = true; });
    const broken = codeOf(manager.whenSubscribed('broken'));

    await manager.whenSubscribed('quick');
    const early = isStanding;
    standing.resolve();
    await waiting;

    expect(early).to.equal(false);
    expect(await broken).to.equal('ADAPTER_FAILED');
    expect(failures.map(({ error }) => error.code)).to.deep.equal(['ADAPTER_FAILED']);
  });

  it('shows a change of the health of its adapter at once', async () => {
    let health: 'healthy' | 'unhealthy' = 'healthy';
    let tell: (() => void) | undefined;
    const adapter = new (class extends MemoryAdapter {
      override async start(node: Parameters<Adapter['start']>[0]): Promise<void> {
        tell = () => node.healthChanged?.();
        return super.start(node);
      }

      override async check() { return { status: health }; }
    })();
    const { manager } = await startKernel({ adapter });
    await eventually('the first answer', () => manager.getHealth().checks['adapter']?.status === 'healthy');

    health = 'unhealthy';
    tell!();

    await eventually('the change', () => manager.getHealth().checks['adapter']?.status === 'unhealthy');
  });
});
