import { expect } from 'chai';
import sinon from 'sinon';
import type { ClientError } from '../../client/index.ts';
import { cleanup } from '../support/cleanup.ts';
import { faultProxy } from '../support/fault-proxy.ts';
import { start } from '../support/start.ts';
import { clientOf, connected, fakeClient, next, settled } from './around.ts';

function fakeTime(): sinon.SinonFakeTimers {
  const clock = sinon.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'Date', 'performance'] });
  cleanup(() => clock.restore());
  return clock;
}

const codeOf = (promise: Promise<unknown>): Promise<string> =>
  promise.then(() => 'none', (error: unknown) => (error as ClientError).code);

const types = (messages: readonly Record<string, any>[]): string[] => messages.map(({ type }) => type as string);

describe('request()', () => {
  it('rejects with the error of the server', async () => {
    const { url } = await start();
    const client = clientOf({ url });
    await client.connect();

    const failure = await client.request({ type: 'nope' }).catch((error: unknown) => error);

    expect(failure).to.include({ name: 'ClientError', code: 'UNKNOWN_TYPE' });
  });

  it('fails without a reply after its timeout', async () => {
    const clock = fakeTime();
    const { client } = await connected({ requestTimeout: 200 });

    const failures = [codeOf(client.request({ type: 'slow' })), codeOf(client.request({ type: 'slow' }, { timeout: 100 }))];
    await clock.tickAsync(100);
    const early = client.queue.size;
    await clock.tickAsync(100);

    expect(await Promise.all(failures)).to.deep.equal(['TIMEOUT', 'TIMEOUT']);
    expect(early).to.equal(1);
  });

  it('fails when its signal is aborted', async () => {
    const { client } = await connected();
    const controller = new AbortController();

    const failure = codeOf(client.request({ type: 'slow' }, { signal: controller.signal }));
    controller.abort();

    expect(await failure).to.equal('ABORTED');
    expect(await codeOf(client.request({ type: 'slow' }, { signal: AbortSignal.abort() }))).to.equal('ABORTED');
    expect(client.queue.size).to.equal(0);
  });

  it('fails when the connection closes, and is not sent again', async () => {
    const { client, network, socket } = await connected();

    const failure = codeOf(client.request({ type: 'slow' }));
    socket.end();
    const again = client.connect();
    network.last.open();
    await again;

    expect(await failure).to.equal('CONNECTION_CLOSED');
    expect(network.last.messages).to.deep.equal([]);
  });

  it('is settled by disconnect(), as everything is', async () => {
    const { client } = fakeClient();

    const failures = [client.request({ type: 'a' }), client.send({ type: 'b' }), client.connect()].map(codeOf);
    await client.disconnect();

    expect(await Promise.all(failures)).to.deep.equal(['CONNECTION_CLOSED', 'CONNECTION_CLOSED', 'CONNECTION_CLOSED']);
    expect(client.queue.size).to.equal(0);
  });

  it('does not get the replies to an earlier message with the same type', async () => {
    const { client, network, socket } = await connected();
    void client.request({ type: 'subscribe', content: 'a' });
    const { id: first } = socket.messages[0]!;
    socket.end();
    const again = client.connect();
    network.last.open();
    await again;

    const second = client.request({ type: 'subscribe', content: 'b' });
    network.last.receive({ type: 'subscribed', replyTo: first, content: 'a' });
    network.last.receive({ type: 'subscribed', replyTo: network.last.messages[0]!['id'], content: 'b' });

    expect((await second).content).to.equal('b');
  });
});

