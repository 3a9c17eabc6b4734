import { expect } from 'chai';
import {
  ClientEventEmitter, MessageEventHandler, MessageQueue, WebSocketConnection, WebSocketManager, wsManager, type WebSocketMessage,
} from '../../client/index.ts';
import { WebSocket as NodeWebSocket } from 'ws';
import { cleanup } from '../support/cleanup.ts';
import { eventually } from '../support/timing.ts';
import { start } from '../support/start.ts';
import { connected, settled, silent } from './around.ts';

const message = (action: string, data?: unknown): WebSocketMessage => ({ id: action, type: 'text', action, data, timestamp: 0 });
const config = { WebSocket: NodeWebSocket, debug: { logger: silent } };

describe('MessageEventHandler', () => {
  it('calls the handler of an action for the messages of a client, until it is told to stop', async () => {
    const { client, socket } = await connected();
    const handler = new MessageEventHandler();
    const handled: unknown[] = [];
    const remove = handler.registerHandler('new_message', ({ data }) => handled.push(data));
    const detach = handler.attach(client);

    socket.receive(message('new_message', 1));
    socket.receive(message('other', 2));
    remove();
    socket.receive(message('new_message', 3));
    handler.registerHandler('new_message', ({ data }) => handled.push(data));
    detach();
    socket.receive(message('new_message', 4));
    await settled();

    expect(handled).to.deep.equal([1]);
  });

  it('reports a failing handler, and goes on', async () => {
    const failures: unknown[] = [];
    const handler = new MessageEventHandler((error, action) => failures.push([(error as Error).message, action]));
    handler.registerHandler('broken', async () => { throw new Error('no'); });

    await handler.handleMessage(message('broken'));

    expect(failures).to.deep.equal([['no', 'broken']]);
  });
});

describe('MessageQueue', () => {
  it('handles one message after the other', async () => {
    const steps: string[] = [];
    const queue = new MessageQueue(async ({ action }) => {
      steps.push(`${action} starts`);
      await settled();
      steps.push(`${action} ends`);
    }, { pause: 0 });

    queue.add(message('a'));
    queue.add(message('b'));
    await eventually('both messages', () => steps.length === 4);

    expect(steps).to.deep.equal(['a starts', 'a ends', 'b starts', 'b ends']);
  });

  it('drops the oldest beyond its size, and tells which', async () => {
    const dropped: string[] = [];
    const handled: string[] = [];
    const queue = new MessageQueue(({ action }) => handled.push(action), { maxSize: 2, pause: 0, onDrop: ({ action }) => dropped.push(action) });

    for (const action of ['a', 'b', 'c', 'd']) queue.add(message(action));
    await eventually('the messages', () => handled.length === 3);

    expect(handled).to.deep.equal(['a', 'c', 'd']);
    expect(dropped).to.deep.equal(['b']);
  });

  it('goes on after a failure, which it reports', async () => {
    const failures: string[] = [];
    const queue = new MessageQueue(() => { throw new Error('no'); }, { pause: 0, onError: (_, { action }) => failures.push(action) });

    queue.add(message('a'));
    queue.add(message('b'));
    await eventually('both failures', () => failures.length === 2);

    expect(queue.size).to.equal(0);
  });
});

describe('WebSocketConnection', () => {
  it('keeps the messages that came before it had a listener', async () => {
    const { url, manager } = await start();
    manager.on('connection:added', (peer) => void peer.send({ type: 'welcome' }));
    const connection = new WebSocketConnection(config);
    cleanup(() => connection.disconnect());

    await connection.connect(url);
    const before = connection.isConnected();
    const first = await new Promise<{ type: string }>((resolve) => { connection.onMessage = resolve; });
    connection.disconnect();

    expect(first.type).to.equal('welcome');
    expect([before, connection.isConnected()]).to.deep.equal([true, false]);
  });

  it('refuses to send before it was connected', async () => {
    const failure = await new WebSocketConnection(config).send({ type: 'a' }).catch((error: unknown) => error);

    expect(failure).to.include({ code: 'NOT_CONNECTED' });
  });
});

describe('WebSocketManager', () => {
  it('is one for the page', () => {
    expect(WebSocketManager.getInstance()).to.equal(wsManager);
  });

  it('makes one connection for all callers, and keeps its subscribers', async () => {
    const { url, manager } = await start();
    let connections = 0;
    manager.on('connection:added', (peer) => { connections++; void peer.send({ type: 'text', action: 'welcome' }); });
    const shared = new WebSocketManager();
    cleanup(() => shared.disconnect());
    const seen: string[] = [];
    shared.subscribe(({ action }) => seen.push(action));

    await Promise.all([shared.connect({ ...config, url }), shared.connect({ ...config, url })]);
    await eventually('the welcome', () => seen.length === 1);
    shared.disconnect();
    await shared.connect({ ...config, url });
    await eventually('the second welcome', () => seen.length === 2);

    expect(connections).to.equal(2);
    expect(shared.getState().status).to.equal('connected');
  });

  it('sends only while there is a connection', async () => {
    const { url, manager } = await start();
    const received: unknown[] = [];
    manager.registerHandler('text', ({ payload }) => void received.push(payload.action));
    const shared = new WebSocketManager();
    cleanup(() => shared.disconnect());

    const early = await shared.sendMessage(message('early')).catch((error: unknown) => error);
    await shared.connect({ ...config, url });
    await shared.sendMessage(message('now'));

    expect(early).to.include({ code: 'NOT_CONNECTED' });
    expect(received).to.deep.equal(['now']);
  });
});

describe('ClientEventEmitter', () => {
  it('calls all listeners even if one fails, and then throws the failure', () => {
    const emitter = new ClientEventEmitter();
    const heard: unknown[] = [];
    emitter.on('news', () => { throw new Error('no'); });
    emitter.on('news', (...args) => heard.push(args));

    expect(() => emitter.emit('news', 1, 2)).to.throw('no');
    expect(heard).to.deep.equal([[1, 2]]);
    expect(emitter.emit('other')).to.equal(false);
  });
});
