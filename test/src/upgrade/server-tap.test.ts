import { once } from 'node:events';
import { createServer, type IncomingMessage, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Duplex } from 'node:stream';
import { expect } from 'chai';
import { type WebSocket, WebSocketServer } from 'ws';
import { WebSocketModule } from '../../../src/index.ts';
import { cleanup } from '../../support/cleanup.ts';
import { connect, UpgradeRefused } from '../../support/client.ts';
import { handshake, raw, rawWebSocket } from '../../support/raw.ts';
import { close } from '../../support/start.ts';
import { plugin, startKernel } from '../start-kernel.ts';

interface Asking extends Server { shouldUpgradeCallback?: (request: IncomingMessage) => boolean }
type Emit = (this: void, event: string, ...args: unknown[]) => boolean;

/** Its `emit`, as a value to compare. */
const emitOf = (server: Server): unknown => Reflect.get(server, 'emit');

/** Answers every upgrade with a status that only it gives. */
const greedy = (seen: string[]) => (request: IncomingMessage, socket: Duplex): void => {
  seen.push(request.url ?? '');
  socket.on('error', () => { /* the client has reset */ });
  socket.end('HTTP/1.1 418 Theirs\r\nConnection: close\r\n\r\n');
};

async function statusOf(port: number, path: string): Promise<number | undefined> {
  const client = await raw({ port });
  await client.write(handshake({ port, path }));
  const answer = await client.answer();
  client.reset();
  return answer?.status;
}

/** A server that listens, with nothing on it. */
async function bare(): Promise<Asking & { readonly port: number }> {
  const server = createServer();
  cleanup(() => close(server));
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return Object.assign(server, { port: (server.address() as AddressInfo).port });
}

function manage(server: Server, path = '/ws') {
  const manager = WebSocketModule.create({ server, path, drainTimeout: 500, handshakeTimeout: 300 });
  cleanup(() => manager.stop());
  return manager;
}

describe('other listeners for upgrades', () => {
  it('see only upgrades of other paths, whether they were added before or after the manager', async () => {
    const server = await bare();
    const [before, after]: [string[], string[]] = [[], []];
    server.on('upgrade', greedy(before));
    manage(server, '/one');
    manage(server, '/two');
    server.prependListener('upgrade', greedy(after));

    const statuses = [await statusOf(server.port, '/one'), await statusOf(server.port, '/two?x=1'), await statusOf(server.port, '/theirs')];

    expect(statuses).to.deep.equal([101, 101, 418]);
    expect([before, after]).to.deep.equal([['/theirs'], ['/theirs']]);
  });

  it('cannot close an upgrade of the manager while its layers run', async () => {
    const server = await bare();
    const manager = manage(server);
    let release!: () => void;
    manager.use({ type: 'upgrade', name: 'slow', handler: () => new Promise<void>((resolve) => { release = resolve; }) });
    const theirs = new WebSocketServer({ server, path: '/theirs' });
    cleanup(() => { theirs.close(); });

    const connecting = connect(`ws://127.0.0.1:${server.port}/ws`);
    while (manager.inspect().pendingUpgrades === 0 || !(release as unknown)) await new Promise(setImmediate);
    release();

    expect((await connecting).ws.readyState).to.equal(1);
  });

  it('keep a client that they answered, even if it is silent afterwards', async () => {
    const server = await bare();
    const theirs = new WebSocketServer({ server, path: '/theirs' });
    cleanup(() => { theirs.close(); });
    const answered = once(theirs, 'connection') as Promise<[WebSocket]>;
    manage(server);
    const client = await rawWebSocket({ port: server.port, path: '/theirs' });
    const [socket] = await answered;

    // An upgrade that no listener answers has the same patience, and began later.
    server.on('upgrade', () => { /* takes it, and forgets it */ });
    theirs.shouldHandle = () => true;
    theirs.handleUpgrade = () => { /* forgets it, too */ };
    const forgotten = await raw({ port: server.port });
    await forgotten.write(handshake({ port: server.port, path: '/forgotten' }));
    await forgotten.end();

    expect(client.ended).to.be.false;
    socket.terminate();
  });

  it('leave unknown paths to be answered with 404 after they are removed', async () => {
    const server = await bare();
    const seen: string[] = [];
    const listener = greedy(seen);
    server.on('upgrade', listener);
    manage(server);
    server.off('upgrade', listener);

    expect(await statusOf(server.port, '/nowhere')).to.equal(404);
  });
});

