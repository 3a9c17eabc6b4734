import { expect } from 'chai';
import sinon from 'sinon';
import { ModuleError } from '../../index.ts';
import type { ClientConfig, ClientError, Missed, ServerMessage, WebSocketClient } from '../../client/index.ts';
import { history, type HistoryOptions } from '../../plugins/history.ts';
import { recovery, type RecoveryOptions } from '../../plugins/recovery.ts';
import { rooms } from '../../plugins/rooms.ts';
import { cleanup } from '../support/cleanup.ts';
import { faultProxy } from '../support/fault-proxy.ts';
import { start } from '../support/start.ts';
import { eventually } from '../support/timing.ts';
import { clientOf, connected, fakeClient, next, settled } from './around.ts';

/** A server with a topic and two rooms, behind a proxy. */
async function serve(options: RecoveryOptions = {}, historyOptions: HistoryOptions = {}) {
  const plugins = [rooms({ echo: true }), history({ topics: { news: {} }, canRead: () => true, ...historyOptions }), recovery(options)];
  const { manager, port } = await start({ use: plugins });
  await manager.api('rooms').create('lobby', { message: { historySize: 1_000, rateLimitPerMinute: 10_000 } });
  await manager.api('rooms').create('plain');
  const proxy = await faultProxy(port);
  const say = (content: unknown) => manager.api('history').append('news', { type: 'news', content });
  const client = (config: Partial<ClientConfig> = {}) =>
    clientOf({ url: `ws://127.0.0.1:${proxy.port}/ws`, reconnect: { initialDelay: 1 }, ...config });
  /** Closes the connections, and resolves when the server knows it. Clients wait for `again`. */
  const cut = async (): Promise<void> => {
    proxy.reset();
    await eventually('the connection is gone', () => manager.connections.size === 0);
  };
  return { manager, proxy, say, client, cut };
}

/** A client that does not connect again before `connect()` is called. */
const patient = { reconnect: { initialDelay: 1e9, maxDelay: 1e9, jitter: 0 } };

function collect(client: WebSocketClient, type = 'news'): unknown[] {
  const contents: unknown[] = [];
  client.on(type, (content) => void contents.push(content));
  return contents;
}

function losses(client: WebSocketClient): Missed[] {
  const missed: Missed[] = [];
  client.on('missed', (one) => void missed.push(one));
  return missed;
}

