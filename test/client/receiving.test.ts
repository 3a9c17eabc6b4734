import { expect } from 'chai';
import sinon from 'sinon';
import type { ServerMessage } from '../../client/index.ts';
import type { Usable } from '../../index.ts';
import { history } from '../../plugins/history.ts';
import { rooms } from '../../plugins/rooms.ts';
import { eventually } from '../support/timing.ts';
import { start } from '../support/start.ts';
import { clientOf, connected, next, settled, silent } from './around.ts';

describe('the messages of the server', () => {
  it('go to the listeners of message and of their type, in any spelling', async () => {
    const { client, socket } = await connected();
    const heard: unknown[] = [];
    client.on('message', ({ type, data }: ServerMessage) => heard.push([type, data]));
    client.on('room joined', (content, message) => heard.push([content, message.type]));

    socket.receive({ type: 'room_joined', content: { roomId: 'a' } });
    socket.receive({ type: 'welcome', data: 'hello' });

    expect(heard).to.deep.equal([
      ['room_joined', { roomId: 'a' }], [{ roomId: 'a' }, 'room_joined'], ['welcome', 'hello'],
    ]);
  });

  it('reach the other listeners if one fails, which is an error event', async () => {
    const { client, socket } = await connected();
    const failed = next(client, 'error');
    let calls = 0;
    client.on('news', () => { throw new Error('broken'); });
    client.on('news', () => { calls++; });

    socket.receive({ type: 'news' });

    expect((await failed)[0]).to.include({ code: 'LISTENER_FAILED', message: 'a listener of news failed: broken' });
    expect(calls).to.equal(1);
  });

  it('do not reach a removed listener', async () => {
    const { client, socket } = await connected();
    const heard: string[] = [];
    const remove = client.on('news', () => heard.push('on'));
    client.once('news', () => heard.push('once'));

    socket.receive({ type: 'news' });
    remove();
    socket.receive({ type: 'news' });

    expect(heard).to.deep.equal(['on', 'once']);
  });

  it('of a batch are handed out one by one', async () => {
    const { client, socket } = await connected();
    const heard: unknown[] = [];
    client.on('room-message', (content) => heard.push(content.text));

    socket.receive({ type: 'message-batch', content: { roomId: 'a', messages: [1, 2].map((text) => ({ type: 'room-message', content: { text } })) } });

    expect(heard).to.deep.equal([1, 2]);
  });

  it('of type error are error events, where they answer nothing', async () => {
    const { client, socket } = await connected();
    const failed = next(client, 'error');

    socket.receive({ type: 'error', content: { code: 'RATE_LIMITED', message: 'slow down', retryAfter: 5 } });

    const [error] = await failed;
    expect(error).to.include({ code: 'RATE_LIMITED', message: 'slow down' });
    expect(error.details).to.deep.equal({ retryAfter: 5 });
  });

  it('are bytes if they are binary', async () => {
    const { url, manager } = await start();
    manager.registerHandler('binary', ({ content }, connection) => void connection.send(content));
    const client = clientOf({ url });
    await client.connect();
    const received = next(client, 'binary');

    await client.send(new Uint8Array([1, 2, 3]));

    const [content, message] = await received;
    expect(content).to.be.instanceOf(Uint8Array);
    expect([...content]).to.deep.equal([1, 2, 3]);
    expect(message.type).to.equal('binary');
  });

  it('are answered with what the listener returns, and the same if the server asks again', async () => {
    const { client, socket } = await connected();
    let calls = 0;
    client.on('confirm', async ({ question }) => `${question}: yes ${++calls}`);

    for (let round = 0; round < 2; round++) {
      socket.receive({ type: 'confirm', id: 'q', ack: true, content: { question: 'ready' } });
      await settled();
    }

    const answer = { type: 'ack', replyTo: 'q', content: 'ready: yes 1' };
    expect(socket.messages).to.deep.equal([answer, answer]);
  });

  it('are answered with an error if the listener fails, or if there is none', async () => {
    const { url, manager } = await start();
    const client = clientOf({ url });
    client.on('fail', () => { throw new Error('broken'); });
    client.on('error', () => undefined);
    await client.connect();
    const [connection] = manager.connections.values();

    const [failed, unknown] = await Promise.all(['fail', 'unknown'].map(
      (type) => connection!.request({ type }).then(({ content }) => content, (error: unknown) => error),
    ));

    expect(failed).to.include({ code: 'CLIENT_ERROR', message: 'broken' });
    expect(unknown).to.include({ code: 'UNKNOWN_TYPE', message: 'no listener for unknown' });
  });

  it('come in turns, so that a burst does not keep the process busy', async () => {
    const { client, socket } = await connected();
    sinon.restore();
    let count = 0;
    let turn = 0;
    const turns = new Map<number, number>();
    client.on('news', () => {
      count++;
      turns.set(turn, (turns.get(turn) ?? 0) + 1);
      for (const end = performance.now() + 0.1; performance.now() < end;) { /* a listener that takes its time */ }
    });
    const count_turns = setInterval(() => turn++, 0);

    for (let each = 0; each < 1_000; each++) socket.receive({ type: 'news' });
    await eventually('all messages', () => count === 1_000 || count);
    clearInterval(count_turns);

    // 8 ms at a time, at 0.1 ms each; 100 messages are a batch.
    expect(Math.max(...turns.values())).to.be.at.most(201);
  });

  it('that wait are handed out before the end of the connection, and before disconnecting is judged', async () => {
    const { client, socket } = await connected({ buffer: { receive: { processInterval: 1 } } });
    const events: string[] = [];
    client.on('news', () => events.push('news'));
    client.on('close', () => events.push('close'));
    const closed = next(client, 'close');

    socket.receive({ type: 'news' });
    socket.receive({ type: 'news' });
    socket.end();
    await closed;

    expect(events).to.deep.equal(['news', 'news', 'close']);
  });

  it('are handed out early if more wait than may', async () => {
    const { client, socket } = await connected({ buffer: { receive: { maxSize: 10, batchSize: 5, processInterval: 1_000 } } });
    let count = 0;
    client.on('news', () => { count++; });

    for (let each = 0; each < 11; each++) socket.receive({ type: 'news' });

    expect(count).to.equal(5);
  });
});

