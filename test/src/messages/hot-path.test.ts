import { createHook } from 'node:async_hooks';
import type { Server } from 'node:http';
import { syncBuiltinESMExports } from 'node:module';
import type { Socket } from 'node:net';
import { setImmediate as turn } from 'node:timers/promises';
import zlib from 'node:zlib';
import { expect } from 'chai';
import sinon from 'sinon';
import { HookBus } from '../../../src/runtime/hooks.ts';
import { json, type Codec } from '../../../src/index.ts';
import { cleanup } from '../../support/cleanup.ts';
import type { Client } from '../../support/client.ts';
import { frame, TEXT } from '../../support/frames.ts';
import { rawWebSocket } from '../../support/raw.ts';
import { only, plugin, startKernel } from '../start-kernel.ts';

type Chunk = string | Buffer;
interface Write { readonly socket: Socket; readonly chunks: readonly Chunk[] }

/** Every write that a server's sockets hand to the operating system, from here on. */
function watchWrites(server: Server): Write[] {
  const writes: Write[] = [];
  server.on('connection', (socket: Socket) => {
    const [write, writev] = [socket._write.bind(socket), socket._writev!.bind(socket)];
    socket._write = (chunk: Chunk, encoding, callback) => {
      writes.push({ socket, chunks: [chunk] });
      write(chunk, encoding, callback);
    };
    socket._writev = (chunks: { chunk: Chunk; encoding: BufferEncoding }[], callback) => {
      writes.push({ socket, chunks: chunks.map(({ chunk }) => chunk) });
      writev(chunks, callback);
    };
  });
  return writes;
}

/** So many clients, all of them let in, so that nothing is written to them unless a test does it. */
async function gather(count: number, connect: () => Promise<Client>): Promise<Client[]> {
  const clients = await Promise.all(Array.from({ length: count }, connect));
  await Promise.all(clients.map((client) => client.request({ type: 'ping' })));
  return clients;
}

const ping = plugin('ping', (context) => { context.registerHandler('ping', () => ({ type: 'pong' })); });

/** The timers made from here on that still run. `process.getActiveResourcesInfo()` does not know those that keep nothing alive. */
function countTimers(): ReadonlySet<number> {
  const timers = new Set<number>();
  const hook = createHook({ init(id, type) { if (type === 'Timeout') timers.add(id); }, destroy(id) { timers.delete(id); } }).enable();
  cleanup(() => { hook.disable(); });
  return timers;
}

/** Has all that these clients were sent arrive. */
const heard = (clients: readonly Client[], type: string, count = 1) =>
  Promise.all(clients.map(async (client) => { for (let each = 0; each < count; each++) await client.next(type); }));

