import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { expect } from 'chai';
import sinon from 'sinon';
import WebSocket from 'ws';
import { WebSocketModule, type Options } from '../../src/index.ts';
import { cleanup } from '../support/cleanup.ts';
import { connect, UpgradeRefused } from '../support/client.ts';
import { raw } from '../support/raw.ts';
import { close } from '../support/start.ts';
import { eventually, timed, withinAllowance } from '../support/timing.ts';
import { codeOf, deferred, only, plugin, soon, startKernel } from './start-kernel.ts';

/** A manager made as an application makes it. Stopped when the test is over. */
function create(options: Options) {
  const manager = WebSocketModule.create({ drainTimeout: 500, ...options });
  cleanup(() => soon(manager.stop()));
  return manager;
}

function bareServer() {
  const server = createServer((_request, response) => { response.writeHead(404).end(); });
  cleanup(() => close(server));
  return server;
}

const listening = async (server: ReturnType<typeof bareServer>): Promise<number> => {
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return (server.address() as AddressInfo).port;
};

const status = (promise: Promise<unknown>): Promise<number | string> =>
  promise.then(() => 101, (error: unknown) => (error instanceof UpgradeRefused ? error.status : (error as { code: string }).code));

describe('start()', () => {
  it('is optional with a given server: the manager serves as soon as the server listens', async () => {
    const server = bareServer();
    const manager = create({ server });
    manager.registerHandler('ask', () => 'served');
    const port = await listening(server);

    const client = await connect(`ws://127.0.0.1:${port}/ws`);

    expect((await client.request({ type: 'ask' })).content).to.equal('served');
  });

  it('may be called repeatedly, before and after the server listens', async () => {
    const server = bareServer();
    const manager = create({ server });

    await manager.start();
    const early = server.listening;
    const port = await listening(server);
    await Promise.all([manager.start(), manager.start()]);

    expect(early).to.be.false;
    expect(await status(connect(`ws://127.0.0.1:${port}/ws`))).to.equal(101);
  });

  it('listens on a server of its own if only a port is given', async () => {
    const manager = create({ port: 0, host: '127.0.0.1', path: '/chat' });

    await Promise.all([manager.start(), manager.start()]);
    await manager.start();

    const { port, address } = manager.address() as AddressInfo;
    expect(address).to.equal('127.0.0.1');
    expect(await status(connect(`ws://127.0.0.1:${port}/chat`))).to.equal(101);
    expect((await fetch(`http://127.0.0.1:${port}/chat`)).status).to.equal(426);
    expect((await fetch(`http://127.0.0.1:${port}/other`)).status).to.equal(404);
  });

  it('lets a given server listen on the port if it does not listen yet', async () => {
    const [idle, busy] = [bareServer(), bareServer()];
    const port = await listening(busy);
    const [first, second] = [create({ server: idle, port: 0, host: '127.0.0.1' }), create({ server: busy, port: 0 })];

    await first.start();
    await second.start();

    expect(idle.listening).to.be.true;
    expect((second.address() as AddressInfo).port).to.equal(port);
  });

  it('rejects if the port is taken, and may be called again', async () => {
    const busy = bareServer();
    const port = await listening(busy);
    const manager = create({ port, host: '127.0.0.1' });
    const failure = await codeOf(manager.start());
    await close(busy);

    await manager.start();

    expect(failure).to.equal('EADDRINUSE');
    expect(await status(connect(`ws://127.0.0.1:${port}/ws`))).to.equal(101);
  });

  it('waits until everything given to use() is loaded', async () => {
    const manager = create({ port: 0, host: '127.0.0.1' });
    const gate = deferred();
    let loaded = false;
    manager.use(plugin('slow', async () => {
      await gate.promise;
      loaded = true;
    }));

    const started = manager.start();
    const early = manager.address();
    gate.resolve();
    await started;

    expect(early).to.equal(null);
    expect(loaded).to.be.true;
  });
});

describe('create()', () => {
  it('leaves nothing on the server when it throws, so that it may be called again', async () => {
    const server = bareServer();

    expect(() => WebSocketModule.create({ server, plugins: ['nope'] })).to.throw().with.property('code', 'BUILTIN_UNKNOWN');

    expect(server.listenerCount('upgrade')).to.equal(0);
    expect(() => create({ server })).to.not.throw();
  });
});