describe('send()', () => {
  it('resolves when the server has acknowledged the message', async () => {
    const { url, manager } = await start();
    const handled: unknown[] = [];
    manager.registerHandler('note', ({ content }) => void handled.push(content));
    const client = clientOf({ url });
    await client.connect();

    await client.send({ type: 'note', content: 1 });

    expect(handled).to.deep.equal([1]);
  });

  it('rejects with the error of the server', async () => {
    const { url } = await start();
    const client = clientOf({ url });
    await client.connect();

    expect(await codeOf(client.send({ type: 'nope' }))).to.equal('UNKNOWN_TYPE');
  });

  it('keeps messages until there is a connection', async () => {
    const { url, manager } = await start();
    const handled: unknown[] = [];
    manager.registerHandler('note', ({ content }) => void handled.push(content));
    const client = clientOf({ url });

    const sent = [1, 2, 3].map((content) => client.send({ type: 'note', content }));
    const waiting = client.queue.entries().map(({ type, state }) => `${type} ${state}`);
    await client.connect();
    await Promise.all(sent);

    expect(waiting).to.deep.equal(['note queued', 'note queued', 'note queued']);
    expect(handled).to.deep.equal([1, 2, 3]);
  });

  it('sends what was not acknowledged again, under the same id and in order', async () => {
    const { client, network, socket } = await connected();
    const sent = ['a', 'b', 'c'].map((type) => client.send({ type }));
    const [a, b, c] = socket.messages;
    socket.receive({ type: 'ack', replyTo: b!['id'] });

    socket.end();
    const again = client.connect();
    network.last.open();
    await again;
    await settled();
    const repeated = network.last.messages;
    for (const { id } of repeated) network.last.receive({ type: 'ack', replyTo: id });
    await Promise.all(sent);

    expect(repeated).to.deep.equal([a, c]);
    expect(client.queue.size).to.equal(0);
  });

  it('does not send again what forbids it', async () => {
    const { client, socket } = await connected({ message: { queue: { retryOnReconnect: false } } });
    const other = await connected();

    const failures = [client.send({ type: 'a' }), other.client.send({ type: 'a' }, { retry: false })].map(codeOf);
    socket.end();
    other.socket.end();

    expect(await Promise.all(failures)).to.deep.equal(['CONNECTION_CLOSED', 'CONNECTION_CLOSED']);
  });

  it('resolves when the message is written, if no acknowledgement is wanted', async () => {
    const { client, socket } = await connected();

    await client.send({ type: 'typing' }, { ack: false });
    await client.send(new Uint8Array([1, 2]));
    await client.send(new Uint8Array([3]).buffer);

    expect(socket.messages[0]).to.deep.equal({ type: 'typing' });
    expect(socket.messages.slice(1).map(({ content }) => [...content])).to.deep.equal([[1, 2], [3]]);
    expect(client.queue.size).to.equal(0);
  });

  it('writes interactive messages before bulk messages', async () => {
    const { client, network } = fakeClient();

    for (const [type, priority] of [['bulk 1', 'bulk'], ['chat 1', 'interactive'], ['bulk 2', 'bulk'], ['chat 2', undefined]] as const) {
      void client.send({ type }, { priority });
    }
    const done = client.connect();
    network.last.open();
    await done;
    await settled();

    expect(types(network.last.messages)).to.deep.equal(['chat 1', 'chat 2', 'bulk 1', 'bulk 2']);
    // Messages of the client itself come first.
    expect(network.last.sent[0]).to.include({ type: 'ping' });
  });

  it('keeps the order of send() if priorities are off', async () => {
    const { client, network } = fakeClient({ buffer: { send: { priority: false } } });

    void client.send({ type: 'bulk' }, { priority: 'bulk' });
    void client.send({ type: 'chat' });
    const done = client.connect();
    network.last.open();
    await done;
    await settled();

    expect(types(network.last.messages)).to.deep.equal(['bulk', 'chat']);
  });

  it('sends what listeners of open and reconnected send before what waited', async () => {
    const { client, network } = fakeClient();
    client.on('open', () => client.send({ type: 'join' }));

    void client.send({ type: 'chat' });
    const done = client.connect();
    network.last.open();
    await done;
    await settled();

    expect(types(network.last.messages)).to.deep.equal(['join', 'chat']);
  });

  it('refuses more messages, or more bytes, than the queue may hold', async () => {
    const few = fakeClient({ message: { queue: { maxSize: 2 } } }).client;
    const small = fakeClient({ message: { queue: { maxBytes: 100 } } }).client;
    const other = fakeClient({ buffer: { send: { maxSize: 1 } } }).client;

    const codes = [few.send({ type: 'a' }), few.send({ type: 'b' }), few.send({ type: 'c' }), small.send({ type: 'a', content: 'x'.repeat(100) }), other.send({ type: 'a' }), other.send({ type: 'b' })].map(codeOf);
    for (const client of [few, small, other]) client.queue.clear();

    expect(await Promise.all(codes)).to.deep.equal(['CANCELLED', 'CANCELLED', 'QUEUE_FULL', 'QUEUE_FULL', 'CANCELLED', 'QUEUE_FULL']);
  });

  it('fails after the time to live', async () => {
    const clock = fakeTime();
    const { client } = fakeClient({ message: { queue: { ttl: 1_000 } } });

    const codes = [client.send({ type: 'a' }), client.send({ type: 'b' }, { timeout: 500 })].map(codeOf);
    await clock.tickAsync(500);
    const left = client.queue.entries().map(({ type }) => type);
    await clock.tickAsync(500);

    expect(left).to.deep.equal(['a']);
    expect(await Promise.all(codes)).to.deep.equal(['MESSAGE_EXPIRED', 'MESSAGE_EXPIRED']);
  });

  it('can be cancelled, and nothing of it is sent', async () => {
    const { client, network } = fakeClient();
    const cancelled = codeOf(client.send({ type: 'a' }));
    void client.send({ type: 'b' });

    const [entry] = client.queue.entries();
    const found = [client.queue.cancel(entry!.id), client.queue.cancel(entry!.id)];
    const done = client.connect();
    network.last.open();
    await done;
    await settled();

    expect(await cancelled).to.equal('CANCELLED');
    expect(found).to.deep.equal([true, false]);
    expect(types(network.last.messages)).to.deep.equal(['b']);
  });

  it('fails without a connection if the queue is off', async () => {
    const { client } = fakeClient({ message: { queue: { enabled: false } } });

    expect(await codeOf(client.send({ type: 'a' }))).to.equal('NOT_CONNECTED');
  });

  it('checks the size before it sends', async () => {
    const { client } = await connected({ message: { maxSize: 100 } });

    expect(await codeOf(client.send({ type: 'a', content: 'ü'.repeat(50) }))).to.equal('MESSAGE_TOO_LONG');
    expect(await codeOf(client.send(new Uint8Array(101)))).to.equal('MESSAGE_TOO_LONG');
    expect(client.isConnected).to.equal(true);
  });

  it('fails alone if the message cannot be encoded', async () => {
    const { client, socket } = await connected();
    const cyclic: { type: string; self?: unknown } = { type: 'a' };
    cyclic.self = cyclic;

    const codes = [client.send(cyclic), client.send({ type: 'b', content: 1n }), client.send({} as { type: string })].map(codeOf);
    void client.send({ type: 'c' });

    expect(await Promise.all(codes)).to.deep.equal(['MESSAGE_INVALID', 'MESSAGE_INVALID', 'MESSAGE_INVALID']);
    expect(types(socket.messages)).to.deep.equal(['c']);
  });

  it('writes at most once in the flush interval', async () => {
    const clock = fakeTime();
    const { client, socket } = await connected({ buffer: { send: { flushInterval: 100 } } });
    await settled();
    await clock.tickAsync(100);

    void client.send({ type: 'a' });
    await clock.tickAsync(50);
    void client.send({ type: 'b' });
    void client.send({ type: 'c' });
    const early = types(socket.messages);
    await clock.tickAsync(50);

    expect(early).to.deep.equal(['a']);
    expect(types(socket.messages)).to.deep.equal(['a', 'b', 'c']);
  });

  it('holds messages back while the WebSocket has much to send', async () => {
    const clock = fakeTime();
    const { client, socket } = await connected();
    await settled();
    socket.bufferedAmount = 1_000_000;

    void client.send({ type: 'a' });
    await clock.tickAsync(1_000);
    const early = types(socket.messages);
    socket.bufferedAmount = 0;
    await clock.tickAsync(20);

    expect(early).to.deep.equal([]);
    expect(types(socket.messages)).to.deep.equal(['a']);
  });

  it('loses nothing behind a network that is reset again and again', async function () {
    this.timeout(60_000);
    const { url, port, manager } = await start();
    const handled = new Set<number>();
    manager.registerHandler('note', ({ content }) => void handled.add(content));
    const proxy = await faultProxy(port);
    const client = clientOf({ url: url.replace(String(port), String(proxy.port)), reconnect: { initialDelay: 2, maxDelay: 5 } });
    await client.connect();

    const sent: Promise<void>[] = [];
    for (let round = 0; round < 20; round++) {
      for (let count = 0; count < 20; count++) sent.push(client.send({ type: 'note', content: round * 20 + count }));
      const again = next(client, 'reconnected');
      proxy.reset();
      await again;
    }
    await Promise.all(sent);

    expect(handled.size).to.equal(400);
  });
});