describe('a client of a server with recovery', () => {
  it('gets what it missed in topics and rooms, in order and before what follows', async () => {
    const { manager, say, client: make, cut } = await serve();
    const client = make(patient);
    const news = collect(client);
    const chat = collect(client, 'room-message');
    await client.connect();
    await client.subscribe('news');
    await client.rooms.join('lobby');
    await say(1);
    await eventually('the first message', () => news.length === 1);

    await cut();
    await say(2);
    await manager.api('rooms').send('lobby', 'hello');
    const more = [3, 4, 5].map((content) => say(content));
    await Promise.all([client.connect(), ...more]);
    await say(6);
    await eventually('the last message', () => news.length === 6);

    expect(news).to.deep.equal([1, 2, 3, 4, 5, 6]);
    expect(chat).to.have.length(1);
    expect(client.position('news')).to.include({ offset: 6 });
  });

  it('loses and repeats nothing while the connection breaks again and again', async () => {
    const { proxy, say, client: make } = await serve();
    const client = make();
    const news = collect(client);
    await client.connect();
    await client.subscribe('news');

    for (let sent = 0; sent < 200; sent++) {
      await say(sent);
      if (sent % 20 === 10) {
        await eventually('the client is back', () => client.isConnected);
        const closed = next(client, 'close');
        proxy.reset();
        await closed;
      }
    }
    await eventually('all messages', () => news.length === 200);

    expect(news).to.deep.equal(Array.from({ length: 200 }, (_, index) => index));
  });

  it('has a message handled once whose acknowledgement was lost', async () => {
    const { manager, client: make, proxy } = await serve();
    const handled: unknown[] = [];
    manager.registerHandler('note', ({ content }) => {
      handled.push(content);
      // The answer cannot arrive.
      if (handled.length === 1) proxy.reset();
    });
    const client = make();
    await client.connect();

    await client.send({ type: 'note', content: 'once' });

    expect(handled).to.deep.equal(['once']);
  });

  it('sends again what was not acknowledged before recovered messages are shown', async () => {
    const { manager, say, client: make, cut } = await serve();
    const order: string[] = [];
    let release = (): void => undefined;
    const released = new Promise<void>((resolve) => { release = resolve; });
    manager.registerHandler('note', () => released);
    const client = make(patient);
    await client.connect();
    await client.subscribe('news');
    const sent = client.send({ type: 'note' }).then(() => 'answered');
    await eventually('the message is sent', () => client.queue.entries()[0]?.attempts === 1);
    client.on('news', () => void order.push(`news after ${client.queue.entries()[0]?.attempts} attempts`));

    await cut();
    await say(1);
    await client.connect();
    await eventually('the message', () => order.length === 1);
    release();

    expect(order).to.deep.equal(['news after 2 attempts']);
    expect(await sent).to.equal('answered');
  });

  it('tells the application what it could not have, and why', async () => {
    const { manager, say, client: make, cut } = await serve({}, { maxMissed: 2 });
    const client = make(patient);
    const news = collect(client);
    const missed = losses(client);
    await client.connect();
    await client.subscribe('news');

    await cut();
    for (const content of [1, 2, 3]) await say(content);
    await client.connect();
    await say(4);
    await eventually('the next message', () => news.length === 1);
    await cut();
    await manager.api('history').drop('news');
    await client.connect();
    await settled();

    expect(news).to.deep.equal([4]);
    expect(missed.map(({ topic, reason, from, to }) => [topic, reason, from?.offset, to?.offset])).to.deep.equal([
      ['news', 'too-many', 0, 3], ['news', 'epoch', 4, 0],
    ]);
  });

  it('reports no loss in a room without history', async () => {
    const { manager, client: make, cut } = await serve();
    const client = make(patient);
    const missed = losses(client);
    await client.connect();
    await client.rooms.join('plain');

    for (let round = 0; round < 3; round++) {
      await cut();
      await client.connect();
    }
    await settled();

    expect([missed, client.rooms.joined, manager.api('rooms').get('plain')!.memberCount]).to.deep.equal([[], ['plain'], 1]);
  });

  it('joins its rooms again with its position if the server has forgotten the session', async () => {
    const { manager, client: make, cut } = await serve({ sessionTtl: 1 });
    const client = make(patient);
    const chat = collect(client, 'room-message');
    await client.connect();
    await client.rooms.join('lobby');
    await manager.api('rooms').send('lobby', 'a');
    await eventually('the first message', () => chat.length === 1);

    await cut();
    await manager.api('rooms').send('lobby', 'b');
    await new Promise((resolve) => { setTimeout(resolve, 5); });
    await client.connect();
    await eventually('the missed message', () => chat.length === 2);

    expect(chat.map((content) => (content as { content: string }).content)).to.deep.equal(['a', 'b']);
  });

  it('stops handing out what was recovered when a listener unsubscribes', async () => {
    const { say, client: make, cut } = await serve();
    const client = make(patient);
    await client.connect();
    await client.subscribe('news');
    const news: unknown[] = [];
    let unsubscribed: Promise<void> | undefined;
    client.on('news', (content) => {
      news.push(content);
      if (content === 2) unsubscribed = client.unsubscribe('news');
    });

    await cut();
    for (const content of [1, 2, 3, 4]) await say(content);
    await client.connect();
    await eventually('the second message', () => unsubscribed !== undefined);
    await unsubscribed;

    expect(news).to.deep.equal([1, 2]);
    expect(client.position('news')).to.equal(undefined);
  });

  it('starts at the position that the application has', async () => {
    const { say, client: make } = await serve();
    const position = await say(1);
    await say(2);
    const client = make();
    const news = collect(client);
    await client.connect();

    await client.subscribe('news', { position });
    await eventually('the message after it', () => news.length === 1);

    expect(news).to.deep.equal([2]);
  });

  it('keeps its session and its positions while the server cannot reach the store', async () => {
    const { manager, say, client: make, cut } = await serve();
    const client = make({ reconnect: { initialDelay: 1, maxDelay: 5 } });
    const [news, missed] = [collect(client), losses(client)];
    await client.connect();
    await client.subscribe('news');
    await say(1);
    await eventually('the first message', () => news.length === 1);
    const codes = ['STORE_UNAVAILABLE', 'LEASE_LOST', 'STORE_DATA_LOST'] as const;
    let asked = 0;
    const undo = manager.registerHandler('recover', () => { throw new ModuleError(codes[asked++ % codes.length]!, { store: 'test', action: 'get' }); });

    await cut();
    await say(2);
    await eventually('three refusals', () => asked >= 3);
    undo();
    await eventually('what it missed', () => news.length === 2);

    expect(news).to.deep.equal([1, 2]);
    expect(missed).to.deep.equal([]);
  });

  it('gets a message again whose listener failed, and none of those after it', async () => {
    const { say, client: make, cut } = await serve();
    const client = make(patient);
    const news: unknown[] = [];
    let hasFailed = false;
    client.on('error', () => undefined);
    client.on('news', async (content) => {
      news.push(content);
      await Promise.resolve();
      if (content === 2 && !hasFailed) {
        hasFailed = true;
        throw new Error('not stored');
      }
    });
    await client.connect();
    await client.subscribe('news');
    for (const content of [1, 2, 3]) await say(content);
    await eventually('all messages', () => news.length === 3);
    await settled();
    const before = client.position('news')?.offset;

    await cut();
    await client.connect();
    await eventually('the position', () => client.position('news')?.offset === 3);

    expect(before).to.equal(1);
    expect(news).to.deep.equal([1, 2, 3, 2]);
  });
});