describe('several managers on one server', () => {
  it('each serve their own path, with their own handlers and connections', async () => {
    const server = bareServer();
    const [chat, admin] = [create({ server, path: '/chat' }), create({ server, path: '/admin' })];
    chat.registerHandler('who', () => 'chat');
    admin.registerHandler('who', () => 'admin');
    const port = await listening(server);
    const [a, b] = [await connect(`ws://127.0.0.1:${port}/chat`), await connect(`ws://127.0.0.1:${port}/admin?x=1`)];

    const answers = [(await a.request({ type: 'who' })).content, (await b.request({ type: 'who' })).content];

    expect(answers).to.deep.equal(['chat', 'admin']);
    expect([chat.connections.size, admin.connections.size, chat.broadcast({ type: 'x' })]).to.deep.equal([1, 1, 1]);
  });

  it('may not share a path', () => {
    const server = bareServer();
    create({ server });

    expect(() => WebSocketModule.create({ server })).to.throw('"/ws"').with.property('code', 'DUPLICATE');
  });

  it('do not stop each other', async () => {
    const server = bareServer();
    const [chat, admin] = [create({ server, path: '/chat' }), create({ server, path: '/admin' })];
    const port = await listening(server);
    const client = await connect(`ws://127.0.0.1:${port}/admin`);

    await chat.stop();

    expect(client.ws.readyState).to.equal(WebSocket.OPEN);
    expect(await status(connect(`ws://127.0.0.1:${port}/admin`))).to.equal(101);
    expect(await status(connect(`ws://127.0.0.1:${port}/chat`))).to.equal(404);
    expect(admin.connections.size).to.equal(2);
  });
});

describe('a path without a manager', () => {
  it('is answered with 404 if the server has no other listener', async () => {
    const server = bareServer();
    create({ server });
    const port = await listening(server);

    expect(await status(connect(`ws://127.0.0.1:${port}/nowhere`))).to.equal(404);
  });

  it('is left to the other listeners of the server', async () => {
    const server = bareServer();
    create({ server });
    server.on('upgrade', ({ url }, socket) => { if (url === '/theirs') socket.end('HTTP/1.1 418 Teapot\r\nConnection: close\r\nContent-Length: 0\r\n\r\n'); });
    const port = await listening(server);

    expect(await status(connect(`ws://127.0.0.1:${port}/theirs`))).to.equal(418);
    expect(await status(connect(`ws://127.0.0.1:${port}/ws`))).to.equal(101);
  });

  it('is destroyed at the deadline if no other listener answers', async () => {
    const server = bareServer();
    create({ server, handshakeTimeout: 50 });
    server.on('upgrade', () => {});
    const port = await listening(server);

    expect(await status(connect(`ws://127.0.0.1:${port}/forgotten`))).to.equal('ECONNRESET');
  });
});