describe('messages()', () => {
  it('is a loop over the messages of a type, which ends with disconnect()', async () => {
    const { client, socket } = await connected();
    const seen: unknown[] = [];
    const loop = (async () => {
      for await (const { content } of client.messages('chat')) seen.push(content);
    })();

    socket.receive({ type: 'chat', content: 1 });
    socket.receive({ type: 'other', content: 2 });
    socket.receive({ type: 'chat', content: 3 });
    await settled();
    await client.disconnect();
    await loop;

    expect(seen).to.deep.equal([1, 3]);
  });

  it('removes its listener when the loop is left', async () => {
    const { client, socket } = await connected();
    const stream = client.messages('chat');
    socket.receive({ type: 'chat', content: 1 });

    for await (const { content } of stream) if (content === 1) break;
    socket.receive({ type: 'chat', content: 2 });

    expect(await stream.next()).to.deep.equal({ value: undefined, done: true });
  });

  it('fails if the loop is too slow, after the messages that waited', async () => {
    const { client, socket } = await connected();
    const stream = client.messages('chat', { limit: 2 });
    const seen: unknown[] = [];

    for (let content = 0; content < 3; content++) socket.receive({ type: 'chat', content });
    const failure = await (async () => { for await (const { content } of stream) seen.push(content); })().catch((error: unknown) => error);

    expect(seen).to.deep.equal([0, 1]);
    expect(failure).to.include({ code: 'STREAM_FULL' });
  });

  it('drops the oldest messages instead, if told so', async () => {
    const { client, socket } = await connected();
    const stream = client.messages('chat', { limit: 2, overflow: 'drop-oldest' });

    for (let content = 0; content < 3; content++) socket.receive({ type: 'chat', content });

    expect((await stream.next()).value.content).to.equal(1);
  });

  it('ends with its signal', async () => {
    const { client } = await connected();
    const controller = new AbortController();
    const taken = client.messages('chat', { signal: controller.signal }).next();

    controller.abort();

    expect(await taken).to.deep.equal({ value: undefined, done: true });
  });
});