describe('the hot path', () => {
  it('encodes a message once for all recipients', async () => {
    let encoded = 0;
    const counted: Codec = { ...json, name: 'counted', encode: (message) => { encoded++; return json.encode(message); } };
    const { manager, connect } = await startKernel({ use: [ping, plugin('codecs', (context) => { context.transport({ codecs: [counted] }); })] });
    const clients = await gather(20, () => connect({ protocols: 'counted' }));
    for (const { id } of manager.connections.values()) manager.subscribe(id, 'news');
    encoded = 0;

    manager.publish('news', { type: 'flash' });
    manager.broadcast({ type: 'flash' });

    await heard(clients, 'flash', 2);
    expect(encoded).to.equal(2);
  });

  it('writes the same buffer to every recipient', async () => {
    const { manager, server, connect } = await startKernel({ use: [ping] });
    const writes = watchWrites(server);
    const clients = await gather(20, connect);
    writes.length = 0;

    manager.broadcast({ type: 'flash' });

    await heard(clients, 'flash');
    expect(writes).to.have.length(20);
    expect(new Set(writes.flatMap(({ chunks }) => chunks)).size).to.equal(1);
  });

  it('joins a burst of messages once, and writes it once to each socket', async () => {
    const { manager, server, connect } = await startKernel({ use: [ping] });
    const writes = watchWrites(server);
    const clients = await gather(20, connect);
    writes.length = 0;

    for (let each = 0; each < 10; each++) manager.broadcast({ type: 'flash' });

    await heard(clients, 'flash', 10);
    expect(writes).to.have.length(20);
    expect(new Set(writes.map(({ socket }) => socket)).size).to.equal(20);
    expect(new Set(writes.flatMap(({ chunks }) => chunks)).size).to.equal(1);
  });

  it('writes all messages of one turn of the event loop at once, even with promises between them', async () => {
    const { manager, server, connect } = await startKernel({ use: [ping] });
    const writes = watchWrites(server);
    const clients = await gather(1, connect);
    writes.length = 0;

    manager.broadcast({ type: 'flash' });
    await Promise.resolve();
    manager.broadcast({ type: 'flash' });
    await new Promise<void>((resolve) => process.nextTick(resolve));
    manager.broadcast({ type: 'flash' });

    await heard(clients, 'flash', 3);
    expect(writes).to.have.length(1);
  });

  it('writes the replies to 16 messages of one packet at once', async () => {
    const { server, port } = await startKernel({ use: [ping] });
    const writes = watchWrites(server);
    const client = await rawWebSocket({ port });
    const messages = Array.from({ length: 16 }, (_, id) => frame(TEXT, JSON.stringify({ type: 'ping', id: String(id) })));
    writes.length = 0;

    await client.write(Buffer.concat(messages));

    await client.until('16 answers', () => client.frames.length === 16);
    expect(writes).to.have.length(1);
  });

  it('writes replies and published messages of one turn at once', async () => {
    const { manager, server, connect } = await startKernel();
    const writes = watchWrites(server);
    manager.registerHandler('say', () => {
      manager.broadcast({ type: 'said' });
      return { type: 'done' };
    });
    const client = await connect();
    await client.request({ type: 'say' });
    await client.next('said');
    writes.length = 0;

    await client.request({ type: 'say' });

    await client.next('said');
    expect(writes).to.have.length(1);
  });

  it('compresses a message once for all recipients', async () => {
    const deflaters = (['deflateRaw', 'deflateRawSync', 'createDeflateRaw'] as const).map((name) => sinon.spy(zlib, name));
    syncBuiltinESMExports();
    cleanup(() => {
      for (const deflater of deflaters) deflater.restore();
      syncBuiltinESMExports();
    });
    const compression = plugin('compression', (context) => { context.transport({ compression: { threshold: 1_024 } }); });
    const { manager, connect } = await startKernel({ use: [ping, compression] });
    const clients = [...await gather(10, connect), ...await gather(10, () => connect({ perMessageDeflate: false }))];
    for (const deflater of deflaters) deflater.resetHistory();

    manager.broadcast({ type: 'flash', content: 'news '.repeat(1_000) });

    await heard(clients, 'flash');
    expect(deflaters.reduce((sum, { callCount }) => sum + callCount, 0)).to.equal(1);
  });

  it('emits no event without a listener', async () => {
    const emit = sinon.spy(HookBus.prototype, 'emit');
    cleanup(() => { emit.restore(); });
    const { manager, connect } = await startKernel({ use: [ping] });
    const clients = await gather(3, connect);

    manager.broadcast({ type: 'flash' });

    await heard(clients, 'flash');
    expect(emit.args.map(([event]) => event).filter((event) => event.startsWith('message:'))).to.deep.equal([]);
  });

  it('emits one event for a message to many recipients', async () => {
    const { manager, connect } = await startKernel({ use: [ping] });
    const clients = await gather(3, connect);
    const told = sinon.spy();
    manager.on('message:sent', told);

    manager.broadcast({ type: 'flash' });

    await heard(clients, 'flash');
    expect(told.callCount).to.equal(1);
  });

  it('has no timer for a connection', async () => {
    const { manager, port } = await startKernel();
    const timers = countTimers();

    for (let each = 0; each < 200; each++) await rawWebSocket({ port });
    while (manager.connections.size < 200) await turn();

    // One may be the manager's own, which comes and goes; 200 are not.
    expect(timers.size).to.be.below(5);
  });

  it('has no listener on the socket of a connection', async () => {
    const { manager, connect } = await startKernel();
    await connect();
    while (manager.connections.size === 0) await turn();

    const { socket } = only(manager) as unknown as { socket: { eventNames(): unknown[] } };

    expect(socket.eventNames()).to.deep.equal([]);
  });
});