describe('stop()', () => {
  it('tells each client its own time to reconnect within the window', async () => {
    const { manager, connect: join } = await startKernel();
    const clients = await Promise.all(Array.from({ length: 50 }, () => join()));

    await manager.stop({ retryWithin: 4_000 });

    const closes = await Promise.all(clients.map(({ closed }) => closed));
    const retries = closes.map(({ reason }) => Number(/^retry=(\d+)$/.exec(reason)?.[1]));
    expect(new Set(closes.map(({ code }) => code))).to.deep.equal(new Set([4200]));
    expect(Math.min(...retries)).to.be.at.least(0);
    expect(Math.max(...retries)).to.be.at.most(4_000);
    expect(Math.max(...retries) - Math.min(...retries)).to.be.above(2_000);
  });

  it('lets handlers finish and reply before clients are told to reconnect', async () => {
    const { manager, connect: join } = await startKernel();
    const gate = deferred<string>();
    manager.registerHandler('ask', () => gate.promise);
    const client = await join();
    const replies = [client.request({ type: 'ask' }), client.request({ type: 'ask' })];
    await eventually('one in flight', () => manager.inspect().inFlight === 1);

    const stopped = manager.stop();
    gate.resolve('finished');
    await stopped;

    expect((await Promise.all(replies)).map(({ content }) => content as string)).to.deep.equal(['finished', 'finished']);
    expect((await client.closed).code).to.equal(4200);
  });

  it('waits at most drainTimeout for handlers that hang, and still tells their clients to reconnect', async () => {
    await withinAllowance(6, async () => {
      const { manager, connect: join } = await startKernel({ drainTimeout: 100 });
      manager.registerHandler('hang', () => new Promise(() => {}));
      const client = await join();
      void client.send({ type: 'hang' });
      await eventually('one in flight', () => manager.inspect().inFlight === 1);

      const elapsed = await timed(() => soon(manager.stop()));

      expect(elapsed).to.be.at.least(80);
      expect((await client.closed).code).to.equal(4200);
      return { 'ms to stop': { value: elapsed, allowed: 600 } };
    });
  });

  it('is not delayed by clients that go on sending, and reads no more of their messages', async () => {
    const { manager, connect: join } = await startKernel({ drainTimeout: 60_000 });
    let handled = 0;
    manager.registerHandler('ask', async () => {
      await new Promise((resolve) => setTimeout(resolve, 5));
      return ++handled;
    });
    const client = await join();
    const flood = setInterval(() => { for (let each = 0; each < 4; each++) void client.send({ type: 'ask' }); }, 5);
    cleanup(() => { clearInterval(flood); });
    await eventually('some handled', () => handled > 10);

    await soon(manager.stop());

    await client.closed;
    expect(client.messages, 'each that was handled is answered').to.have.lengthOf(handled);
  });

  it('refuses new clients with 503', async () => {
    const { manager, connect: join } = await startKernel({ drainTimeout: 2_000 });
    const gate = deferred();
    manager.registerHandler('ask', () => gate.promise);
    const client = await join();
    void client.send({ type: 'ask' });
    await eventually('one in flight', () => manager.inspect().inFlight === 1);

    const stopped = manager.stop();
    const answers = [await status(join()), await status(join())];
    gate.resolve();
    await stopped;

    expect(answers).to.deep.equal([503, 503]);
  });

  it('refuses new clients with 503 on a server of its own, too', async () => {
    const manager = create({ port: 0, host: '127.0.0.1', drainTimeout: 2_000 });
    const gate = deferred();
    manager.registerHandler('ask', () => gate.promise);
    await manager.start();
    const url = `ws://127.0.0.1:${(manager.address() as AddressInfo).port}/ws`;
    const client = await connect(url);
    void client.send({ type: 'ask' });
    await eventually('one in flight', () => manager.inspect().inFlight === 1);

    const stopped = manager.stop();
    const answer = await status(connect(url));
    gate.resolve();
    await stopped;

    expect(answer).to.equal(503);
  });

  it('closes its own server, and no server that it was given', async () => {
    const server = bareServer();
    const [given, own] = [create({ server }), create({ port: 0, host: '127.0.0.1' })];
    await listening(server);
    await own.start();
    const { port } = own.address() as AddressInfo;
    await connect(`ws://127.0.0.1:${port}/ws`);

    await Promise.all([given.stop(), own.stop()]);

    expect(server.listening).to.be.true;
    expect(server.listenerCount('upgrade')).to.equal(0);
    expect(await status(connect(`ws://127.0.0.1:${port}/ws`))).to.equal('ECONNREFUSED');
  });

  it('ends in time on a server of its own with a silent TCP connection', async () => {
    const manager = create({ port: 0, host: '127.0.0.1', drainTimeout: 60_000 });
    await manager.start();
    const silent = await raw({ port: (manager.address() as AddressInfo).port });

    await soon(manager.stop());
    await silent.end();
  });

  it('ends in time on a server of its own with a pending handshake', async () => {
    const manager = create({ port: 0, host: '127.0.0.1', drainTimeout: 100, handshakeTimeout: 60_000 });
    manager.use({ type: 'connection', name: 'slow', handler: () => new Promise(() => {}) });
    await manager.start();
    await connect(`ws://127.0.0.1:${(manager.address() as AddressInfo).port}/ws`);
    await eventually('one in the door', () => manager.inspect().pendingUpgrades === 1);

    await soon(manager.stop());
  });

  const adapter = { name: 'dead', start: async () => {}, publish: () => {}, subscribe: () => {}, unsubscribe: () => {}, stop: async () => {} };
  const never = (): Promise<void> => new Promise(() => {});
  const stuck: Readonly<Record<string, () => ReturnType<typeof create>>> = {
    'an adapter that does not start': () => create({ port: 0, drainTimeout: 100, adapter: { ...adapter, start: never } }),
    'an adapter that does not stop': () => create({ port: 0, drainTimeout: 100, adapter: { ...adapter, stop: never } }),
    'a plugin whose clean-up does not end': () => create({ port: 0, drainTimeout: 100 }).use(plugin('stuck', (context) => { context.onUnload(never); })),
    'a plugin that does not load': () => create({ port: 0, drainTimeout: 100 }).use(plugin('stuck', never)),
  };
  for (const [what, make] of Object.entries(stuck)) {
    it(`ends in time with ${what}`, async () => {
      const manager = make().on('error', () => {});

      await soon(manager.stop());
    });
  }

  it('removes every client before plugins are unloaded, so that they see each removal', async () => {
    const { manager, connect: join } = await startKernel({ drainTimeout: 60 });
    const events: string[] = [];
    manager.use(plugin('rooms', (context) => {
      context.on('connection:removed', (_connection, { code }) => void events.push(`removed ${code}`));
      context.onUnload(() => void events.push('unloaded'));
    }));
    const [polite, deaf] = [await join(), await join()];
    deaf.ws.pause();

    await manager.stop();
    await polite.closed;
    deaf.ws.resume();

    expect(events).to.deep.equal(['removed 4200', 'removed 4200', 'unloaded']);
  });

  it('tells clients with a pending handshake to reconnect, too', async () => {
    const { manager, connect: join } = await startKernel();
    const gate = deferred();
    manager.use({ type: 'connection', name: 'slow', handler: () => gate.promise });
    const client = await join();
    await eventually('one in the door', () => manager.inspect().pendingUpgrades === 1);

    const stopped = manager.stop();
    gate.resolve();
    await stopped;

    expect((await client.closed).code).to.equal(4200);
    expect(manager.connections.size).to.equal(0);
  });

  it('returns the same promise when it is called again', async () => {
    const { manager } = await startKernel();

    const [first, second] = [manager.stop(), manager.stop()];
    await Promise.all([first, second]);
    await manager.stop();

    expect(first).to.equal(second);
  });

  it('is final', async () => {
    const { manager } = await startKernel();

    await manager.stop();

    expect(await codeOf(manager.start())).to.equal('MANAGER_STOPPED');
    expect(() => manager.use(plugin('late', () => 1))).to.throw().with.property('code', 'MANAGER_STOPPED');
    expect(() => manager.registerHandler('late', () => 1), 'harmless, since nobody will send one').to.not.throw();
    expect(manager.broadcast({ type: 'x' })).to.equal(0);
  });

  it('terminates clients that do not answer the close frame', async () => {
    await withinAllowance(6, async () => {
      const { manager, connect: join } = await startKernel({ drainTimeout: 100 });
      const client = await join();
      client.ws.pause();

      const elapsed = await timed(() => soon(manager.stop()));

      expect(manager.connections.size).to.equal(0);
      client.ws.resume();
      return { 'ms to stop': { value: elapsed, allowed: 600 } };
    });
  });

  it('clears every interval', async () => {
    const [set, clear] = [sinon.spy(globalThis, 'setInterval'), sinon.spy(globalThis, 'clearInterval')];
    cleanup(() => {
      set.restore();
      clear.restore();
    });
    const manager = create({ port: 0, heartbeat: { interval: 50, timeout: 50 } });
    manager.use(plugin('timer', (context) => { context.every(50, () => {}); }));
    await manager.ready();
    const made = set.returnValues;

    await manager.stop();

    expect(made.length).to.be.at.least(2);
    expect(made.filter((timer) => !clear.args.flat().includes(timer))).to.have.lengthOf(0);
  });

  it('leaves no timer, no deadline and no listener', async () => {
    const server = bareServer();
    const before = server.eventNames().length;
    const manager = create({ server, heartbeat: { interval: 50, timeout: 50 } });
    const port = await listening(server);
    const client = await connect(`ws://127.0.0.1:${port}/ws`);
    await codeOf(only(manager).request({ type: 'x' }, { timeout: 5, retries: 0 }));

    await manager.stop();
    await client.closed;

    expect(manager.inspect()).to.include({ deadlines: 0, inFlight: 0, pendingUpgrades: 0, topics: 0, plugins: 0 });
    expect(server.eventNames().length).to.equal(before);
  });
});