describe('rooms', () => {
  it('are joined, sent to and left', async () => {
    const { url } = await start({ use: [rooms()] });
    const [ada, bob] = [clientOf({ url }), clientOf({ url })];
    await Promise.all([ada.connect(), bob.connect()]);
    await ada.request({ type: 'create-room', roomId: 'lobby' });
    await ada.rooms.join('lobby');
    const heard = next(ada, 'room-message');

    const info = await bob.rooms.join('lobby');
    await bob.rooms.send('lobby', 'hello');
    const [content] = await heard;
    await bob.rooms.leave('lobby');

    expect(info).to.include({ roomId: 'lobby' });
    expect(content).to.include({ roomId: 'lobby', content: 'hello' });
    expect(bob.rooms.joined).to.deep.equal([]);
  });

  it('are joined again after a reconnect, before messages that waited', async () => {
    const { url, manager } = await start({ use: [rooms()] });
    const [ada, bob] = [clientOf({ url, reconnect: { initialDelay: 1 } }), clientOf({ url })];
    await Promise.all([ada.connect(), bob.connect()]);
    await bob.request({ type: 'create-room', roomId: 'lobby' });
    await Promise.all([ada.rooms.join('lobby'), bob.rooms.join('lobby')]);
    const heard = next(bob, 'room-message');
    const closed = next(ada, 'close');

    [...manager.connections.values()][0]!.close(4153);
    await closed;
    await ada.rooms.send('lobby', 'back again');

    expect((await heard)[0]).to.include({ content: 'back again' });
  });

  it('are forgotten when joining again fails, which is an error event', async () => {
    const { client, network, socket } = await connected();
    const joined = client.rooms.join('lobby');
    socket.receive({ type: 'room-joined', replyTo: socket.messages[0]!['id'], content: { roomId: 'lobby' } });
    await joined;
    socket.end();
    const again = client.connect();
    network.last.open();
    await again;
    const failed = next(client, 'error');

    network.last.receive({ type: 'error', replyTo: network.last.messages[0]!['id'], content: { code: 'ROOM_UNKNOWN', message: 'gone' } });

    expect((await failed)[0]).to.include({ code: 'ROOM_UNKNOWN' });
    expect(client.rooms.joined).to.deep.equal([]);
  });
});

describe('topics', () => {
  const histories = (): Usable => history({ topics: { news: { size: 10 } }, canRead: () => true });

  it('are subscribed to, read and left', async () => {
    const { url, manager } = await start({ use: [rooms(), histories()] });
    const client = clientOf({ url });
    await client.connect();
    const heard = next(client, 'goal');

    const state = await client.subscribe('news');
    await manager.api('history').append('news', { type: 'goal', content: '1:0' });
    await heard;
    const { messages } = await client.history({ topic: 'news' });
    await client.unsubscribe('news');

    expect(state).to.include({ topic: 'news' });
    expect(messages.map(({ content }: ServerMessage) => content as string)).to.deep.equal(['1:0']);
  });

  it('are subscribed to again after a reconnect', async () => {
    const { url, manager } = await start({ use: [rooms(), histories()] });
    const client = clientOf({ url, reconnect: { initialDelay: 1 } });
    await client.connect();
    await client.subscribe('news');
    const again = next(client, 'reconnected');
    const heard = next(client, 'goal');

    for (const [, connection] of manager.connections) connection.close(4153);
    await again;
    await client.request({ type: 'ping' });
    await manager.api('history').append('news', { type: 'goal', content: '1:0' });

    expect((await heard)[0]).to.equal('1:0');
  });

  it('that an earlier request could not restore stay subscribed to by a later one', async () => {
    const { client, network, socket } = await connected();
    const first = client.subscribe('news');
    socket.receive({ type: 'subscribed', replyTo: socket.messages[0]!['id'] });
    await first;
    socket.end();
    const again = client.connect();
    network.last.open();
    await again;
    const failed = next(client, 'error');
    const later = client.subscribe('news');
    const [restoring, anew] = network.last.messages.map(({ id }) => id as string);

    network.last.receive({ type: 'subscribed', replyTo: anew });
    await later;
    network.last.receive({ type: 'error', replyTo: restoring, content: { code: 'INTERNAL_ERROR', message: 'try again' } });
    await failed;
    network.last.end();
    const third = client.connect();
    network.last.open();
    await third;

    expect(network.last.messages.map(({ type, topic }) => [type, topic])).to.deep.equal([['subscribe', 'news']]);
  });
});

describe('the log of a client', () => {
  it('has no contents unless asked for', async () => {
    for (const logMessages of [false, true]) {
      const lines: string[] = [];
      const write = (...args: unknown[]): void => void lines.push(JSON.stringify(args));
      const { client, socket } = await connected({ debug: { enabled: true, logLevel: 'debug', logMessages, logger: { ...silent, debug: write, info: write } } });

      void client.send({ type: 'chat', content: 'secret' });
      socket.receive({ type: 'chat', content: 'secret' });

      expect(lines.join('\n')).to.contain('chat').and.to.contain('connected');
      expect(lines.some((line) => line.includes('secret'))).to.equal(logMessages);
    }
  });

  it('has the lines of its level and above', async () => {
    const lines: unknown[] = [];
    const write = (line: unknown): void => void lines.push(line);
    const { client, socket } = await connected({ debug: { enabled: true, logLevel: 'error', logger: { debug: write, info: write, warn: write, error: write } } });
    const closed = next(client, 'close');

    socket.end(4000, 'BANNED: no');
    await closed;
    await settled();

    expect(lines).to.deep.equal(['[websocket] CONNECTION_FAILED: closed with 4000 (BANNED: no)']);
  });
});