describe('the tap of a manager on a server', () => {
  it('is removed when the last manager has stopped', async () => {
    const server = await bare();
    const ask = server.shouldUpgradeCallback;
    const [one, two] = [manage(server, '/one'), manage(server, '/two')];

    await one.stop();
    const between = [await statusOf(server.port, '/one'), await statusOf(server.port, '/two')];
    await two.stop();

    expect(between).to.deep.equal([404, 101]);
    expect(Object.hasOwn(server, 'emit')).to.be.false;
    expect(server.listenerCount('upgrade')).to.equal(0);
    expect(server.shouldUpgradeCallback).to.equal(ask);
  });

  it('restores an `emit` that another library had wrapped before', async () => {
    const server = await bare();
    const events: string[] = [];
    const emit = server.emit.bind(server) as Emit;
    const theirs: Emit = (event, ...args) => {
      events.push(event);
      return emit(event, ...args);
    };
    server.emit = theirs;
    const manager = manage(server);

    const status = await statusOf(server.port, '/ws');
    await manager.stop();

    expect(status).to.equal(101);
    expect(events).to.not.include('upgrade');
    expect(emitOf(server)).to.equal(theirs);
  });

  it('passes all events on if another library has wrapped `emit` later, and is never added twice', async () => {
    const server = await bare();
    const seen: string[] = [];
    server.on('upgrade', greedy(seen));
    await manage(server, '/first').stop();
    const first = manage(server);
    const found = emitOf(server) as Server['emit'];
    const wrapped: Emit = (event, ...args) => (found as (...args: unknown[]) => boolean).call(server, event, ...args);
    server.emit = wrapped as Server['emit'];
    await first.stop();
    const stopped = await statusOf(server.port, '/ws');

    for (let round = 0; round < 3; round++) await manage(server).stop();
    const second = manage(server);
    const again = [await statusOf(server.port, '/ws'), await statusOf(server.port, '/theirs')];

    expect(stopped).to.equal(418);
    expect(again).to.deep.equal([101, 418]);
    expect(emitOf(server), 'theirs is still the outermost').to.equal(wrapped);
    server.emit = found;
    await second.stop();
    expect(Object.hasOwn(server, 'emit'), 'there was one of ours').to.be.false;
  });

  it('is put back after another library has removed it', async () => {
    const server = await bare();
    const manager = manage(server);
    Reflect.deleteProperty(server, 'emit');

    const bypassed = [await statusOf(server.port, '/ws'), await statusOf(server.port, '/nowhere')];
    await manager.stop();
    manage(server, '/again');

    expect(bypassed).to.deep.equal([101, 404]);
    expect(await statusOf(server.port, '/again')).to.equal(101);
  });

  it('leaves decisions about upgrades of other paths to the application', async function () {
    const server = await bare();
    if (!server.shouldUpgradeCallback) {
      // Node before 24.9 and 22.21 does not ask.
      expect(Number(process.versions.node.split('.')[0])).to.be.below(24);
      return;
    }
    const theirs = ({ url }: IncomingMessage): boolean => url === '/upgraded';
    server.shouldUpgradeCallback = theirs;
    server.on('request', (_request, response) => response.end('plain'));
    server.on('upgrade', greedy([]));
    const manager = manage(server);

    const statuses = [await statusOf(server.port, '/ws'), await statusOf(server.port, '/upgraded'), await statusOf(server.port, '/plain')];
    await manager.stop();

    expect(statuses).to.deep.equal([101, 418, 200]);
    expect(server.shouldUpgradeCallback).to.equal(theirs);
  });

  it('serves requests and upgrades of plugins alike', async () => {
    const { manager, server, port } = await startKernel();
    const emit = emitOf(server);
    manager.use(plugin('page', (context) => { context.http('/page', (_request, response) => { response.end('ours'); }); }));
    await manager.ready();

    expect(emitOf(server)).to.equal(emit);
    expect(await (await fetch(`http://127.0.0.1:${port}/page`)).text()).to.equal('ours');
    expect(await connect(`ws://127.0.0.1:${port}/page`).catch((error: unknown) => error)).to.be.instanceOf(UpgradeRefused);
  });
});
