import { expect } from 'chai';
import { events, type Server, type Socket } from '../../plugins/events.ts';
import { namespaces } from '../../plugins/namespaces.ts';
import type { Connection } from '../../index.ts';
import type { Client } from '../support/client.ts';
import { errorsOf, serve } from '../support/events.ts';
import { start } from '../support/start.ts';
import { eventually } from '../support/timing.ts';

const enter = (client: Client, namespace: string) => client.request({ type: 'connect', namespace });
const only = <T>(values: Iterable<T>): T => [...values][0]!;
const refuse = (_socket: Socket, next: (error?: unknown) => void) => next(new Error('nobody'));

/** A layer that lets in whom it is told to, when it is told. */
function slow() {
  const waiting: ((error?: unknown) => void)[] = [];
  return { waiting, layer: (_socket: Socket, next: (error?: unknown) => void) => void waiting.push(next) };
}

describe('sockets in a namespace', () => {
  describe('of clients that were connected before', () => {
    const ways: [string, (manager: Awaited<ReturnType<typeof start>>['manager']) => Promise<Server>][] = [
      ['events.io()', async (manager) => events.io(manager)],
      ['use() and ready()', async (manager) => {
        await manager.use(events()).ready();
        return manager.io;
      }],
    ];
    for (const [way, load] of ways) {
      it(`enter through layers that are added after ${way}`, async () => {
        const started = await start({ use: [namespaces()] });
        const errors = errorsOf(started);
        started.manager.of('/chat');
        const client = await started.connect();
        await enter(client, '/chat');
        const asked: string[] = [];

        const io = await load(started.manager);
        for (const place of [io, io.of('/chat')]) {
          place.use((socket, next) => {
            asked.push(socket.nsp.name);
            refuse(socket, next);
          });
        }
        await client.next('disconnected');
        io.emit('secret');
        io.of('/chat').emit('secret');
        await client.request({ type: 'ping' });

        expect(asked).to.have.members(['/', '/chat']);
        expect([io.sockets.sockets.size, started.manager.of('/chat').connections.size]).to.deep.equal([0, 0]);
        expect(client.messages.map(({ type }) => type)).to.not.include('secret');
        expect(errors.map(({ message }) => message)).to.deep.equal(['nobody']);
      });
    }

    it('enter before their messages are handled', async () => {
      const { manager, connect } = await start({ use: [namespaces()] });
      manager.of('/chat');
      const client = await connect();
      await enter(client, '/chat');
      const { waiting, layer } = slow();
      const chat = events.io(manager).of('/chat');
      chat.use(layer);
      chat.on('connection', (socket) => socket.on('say', (_, ack) => ack('heard')));
      await eventually('the layer to be asked', () => waiting.length === 1);

      const arrived = new Promise<void>((resolve) => manager.on('message:received', () => resolve()));
      const said = client.request({ type: 'say', namespace: '/chat', content: 1, ack: true });
      await arrived;
      waiting[0]!();

      expect((await said).content).to.equal('heard');
    });

    it('do not enter when they leave while the layers run, and may enter again', async () => {
      const { manager, connect } = await start({ message: { concurrency: 10 }, use: [namespaces()] });
      manager.of('/chat');
      const client = await connect();
      await enter(client, '/chat');
      const { waiting, layer } = slow();
      const chat = events.io(manager).of('/chat');
      const came: Socket[] = [];
      chat.use(layer);
      chat.on('connection', (socket) => void came.push(socket));
      await eventually('the layer to be asked', () => waiting.length === 1);

      await client.request({ type: 'disconnect', namespace: '/chat' });
      const entered = enter(client, '/chat');
      await eventually('the layer to be asked again', () => waiting.length === 2);
      waiting[0]!();
      waiting[1]!();
      await entered;

      expect(came).to.have.length(1);
      expect(chat.sockets.get(came[0]!.id)).to.equal(came[0]);
      expect(manager.of('/chat').connections.size).to.equal(1);
    });
  });

  it('leave when the application disconnects them, with any reason', async () => {
    const served = await serve();
    const reasons: string[] = [];
    const chat = served.io.of('/chat');
    chat.on('connection', (socket) => socket.on('disconnect', (reason) => void reasons.push(reason)));
    const client = await served.connect();
    await enter(client, '/chat');
    const socket = only(chat.sockets.values());

    const namespace = served.manager.of('/chat');
    namespace.disconnect(only(namespace.connections.values()), 'closed');

    expect(socket.connected).to.be.false;
    expect(chat.sockets.size).to.equal(0);
    expect(reasons).to.deep.equal(['server namespace disconnect']);
  });

  it('do not enter when another listener has disconnected the client', async () => {
    const served = await serve();
    const namespace = served.manager.of('/chat');
    namespace.on('connect', (connection: Connection) => namespace.disconnect(connection, 'full'));
    const chat = served.io.of('/chat');
    let made: Socket | undefined;
    let came = 0;
    chat.use((socket, next) => {
      made = socket;
      next();
    });
    chat.on('connection', () => came++);

    const client = await served.connect();
    await enter(client, '/chat');

    expect([came, chat.sockets.size]).to.deep.equal([0, 0]);
    expect(made!.emit('secret')).to.be.false;
  });

  it('have rooms that are independent of the namespace\'s rooms', async () => {
    const served = await serve();
    const chat = served.io.of('/chat');
    chat.on('connection', (socket) => socket.join('lobby'));
    const namespace = served.manager.of('/chat');
    const client = await served.connect();
    await enter(client, '/chat');

    namespace.join(only(namespace.connections.values()), 'lobby');
    namespace.leave(only(namespace.connections.values()), 'lobby');

    expect(chat.to('lobby').emit('news')).to.be.true;
    await client.next('news');
  });

  it('do not enter when a later check rejects', async () => {
    const served = await serve();
    const chat = served.io.of('/chat');
    let made: Socket | undefined;
    chat.use((socket, next) => {
      made = socket;
      next();
    });
    served.manager.of('/chat').admit(() => false);
    const client = await served.connect();

    expect((await enter(client, '/chat')).content.code).to.equal('FORBIDDEN');

    expect(made!.emit('secret')).to.be.false;
    expect(made!.rooms.size).to.equal(0);
  });

  it('do not enter when the client already got a timeout error', async () => {
    const served = await serve({ connect: 'explicit' }, { message: { timeout: 200 } });
    const { waiting, layer } = slow();
    served.io.use(layer);
    let came = 0;
    served.io.on('connection', () => came++);
    const client = await served.connect();

    const late = await client.request({ type: 'connect' });
    waiting[0]!();
    await client.request({ type: 'ping' });
    const whenLate = served.io.sockets.sockets.size;
    const again = client.request({ type: 'connect' });
    await eventually('the layer to be asked again', () => waiting.length === 2);
    waiting[1]!();

    expect(late.content.code).to.equal('HANDLER_TIMEOUT');
    expect(whenLate).to.equal(0);
    expect((await again).type).to.equal('connected');
    expect(came).to.equal(1);
  });

  it('do not enter when the client leaves while a check runs', async () => {
    const served = await serve();
    const { waiting, layer } = slow();
    served.io.use(layer);
    const client = await served.connect();
    await eventually('the layer to be asked', () => waiting.length === 1);

    const arrived = new Promise<void>((resolve) => served.manager.on('message:received', () => resolve()));
    const left = client.request({ type: 'disconnect' });
    await arrived;
    waiting[0]!();

    expect((await left).type).to.equal('disconnected');
    expect(served.io.sockets.sockets.size).to.equal(0);
  });

  it('are rejected with an error even if the details of a layer cannot be encoded', async () => {
    const served = await serve();
    served.io.use((_socket, next) => next(Object.assign(new Error('no'), { data: 1n })));
    const client = await served.connect();

    const refused = await client.next('error');

    expect(refused.content).to.deep.equal({ code: 'CONNECTION_REFUSED', message: 'no', namespace: '/' });
  });
});