describe('a client that sends again', () => {
  const recovered = { type: 'recovered', content: { sessionId: 's', resumed: true, answerWindow: 60_000, topics: [] } };

  /** A client whose message was sent when the connection broke. */
  async function interrupted() {
    const clock = sinon.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'Date', 'performance'] });
    cleanup(() => clock.restore());
    const { client, network, socket } = await connected({ reconnect: { initialDelay: 1_000, jitter: 0 } }, (opened) => {
      opened.features = ['recovery'];
      opened.answerRecover = ({ id }: Record<string, any>) => opened.receive({ ...recovered, replyTo: id });
    });
    const outcome = client.send({ type: 'pay' }).catch((error: unknown) => error as ClientError);
    socket.end();
    const again = async (): Promise<Record<string, any>[]> => {
      await clock.tickAsync(1_000);
      const opened = network.last;
      opened.features = ['recovery'];
      opened.answerRecover = ({ id }: Record<string, any>) => opened.receive({ ...recovered, replyTo: id });
      opened.open();
      await clock.tickAsync(1);
      return opened.messages;
    };
    return { client, clock, socket, outcome, again, network };
  }

  it('says how long ago the message was sent first', async () => {
    const { again, socket } = await interrupted();

    const [message] = await again();

    expect(message).to.deep.include({ type: 'pay', id: socket.messages[0]!['id'] as string });
    expect(message!['meta'].repeat).to.be.within(1_000, 1_002);
  });

  it('does not send a message again for which the window of the server is over', async () => {
    const { again, clock, outcome } = await interrupted();

    await clock.tickAsync(999);
    clock.setSystemTime(Date.now() + 60_000);

    expect(await again()).to.deep.equal([]);
    expect(await outcome).to.include({ code: 'OUTCOME_UNKNOWN' });
  });

  it('leaves it to the application when the server says that the message is too old', async () => {
    const { again, network, outcome } = await interrupted();

    const [message] = await again();
    network.last.receive({ type: 'error', replyTo: message!['id'] as string, content: { code: 'MESSAGE_TOO_OLD' } } satisfies ServerMessage);

    expect(await outcome).to.include({ code: 'OUTCOME_UNKNOWN' });
  });
});

describe('a client of a server without recovery', () => {
  it('asks for no session', async () => {
    const { manager, port } = await start();
    const proxy = await faultProxy(port);
    const client = clientOf({ url: `ws://127.0.0.1:${proxy.port}/ws`, reconnect: { initialDelay: 1 } });
    const errors: string[] = [];
    manager.on('message:handled', ({ error }) => { if (error) errors.push(error.code); });
    await client.connect();

    const again = next(client, 'reconnected');
    proxy.reset();
    await again;

    expect(errors).to.deep.equal([]);
  });

  it('asks for no session if the server acknowledges every message', async () => {
    const { manager, port } = await start();
    let asked = 0;
    manager.registerHandler('recover', () => { asked++; });
    for (const type of ['ping', 'auth']) manager.registerHandler(type, () => undefined);
    const url = `ws://127.0.0.1:${port}/ws`;

    await clientOf({ url }).connect();
    await clientOf({ url, auth: { token: 'a token' } }).connect();

    expect(asked).to.equal(0);
  });

  it('asks on the next connection when the plugin was loaded meanwhile', async () => {
    const { manager, port } = await start();
    const proxy = await faultProxy(port);
    const client = clientOf({ url: `ws://127.0.0.1:${proxy.port}/ws`, reconnect: { initialDelay: 1 } });
    await client.connect();
    manager.use([history({ topics: { news: {} } }), recovery()]);
    await manager.ready();

    const again = next(client, 'reconnected');
    proxy.reset();
    await again;

    const [connection] = manager.connections;
    expect(manager.api('recovery').session(connection![1])).to.be.an('object');
  });

  it('asks for its session on every connection, and with each way of authentication', async () => {
    const { manager, port } = await start({ use: [history({ topics: { news: {} } }), recovery()] });
    manager.registerHandler('auth', () => undefined);
    const url = `ws://127.0.0.1:${port}/ws`;

    await clientOf({ url }).connect();
    await clientOf({ url, auth: { token: 'a token' } }).connect();

    const sessions = [...manager.connections.values()].map((connection) => manager.api('recovery').session(connection));
    expect(sessions.map((session) => typeof session)).to.deep.equal(['object', 'object']);
  });

  it('fails the attempt if a server that has sessions does not answer the question', async () => {
    const clock = sinon.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'Date', 'performance'] });
    cleanup(() => clock.restore());
    const { client, network } = fakeClient();
    void client.connect();
    network.last.features = ['recovery'];
    network.last.answerRecover = () => undefined;
    network.last.open();
    await clock.tickAsync(10_000);

    expect(client.phase).to.equal('waiting');
  });
});
