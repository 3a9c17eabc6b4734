import { createServer } from 'node:http';
import { expect } from 'chai';
import { MemoryAdapter } from '../../adapters/memory.ts';
import { events, type Socket } from '../../plugins/events.ts';
import { namespaces } from '../../plugins/namespaces.ts';
import { WebSocketModule, type ModuleError } from '../../index.ts';
import { cleanup } from '../support/cleanup.ts';
import { errorsOf, join, serve, type Served } from '../support/events.ts';
import { pluginSuite } from '../support/plugin-suite.ts';
import { start } from '../support/start.ts';
import { eventually } from '../support/timing.ts';

/** The types of what a client got until it is told that nothing else came. */
async function typesUntilPong(client: { request(message: { type: string }): Promise<unknown>; messages: { type: string }[] }): Promise<string[]> {
  await client.request({ type: 'ping' });
  return client.messages.map(({ type }) => type).filter((type) => type !== 'pong');
}

describe('events', () => {
  it('emits connection for a new client, which can be greeted', async () => {
    const served = await serve();
    served.io.on('connection', (socket) => void socket.emit('welcome', { id: socket.id }));

    const { client, socket } = await join(served);

    expect((await client.next('welcome')).content).to.deep.equal({ id: socket.id });
    expect(socket).to.include({ connected: true, disconnected: false });
    expect(socket.nsp).to.equal(served.io.sockets);
    expect(served.io.sockets.sockets.get(socket.id)).to.equal(socket);
    expect(served.io.engine.clientsCount).to.equal(1);
  });

  it('gives an event to the socket\'s listeners, whichever way its name is written', async () => {
    const served = await serve();
    const { client, socket } = await join(served);
    const heard: unknown[] = [];
    socket.on('chat message', (text) => heard.push(text));

    for (const type of ['chat message', 'chat-message', 'chat_message']) await client.send({ type, content: type });
    await client.request({ type: 'ping' });

    expect(heard).to.deep.equal(['chat message', 'chat-message', 'chat_message']);
  });

  it('is used by its name', async () => {
    const { manager, connect } = await start({ plugins: ['namespaces', 'events'] });
    manager.io.on('connection', (socket) => void socket.emit('hello'));

    expect((await (await connect()).next('hello')).content).to.equal(undefined);
    expect(manager.api('events')).to.equal(manager.io);
  });

  it('needs a manager, and says so when it is given a server', () => {
    const act = () => events.io(createServer() as never);

    expect(act).to.throw('must be a manager').with.property('code', 'OPTION_INVALID');
  });

  it('has its server before anything is loaded', async () => {
    const { connect } = await start({
      create(options) {
        const manager = WebSocketModule.create({ ...options, plugins: ['namespaces'] });
        const io = events.io(manager);
        io.of('/chat').on('connection', (socket) => void socket.emit('hello', io.engine.clientsCount));
        return manager;
      },
    });
    const client = await connect();

    await client.request({ type: 'connect', namespace: '/chat' });

    expect(await client.next('hello')).to.deep.include({ namespace: '/chat', content: 1 });
  });

  describe('arguments', () => {
    it('are the content if there is one, a list with meta.args if there are several, and nothing if there is none', async () => {
      const served = await serve();
      const { client, socket } = await join(served);

      socket.emit('none');
      socket.emit('one', [1, 2]);
      socket.emit('two', 1, { b: 2 });
      socket.emit('undefined', undefined);

      const [none, one, two, nothing] = [await client.next(), await client.next(), await client.next(), await client.next()];
      expect(none).to.not.have.any.keys('content', 'meta');
      expect(one).to.deep.include({ content: [1, 2] }).and.to.not.have.property('meta');
      expect(two).to.deep.include({ content: [1, { b: 2 }], meta: { args: 2 } });
      expect(nothing).to.have.property('content', null);
    });

    it('come back as they were sent', async () => {
      const served = await serve();
      const { client, socket } = await join(served);
      socket.onAny((...all: unknown[]) => (all.pop() as (...args: unknown[]) => void)(...all));
      const ask = async (fields: object) => {
        const { content, meta } = await client.request({ type: 'any', ack: true, ...fields });
        return meta ? content : [content];
      };

      expect(await ask({})).to.deep.equal(['any']);
      expect(await ask({ content: {} })).to.deep.equal(['any', {}]);
      expect(await ask({ content: null })).to.deep.equal(['any', null]);
      expect(await ask({ data: 'd' })).to.deep.equal(['any', 'd']);
      expect(await ask({ room: 'r' })).to.deep.equal(['any', { room: 'r' }]);
      expect(await ask({ content: [1, 2] })).to.deep.equal(['any', [1, 2]]);
      expect(await ask({ content: [1, 2], meta: { args: 2 } })).to.deep.equal(['any', 1, 2]);
      expect(await ask({ content: [], meta: { args: 0 } })).to.deep.equal(['any']);
    });
  });

  describe('listeners', () => {
    it('are called once, each time, or no longer, as registered', async () => {
      const served = await serve();
      const { client, socket } = await join(served);
      const heard: string[] = [];
      const off = () => void heard.push('off');
      socket.once('x', () => void heard.push('once')).on('x', () => void heard.push('on')).on('x', off).off('x', off);

      await client.send({ type: 'x' });
      await client.send({ type: 'x' });
      await client.request({ type: 'ping' });

      expect(heard).to.deep.equal(['once', 'on', 'on']);
      expect(socket.listeners('x')).to.have.length(1);
      expect(socket.removeAllListeners().listeners('x')).to.deep.equal([]);
    });

    it('stay when the same function was also registered for one event', async () => {
      const served = await serve();
      const { client, socket } = await join(served);
      let calls = 0;
      const listener = () => calls++;
      socket.once('x', listener).on('x', listener);

      for (let count = 0; count < 3; count++) await client.send({ type: 'x' });
      await client.request({ type: 'ping' });

      expect(calls).to.equal(4);
    });

    it('for all events are called for events without a listener, and before other listeners', async () => {
      const served = await serve();
      const { client, socket } = await join(served);
      const heard: unknown[] = [];
      const all = (event: string, ...args: unknown[]) => void heard.push(['all', event, ...args]);
      socket.onAny(all).on('known', (text) => void heard.push(text));

      await client.send({ type: 'unknown', content: 1 });
      await client.send({ type: 'known', content: 2 });
      await client.request({ type: 'ping' });
      socket.offAny(all);
      const refused = await client.request({ type: 'unknown', content: 3 });

      expect(heard).to.deep.equal([['all', 'unknown', 1], ['all', 'known', 2], 2]);
      expect(refused.content.code).to.equal('UNKNOWN_TYPE');
    });

    it('come before built-in handlers, which yield, and after an application\'s own', async () => {
      const served = await serve();
      served.manager.registerHandler('mine', () => 'the handler');
      const { client, socket } = await join(served);
      socket.on('text', (text, ack) => ack(`heard ${text}`)).on('mine', (_, ack) => ack('the listener'));

      const text = await client.request({ type: 'text', content: 'a', ack: true });
      const mine = await client.request({ type: 'mine', content: 'a', ack: true });

      expect(text.content).to.equal('heard a');
      expect(mine.content).to.equal('the handler');
    });
  });

  describe('rooms', () => {
    it('get what is sent to them, each socket once', async () => {
      const served = await serve();
      const [a, b, c] = [await join(served), await join(served), await join(served)];
      void a.socket.join(['one', 'two']);
      void b.socket.join('two');
      void c.socket.join('three');

      expect(served.io.to('one').to('two').emit('both', 1)).to.be.true;
      expect(served.io.to(['one', 'two']).except('one').emit('two alone')).to.be.true;
      expect(served.io.to('nobody').emit('nothing')).to.be.false;
      a.socket.to('two').emit('from a');
      a.socket.broadcast.emit('to others');
      a.socket.except('three').emit('but three');
      served.io.except('two').emit('three alone');
      served.io.emit('all');

      expect(await typesUntilPong(a.client)).to.deep.equal(['both', 'all']);
      expect(await typesUntilPong(b.client)).to.deep.equal(['both', 'two alone', 'from a', 'to others', 'but three', 'all']);
      expect(await typesUntilPong(c.client)).to.deep.equal(['to others', 'three alone', 'all']);
    });

    it('get nothing if no room is named', async () => {
      const served = await serve();
      const { client, socket } = await join(served);

      const sent = [served.io.to([]).emit('for nobody'), served.io.to([]).to(socket.id).emit('for one')];

      expect(sent).to.deep.equal([false, true]);
      expect(await served.io.to([]).fetchSockets()).to.deep.equal([]);
      expect(await typesUntilPong(client)).to.deep.equal(['for one']);
    });

    it('are a map, in which every socket is in the room of its own id', async () => {
      const served = await serve();
      const [a, b] = [await join(served), await join(served)];
      void a.socket.join('r');
      void b.socket.join(['r', 7]);

      const { rooms } = served.io.sockets.adapter;
      expect([...rooms.keys()]).to.have.members([a.socket.id, b.socket.id, 'r', '7']);
      expect([...rooms.get('r')!]).to.deep.equal([a.socket.id, b.socket.id]);
      expect([...b.socket.rooms]).to.deep.equal([b.socket.id, 'r', '7']);
      expect((await served.io.in('r').fetchSockets()).map(({ id }) => id)).to.deep.equal([a.socket.id, b.socket.id]);

      b.socket.leave(7);
      await a.client.close();
      await new Promise<void>((resolve) => (a.socket.connected ? a.socket.on('disconnect', () => resolve()) : resolve()));

      expect([...rooms.keys()]).to.have.members([b.socket.id, 'r']);
      expect(a.socket.rooms.size).to.equal(0);
    });

    it('of a socket\'s own id reach that socket, and those that joined them', async () => {
      const served = await serve();
      const [a, b] = [await join(served), await join(served)];

      expect(a.socket.to(b.socket.id).emit('private')).to.be.true;
      expect(a.socket.to(a.socket.id).emit('to myself')).to.be.false;
      void a.socket.join(b.socket.id);
      served.io.to(b.socket.id).emit('overheard');
      served.io.except(b.socket.id).emit('for nobody');
      b.socket.leave(b.socket.id);
      served.io.to(b.socket.id).emit('a alone');

      expect(await typesUntilPong(a.client)).to.deep.equal(['overheard', 'a alone']);
      expect(await typesUntilPong(b.client)).to.deep.equal(['private', 'overheard']);
    });

    it('are joined and left by all of a selection', async () => {
      const served = await serve();
      const [a, b] = [await join(served), await join(served)];

      served.io.socketsJoin(['x', 'y']);
      served.io.in(a.socket.id).socketsLeave('x');
      served.io.in('x').disconnectSockets(true);

      expect(await b.client.closed).to.include({ code: 4010 });
      expect([...a.socket.rooms]).to.deep.equal([a.socket.id, 'y']);
    });
  });

  describe('the handshake', () => {
    it('has the credentials of the upgrade', async () => {
      const served = await serve({}, { keepHeaders: ['X-Device'] });

      const { socket } = await join(served, { search: '?token=t1&page=2', headers: { 'x-device': 'phone', authorization: 'Basic xyz' } });
      const { socket: bearer } = await join(served, { headers: { authorization: 'Bearer t2' } });

      expect(socket.handshake.auth).to.deep.equal({ token: 't1', page: '2' });
      expect(socket.handshake.query).to.deep.equal({ token: 't1', page: '2' });
      expect(socket.handshake.headers).to.include({ 'x-device': 'phone', authorization: 'Basic xyz' });
      expect(socket.handshake).to.include({ address: '127.0.0.1', secure: false, xdomain: false, url: '/ws?token=t1&page=2' });
      expect(Date.parse(socket.handshake.time)).to.be.closeTo(socket.handshake.issued, 1_000);
      expect(bearer.handshake.auth).to.deep.equal({ token: 't2' });
    });

    it('has all parameters, though a question mark is in one', async () => {
      const served = await serve();

      const { socket } = await join(served, { search: '?next=/a?b=1&token=t1' });

      expect(socket.handshake.query).to.deep.equal({ next: '/a?b=1', token: 't1' });
    });

    it('keeps a token out of what is logged of a connection', async () => {
      const served = await serve();

      const { socket } = await join(served, { search: '?token=secret', headers: { authorization: 'Bearer secret' } });

      expect(JSON.stringify(socket.connection)).to.not.include('secret');
    });

    it('has the credentials of the message connect, if there are any', async () => {
      const served = await serve({ connect: 'explicit' });
      const seen: unknown[] = [];
      served.io.on('connection', ({ handshake }) => void seen.push(handshake.auth));
      const given = await served.connect({ search: '?token=upgrade' });
      const kept = await served.connect({ search: '?token=upgrade' });

      await given.request({ type: 'connect', content: { token: 'first' } });
      await kept.request({ type: 'connect', namespace: '/' });

      expect(seen).to.deep.equal([{ token: 'first' }, { token: 'upgrade' }]);
    });
  });

  describe('the main namespace', () => {
    it('is entered once, by a message, with connect: explicit', async () => {
      const served = await serve({ connect: 'explicit' });
      let count = 0;
      served.io.on('connection', (socket) => {
        count++;
        socket.emit('welcome');
      });
      const client = await served.connect();

      const early = await client.request({ type: 'say', content: 'hi' });
      const connected = await client.request({ type: 'connect', ack: true });
      const again = await client.request({ type: 'connect' });

      expect(early.content.code).to.equal('NAMESPACE_NOT_JOINED');
      expect(connected).to.deep.include({ type: 'connected', content: { namespace: '/', connectionId: [...served.manager.connections.keys()][0] } });
      expect(again.type).to.equal('connected');
      expect(client.messages.map(({ type }) => type)).to.deep.equal(['error', 'connected', 'welcome', 'connected']);
      expect(count).to.equal(1);
    });

    it('tells a client why it is refused, and lets it try again', async () => {
      const served = await serve();
      served.io.use((socket, next) => next(socket.handshake.auth['token'] === 'good' ? undefined : Object.assign(new Error('no such token'), { data: { retry: true } })));
      const client = await served.connect();

      const refused = await client.next('error');
      const held = await client.request({ type: 'say' });
      const worse = await client.request({ type: 'connect', content: { token: 'bad' } });
      const better = await client.request({ type: 'connect', content: { token: 'good' } });

      expect(refused.content).to.deep.equal({ code: 'CONNECTION_REFUSED', message: 'no such token', data: { retry: true }, namespace: '/' });
      expect(held.content.code).to.equal('NAMESPACE_NOT_JOINED');
      expect(worse.content).to.include({ code: 'CONNECTION_REFUSED', message: 'no such token' });
      expect(better.type).to.equal('connected');
      expect(served.io.sockets.sockets.size).to.equal(1);
    });

    it('is left by the client, and by the server', async () => {
      const served = await serve();
      const [a, b] = [await join(served), await join(served)];
      const reasons: string[] = [];
      for (const { socket } of [a, b]) {
        socket.on('disconnecting', () => void reasons.push(`disconnecting ${socket.connected} ${socket.rooms.size}`));
        socket.on('disconnect', (reason) => void reasons.push(`${reason} ${socket.connected} ${served.io.sockets.sockets.size}`));
      }

      const parting = await a.client.request({ type: 'disconnect' });
      b.socket.disconnect();
      served.io.emit('unheard');

      expect(parting).to.deep.include({ type: 'disconnected', content: { namespace: '/', reason: 'client namespace disconnect' } });
      expect((await b.client.next('disconnected')).content.reason).to.equal('server namespace disconnect');
      expect(reasons).to.deep.equal([
        'disconnecting true 1', 'client namespace disconnect false 1', 'disconnecting true 1', 'server namespace disconnect false 0',
      ]);
      expect(await typesUntilPong(b.client)).to.deep.equal(['disconnected']);
      expect(b.socket.emit('late')).to.be.false;
      expect((await a.client.request({ type: 'disconnect' })).content.code).to.equal('NAMESPACE_NOT_JOINED');
    });

    const ends: readonly (readonly [string, (served: Served, one: { client: { close(): unknown }; socket: Socket }) => unknown])[] = [
      ['transport close', (_, { client }) => client.close()],
      ['transport close', (_, { socket }) => socket.connection.close(4003, 'away with you')],
      ['ping timeout', (_, { socket }) => socket.connection.close(4109, 'heartbeat missed')],
      ['server shutting down', ({ manager }) => manager.stop()],
      ['server namespace disconnect', (_, { socket }) => socket.disconnect(true)],
    ];
    for (const [index, [expected, end]] of ends.entries()) {
      it(`says why a connection ended: ${expected} (${index})`, async () => {
        const served = await serve();
        const one = await join(served);
        const ended = new Promise<string>((resolve) => one.socket.on('disconnect', resolve));

        await end(served, one);

        expect(await ended).to.equal(expected);
        expect(one.socket.disconnected).to.be.true;
      });
    }
  });

  describe('namespaces', () => {
    it('have listeners and events of their own, and must be entered', async () => {
      const served = await serve();
      const chat = served.io.of('/chat');
      const seen: Socket[] = [];
      chat.on('connection', (socket) => {
        seen.push(socket);
        socket.on('say', (text, ack) => ack(`chat heard ${text}`));
      });
      const { client, socket: main } = await join(served);

      const before = await client.request({ type: 'say', namespace: '/chat', content: 1 });
      const entered = await client.request({ type: 'connect', namespace: '/chat', content: { token: 't' } });
      const said = await client.request({ type: 'say', namespace: '/chat', content: 'hi', ack: true });
      chat.emit('news', 1);
      served.io.emit('main news');

      expect(before.content.code).to.equal('NAMESPACE_NOT_JOINED');
      expect(entered).to.include({ type: 'connected', namespace: '/chat' });
      expect(said).to.deep.include({ type: 'ack', namespace: '/chat', content: 'chat heard hi' });
      expect(await client.next('news')).to.deep.include({ namespace: '/chat', content: 1 });
      expect(await client.next('main news')).to.not.have.property('namespace');
      expect(served.io.of('chat')).to.equal(chat);
      expect(seen[0]!.id).to.equal(main.id);
      expect(seen[0]!.handshake.auth).to.deep.equal({ token: 't' });
      expect([...chat.sockets.keys()]).to.deep.equal([main.id]);
    });

    it('may refuse a client, which stays in the others', async () => {
      const served = await serve();
      served.io.of('/admin').use((_socket, next) => next(new Error('admins only')));
      const { client, socket } = await join(served);

      const refused = await client.request({ type: 'connect', namespace: '/admin' });

      expect(refused.content).to.deep.include({ code: 'CONNECTION_REFUSED', message: 'admins only' });
      expect(served.io.of('/admin').sockets.size).to.equal(0);
      expect(socket.connected).to.be.true;
    });

    it('are left one by one', async () => {
      const served = await serve();
      const chat = served.io.of('/chat');
      const { client } = await join(served);
      const reasons: string[] = [];
      chat.on('connection', (socket) => {
        void socket.join('r');
        socket.on('disconnect', (reason) => void reasons.push(reason));
      });

      await client.request({ type: 'connect', namespace: '/chat' });
      await client.request({ type: 'disconnect', namespace: '/chat' });
      await client.request({ type: 'connect', namespace: '/chat' });
      chat.disconnectSockets();
      await client.request({ type: 'connect', namespace: '/chat' });
      await client.close();
      await new Promise((resolve) => setImmediate(resolve));

      expect(reasons).to.deep.equal(['client namespace disconnect', 'server namespace disconnect', 'transport close']);
      expect(chat.adapter.rooms.size).to.equal(0);
    });

    it('make a socket for each connection that was in them before', async () => {
      const { manager, connect } = await start({ use: [namespaces()] });
      manager.of('/chat');
      const client = await connect();
      await client.request({ type: 'connect', namespace: '/chat' });

      manager.use(events());
      const came = new Promise<Socket>((resolve) => manager.io.of('/chat').on('connection', resolve));

      const socket = await came;
      expect(socket.id).to.equal([...manager.connections.keys()][0]);
      expect(socket.nsp).to.equal(manager.io.of('/chat'));
    });
  });

  it('sends in the naming that the application chose', async () => {
    const served = await serve({}, { naming: 'snake' });
    const { client, socket } = await join(served);

    socket.emit('as it is-given');
    socket.disconnect();

    expect(await typesUntilPong(client)).to.deep.equal(['as it is-given', 'disconnected']);
  });

  it('connects nodes by io.adapter(), before the plugin is loaded and while it runs', async () => {
    const bus = {};
    const early = WebSocketModule.create({ port: 0, plugins: ['namespaces'] });
    cleanup(() => early.stop());
    const io = events.io(early);
    io.adapter(new MemoryAdapter(bus));
    await early.start();
    const late = await serve();
    const { client, socket } = await join(late);

    expect(late.io.adapter(new MemoryAdapter(bus))).to.equal(late.io.sockets.adapter);
    await eventually('both know each other', () => [early, late.manager].every((manager) => manager.inspect().nodes === 1));
    io.emit('hello', 'from the other node');

    expect((await client.next('hello')).content).to.equal('from the other node');
    expect((await io.fetchSockets()).map(({ id }) => id)).to.deep.equal([socket.id]);
  });

  it('emits error for what io.adapter() cannot use', async () => {
    const served = await serve();
    const failures = errorsOf(served);

    served.io.adapter({ some: 'adapter' });
    await eventually('the error', () => failures.length > 0);

    expect(failures[0]).to.include({ code: 'OPTION_INVALID' });
  });

  it('cannot be on two managers at once', async () => {
    const plugin = events();
    await start({ use: [namespaces(), plugin] });

    const second = await start({ use: [namespaces(), plugin] }).catch((error: unknown) => error as ModuleError);

    expect(second).to.include({ code: 'DUPLICATE' });
  });

  it('keeps its layers and listeners when it is loaded again', async () => {
    const plugin = events();
    const { manager, connect } = await start({ use: [namespaces(), plugin] });
    const { io } = manager;
    const came: string[] = [];
    const left: string[] = [];
    io.on('connection', (socket) => {
      came.push(socket.id);
      socket.on('disconnect', (reason) => void left.push(reason));
    });
    const { client, socket } = await join({ io, connect });

    await manager.unload('events');
    const alone = await client.request({ type: 'echo' });
    manager.use(plugin);
    await client.request({ type: 'ping' });

    expect(alone.content.code).to.equal('UNKNOWN_TYPE');
    expect(left).to.deep.equal(['server namespace disconnect']);
    expect(came).to.deep.equal([socket.id, socket.id]);
    expect(io.sockets.sockets.get(socket.id)).to.not.equal(socket);
  });

  it('does not delete namespaces that it did not create', async () => {
    const { manager } = await start({ use: [namespaces()] });
    manager.of('/mine');
    manager.use(events());
    manager.io.of('/mine');
    manager.io.of('/its');
    const names = [...manager.api('namespaces').names];

    await manager.unload('events');

    expect(names).to.deep.equal(['/mine', '/its']);
    expect(manager.api('namespaces').names).to.deep.equal(['/mine']);
  });

  it('does not delete a namespace that the application has created instead of its own, and uses it when it is loaded again', async () => {
    const plugin = events();
    const { manager, connect } = await start({ use: [namespaces(), plugin] });
    const chat = manager.io.of('/chat');
    const came = new Promise<Socket>((resolve) => chat.on('connection', resolve));
    manager.api('namespaces').delete('/chat');
    const another = manager.of('/chat');

    await manager.unload('events');
    manager.use(plugin);
    const client = await connect();
    await client.request({ type: 'connect', namespace: '/chat' });

    expect(manager.api('namespaces').get('/chat')).to.equal(another);
    expect(chat.sockets.get((await came).id)).to.equal(await came);
  });

  it('reports a listener of connection that fails, and keeps the socket', async () => {
    const served = await serve();
    const errors = errorsOf(served);
    served.io.on('connection', () => { throw new Error('sync'); });
    served.io.on('connection', async () => { throw new Error('async'); });

    const { client, socket } = await join(served);
    await client.request({ type: 'say' });

    expect(errors.map(({ message }) => message)).to.deep.equal(['sync', 'async']);
    expect(socket.connected).to.be.true;
  });
});

pluginSuite('events', () => events(), {
  requires: () => [namespaces()],
  exercise: async ({ manager, connect }, client) => {
    const { io } = manager;
    io.of('/chat').use((_socket, next) => next());
    io.on('connection', (socket) => {
      void socket.join('room');
      socket.on('echo', (text, ack) => ack(text));
      socket.on('silent', () => undefined);
    });
    const { client: other } = await join({ io, connect });
    expect((await other.request({ type: 'echo', content: 'hi', ack: true })).content).to.equal('hi');
    await other.send({ type: 'silent', ack: true });
    await other.request({ type: 'connect', namespace: '/chat' });
    void io.timeout(5_000).emitWithAck('question').catch(() => undefined);
    await client.request({ type: 'ping' });
    await other.close();
  },
});
