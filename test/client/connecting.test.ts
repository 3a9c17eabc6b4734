import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { expect } from 'chai';
import { WebSocket as NodeWebSocket } from 'ws';
import { ClientError, WebSocketClient } from '../../client/index.ts';
import { cleanup } from '../support/cleanup.ts';
import { ModuleError, WebSocketModule } from '../../index.ts';
import { close, start } from '../../testing/start.ts';
import { clientOf, next, silent } from './around.ts';

const fast = { initialDelay: 1, maxDelay: 5 };

describe('a WebSocketClient', () => {
  it('connects, sends, receives the reply, and disconnects', async () => {
    const { url, manager } = await start();
    manager.registerHandler('shout', ({ content }) => ({ type: 'shouted', content: content.text.toUpperCase() }));
    const client = clientOf({ url });

    await client.connect();
    const reply = await client.request({ type: 'shout', content: { text: 'hello' } });
    const states = [client.isConnected, client.isConnecting, client.getState().status];
    await client.disconnect();

    expect(reply).to.include({ type: 'shouted', content: 'HELLO', data: 'HELLO' });
    expect(states).to.deep.equal([true, false, 'connected']);
    expect(client.getState()).to.include({ status: 'disconnected', phase: 'disconnected', reconnectAttempts: 0 });
    expect(client.getState().lastConnected).to.be.a('date');
  });

  it('emits open and close, and each state on the way', async () => {
    const { url } = await start();
    const client = clientOf({ url });
    const events: unknown[] = [];
    client.on('open', () => events.push('open'));
    client.on('close', (...args) => events.push(args));
    client.on('state', ({ phase }) => events.push(phase));

    await client.connect();
    const closed = next(client, 'close');
    await client.disconnect();
    await closed;

    expect(events).to.deep.equal(['connecting', 'authenticating', 'connected', 'open', 'disconnected', [1000, '']]);
  });

  it('explains how it came to where it is, in a bounded list', async () => {
    const { url } = await start();
    const client = clientOf({ url });

    for (let round = 0; round < 30; round++) {
      await client.connect();
      await client.disconnect();
    }

    expect(client.explain()).to.have.length(50);
    expect(client.explain().at(-1)).to.include({ from: 'connected', to: 'disconnected', why: 'disconnect() was called' });
  });

  it('reconnects after the server was restarted, and says so', async () => {
    const first = await start();
    const client = clientOf({ url: first.url, reconnect: fast });
    await client.connect();
    const reconnecting = next(client, 'reconnecting');
    const reconnected = next(client, 'reconnected');

    await first.stop();
    const [attempt, delay] = await reconnecting;
    const server = createServer();
    const manager = WebSocketModule.create({ server });
    cleanup(async () => {
      await manager.stop();
      await close(server);
    });
    server.listen(first.port, '127.0.0.1');
    await reconnected;

    expect(attempt).to.equal(1);
    expect(delay).to.be.within(0, 6_000);
    expect((await client.request({ type: 'ping' })).type).to.equal('pong');
  });

  it('rejects connect() if reconnecting is off and the server is not there', async () => {
    const server = createServer().listen(0, '127.0.0.1');
    await once(server, 'listening');
    const { port } = server.address() as AddressInfo;
    await close(server);
    const client = clientOf({ url: `ws://127.0.0.1:${port}`, reconnect: { enabled: false } });

    const failure = await client.connect().catch((error: unknown) => error);

    expect(failure).to.be.instanceOf(ClientError).and.to.include({ code: 'CONNECTION_FAILED' });
    expect((failure as Error).message).to.contain('ECONNREFUSED');
    expect(client.getState()).to.include({ status: 'error', phase: 'failed' });
  });

  it('stops after maxAttempts, and starts over when connect() is called', async () => {
    const server = createServer().listen(0, '127.0.0.1');
    await once(server, 'listening');
    const { port } = server.address() as AddressInfo;
    await close(server);
    const client = clientOf({ url: `ws://127.0.0.1:${port}/ws`, reconnect: { ...fast, maxAttempts: 3 } });
    const attempts: number[] = [];
    client.on('reconnecting', (attempt) => attempts.push(attempt));

    const failure = await client.connect().catch((error: unknown) => error);
    const after = [...attempts];
    const again = await client.connect().catch((error: unknown) => error);

    expect([failure, again].map((error) => (error as ClientError).code)).to.deep.equal(['CONNECTION_FAILED', 'CONNECTION_FAILED']);
    expect((failure as Error).message).to.match(/^3 attempts failed; closed with 1006/);
    expect(after).to.deep.equal([1, 2, 3]);
    expect(attempts).to.deep.equal([1, 2, 3, 1, 2, 3]);
  });

  it('does not reconnect after a code that forbids it', async () => {
    const { url, manager } = await start();
    const client = clientOf({ url, reconnect: fast });
    await client.connect();
    const failed = next(client, 'error');

    for (const [, connection] of manager.connections) connection.close(4010, 'KICKED: bye');
    const [error] = await failed;

    expect(error).to.include({ code: 'CONNECTION_FAILED' });
    expect(error.details).to.deep.equal({ code: 4010, reason: 'KICKED: bye' });
    expect(client.phase).to.equal('failed');
  });

  it('is refused as a browser is: the connection never counts as open', async () => {
    const { url } = await start({
      use: [{ type: 'connection', name: 'no', handler: () => { throw new ModuleError('FORBIDDEN'); } }],
    });
    const client = clientOf({ url, reconnect: { enabled: false } });
    let isOpen = false;
    client.on('open', () => { isOpen = true; });

    const failure = await client.connect().catch((error: unknown) => error);

    expect(failure).to.include({ code: 'CONNECTION_FAILED' });
    expect(isOpen).to.equal(false);
  });

  it('takes the global WebSocket of the platform', async () => {
    const { url } = await start();
    const scope = globalThis as { WebSocket?: unknown };
    const before = scope.WebSocket;
    cleanup(() => before === undefined ? Reflect.deleteProperty(scope, 'WebSocket') : scope.WebSocket = before);
    scope.WebSocket = NodeWebSocket;
    const client = new WebSocketClient(url);
    cleanup(() => client.disconnect());

    await client.connect();

    expect(client.isConnected).to.equal(true);
  });

  it('says what is missing where there is no WebSocket', async () => {
    const scope = globalThis as { WebSocket?: unknown };
    const before = scope.WebSocket;
    cleanup(() => before === undefined ? undefined : scope.WebSocket = before);
    Reflect.deleteProperty(scope, 'WebSocket');
    const client = new WebSocketClient({ url: 'ws://127.0.0.1', debug: { logger: silent } });

    const failure = await client.connect().catch((error: unknown) => error);

    expect((failure as Error).message).to.equal('there is no WebSocket on this platform; set the option WebSocket');
  });

  it('leaves nothing behind after a thousand connections', async function () {
    this.timeout(60_000);
    const { url } = await start();
    const client = clientOf({ url });
    const resources = (): number => process.getActiveResourcesInfo().filter((name) => name === 'Timeout').length;
    const before = resources();

    for (let round = 0; round < 1_000; round++) {
      await client.connect();
      await client.disconnect();
    }

    expect(resources() - before).to.be.below(5);
    expect(client.queue.size).to.equal(0);
  });
});