describe('events', () => {
  it('reach a listener until it is removed', async () => {
    const { manager, connect: join } = await startKernel();
    const heard: string[] = [];
    const listener = (): void => void heard.push('added');
    manager.on('connection:added', listener).on('connection:removed', (_connection, { code }) => void heard.push(`removed ${code}`));

    await (await join()).close(1000);
    await eventually('it is removed', () => heard.length === 2);
    manager.off('connection:added', listener);
    await join();
    await eventually('a second one', () => manager.connections.size === 1);

    expect(heard).to.deep.equal(['added', 'removed 1000']);
  });

  it('of an error go to stderr without a listener', async () => {
    const manager = create({ port: 0 });
    const lines: string[] = [];
    const write = process.stderr.write.bind(process.stderr);
    process.stderr.write = (text: string) => lines.push(text) > 0;
    cleanup(() => { process.stderr.write = write; });

    manager.sendToConnection('x', { type: 'x' });
    manager.broadcast({} as never);

    expect(lines).to.have.lengthOf(1);
    expect(lines[0]).to.match(/ERROR websocket:send .*must be an object with a string "type"/);
  });
});

describe('setLogLevel()', () => {
  it('accepts a level and rejects everything else', async () => {
    const { manager } = await startKernel();

    expect(() => { manager.setLogLevel('debug'); }).to.not.throw();
    expect(() => { manager.setLogLevel('loud' as never); }).to.throw().with.property('code', 'OPTION_INVALID');
  });
});