describe('emit()', () => {
  it('speaks to sockets of the plugin events as a client of Socket.IO does', async () => {
    const { url, manager } = await start({ use: ['namespaces', 'events'] });
    const heard: unknown[] = [];
    manager.io.on('connection', (socket) => {
      socket.on('say', (...args: unknown[]) => { heard.push(args); });
      socket.on('add', (a: number, b: number, acknowledge: (...answer: unknown[]) => void) => acknowledge('sum', a + b));
      socket.emit('hello', 1, 2);
    });
    const client = clientOf({ url });
    client.on('hello', (a, b) => heard.push([a, b]));
    await client.connect();

    client.emit('say', 'a', 'b');
    const answer = await new Promise((resolve) => client.emit('add', 1, 2, (...args) => resolve(args)));

    expect(heard).to.deep.equal([[1, 2], ['a', 'b']]);
    expect(answer).to.deep.equal([undefined, 'sum', 3]);
    expect(client.queue.size).to.equal(0);
  });

  it('sends the arguments of an event, and calls back with those of the acknowledgement', async () => {
    const { url, manager } = await start();
    manager.registerHandler('add', ({ content: [a, b] }: { content: number[] }) => ({ type: 'ack', content: a! + b! }));
    const client = clientOf({ url });
    await client.connect();

    const result = await new Promise((resolve) => client.emit('add', 1, 2, (...args: unknown[]) => resolve(args)));

    expect(result).to.deep.equal([undefined, 3]);
    expect(await client.emitWithAck('add', 3, 4)).to.equal(7);
  });

  it('calls back with an error, or emits it if there is no callback', async () => {
    const { url } = await start();
    const client = clientOf({ url });
    await client.connect();
    const failed = next(client, 'error');

    const [error] = await new Promise<any[]>((resolve) => client.emit('nope', (...args: unknown[]) => resolve(args)));
    client.emit('nope', 1);

    expect(error).to.include({ code: 'UNKNOWN_TYPE' });
    expect((await failed)[0]).to.include({ code: 'UNKNOWN_TYPE' });
  });
});
