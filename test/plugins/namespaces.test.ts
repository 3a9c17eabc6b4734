import { expect } from 'chai';
import sinon from 'sinon';
import { MemoryAdapter } from '../../adapters/memory.ts';
import { ModuleError, type Outgoing } from '../../index.ts';
import { namespaces, type NamespacesOptions } from '../../plugins/namespaces.ts';
import { pluginSuite } from '../support/plugin-suite.ts';
import { start } from '../support/start.ts';
import { eventually } from '../support/timing.ts';
import { code, enter, entered, gate, serve } from './namespaces/entering.ts';

describe('namespaces', () => {
  describe('entering and leaving', () => {
    it('lets a client enter, replies to its messages, and lets it leave', async () => {
      const { manager, connect } = await serve();
      const chat = manager.of('/chat', { features: ['rooms'] });
      chat.registerHandler('say', ({ content }) => `you said ${content}`);
      const client = await connect();

      const connected = await enter(client, '/chat');
      const reply = await client.request({ type: 'say', namespace: '/chat', content: 'hi' });
      const parted = await client.request({ type: 'disconnect', namespace: '/chat' });
      const after = await client.request({ type: 'say', namespace: '/chat', content: 'hi' });

      const [connectionId] = manager.connections.keys();
      expect(connected).to.deep.include({ type: 'connected', namespace: '/chat', content: { namespace: '/chat', connectionId, features: ['rooms'] } });
      expect(reply).to.deep.include({ type: 'say', namespace: '/chat', content: 'you said hi' });
      expect(parted).to.deep.include({ type: 'disconnected', namespace: '/chat', content: { namespace: '/chat', reason: 'left' } });
      expect(after.content).to.include({ code: 'NAMESPACE_NOT_JOINED' });
    });

    it('hands messages without a namespace, or for "/", to the handlers of the server', async () => {
      const { manager, connect } = await serve();
      manager.of('/chat').registerHandler('say', () => 'in the chat');
      manager.registerHandler('say', () => 'on the server');
      const client = await entered(await connect(), '/chat');

      const replies = await Promise.all([{}, { namespace: '/' }, { namespace: '/chat' }].map((where) => client.request({ type: 'say', ...where })));

      expect(replies.map(({ content }) => content)).to.deep.equal(['on the server', 'on the server', 'in the chat']);
    });

    it('rejects messages for an unknown namespace, or one that the client is not in', async () => {
      const { manager, connect } = await serve();
      manager.of('/chat');
      manager.of('/game');
      const client = await entered(await connect(), '/chat');

      expect(await code(enter(client, '/nowhere'))).to.equal('NAMESPACE_UNKNOWN');
      expect(await code(client.request({ type: 'say', namespace: '/nowhere' }))).to.equal('NAMESPACE_UNKNOWN');
      expect(await code(client.request({ type: 'say', namespace: '/game' }))).to.equal('NAMESPACE_NOT_JOINED');
      expect(await code(client.request({ type: 'disconnect', namespace: '/game' }))).to.equal('NAMESPACE_NOT_JOINED');
      expect(await code(enter(client, '/chat'))).to.equal('NAMESPACE_ALREADY_JOINED');
      expect(await code(client.request({ type: 'say', namespace: '/chat' }))).to.equal('UNKNOWN_TYPE');
    });

    it('adds the namespace to replies, acknowledgements and errors', async () => {
      const { manager, connect } = await serve();
      const chat = manager.of('/chat');
      chat.registerHandler('say', ({ content }) => ({ type: 'said', content }));
      chat.registerHandler('later', async ({ content }) => ({ content }));
      chat.registerHandler('silent', () => undefined);
      const client = await entered(await connect(), '/chat');

      const answers = await Promise.all(['say', 'later', 'silent', 'nope'].map((type) => client.request({ type, namespace: '/chat', content: 1, ack: true })));

      expect(answers.map(({ type }) => type)).to.deep.equal(['said', 'later', 'ack', 'error']);
      expect(answers.map(({ namespace }) => namespace)).to.deep.equal(Array(4).fill('/chat'));
    });

    it('sends bytes that a handler returns as a binary frame, from any kind of buffer', async () => {
      const { manager, connect } = await serve();
      manager.of('/chat').registerHandler('bytes', () => Uint8Array.of(1, 2, 3).buffer);
      const client = await entered(await connect(), '/chat');

      await client.send({ type: 'bytes', namespace: '/chat' });

      expect([...(await client.next('binary')).content as Buffer]).to.deep.equal([1, 2, 3]);
    });

    it('replies to connect once, with or without a requested acknowledgement', async () => {
      const { manager, connect } = await serve();
      manager.of('/chat').on('connect', () => undefined);
      const client = await connect();

      const connected = await client.request({ type: 'connect', namespace: '/chat', id: 'in', ack: true });
      const parted = await client.request({ type: 'disconnect', namespace: '/chat', id: 'out', ack: true });
      await client.request({ type: 'nothing more' });

      expect([connected.type, parted.type]).to.deep.equal(['connected', 'disconnected']);
      expect(client.messages.filter(({ replyTo }) => replyTo === 'in' || replyTo === 'out')).to.have.lengthOf(2);
    });

    it('keeps a client in other namespaces when one rejects it', async () => {
      const { manager, connect } = await serve();
      for (const name of ['/chat', '/game', '/admin']) manager.of(name).registerHandler('where', () => name);
      manager.of('/admin').admit(() => { throw new ModuleError('NOT_TODAY', { until: 'monday' }, { message: 'come back' }); });
      const client = await entered(await connect(), '/chat', '/game');

      const refused = await enter(client, '/admin');

      const [connection] = manager.connections.values();
      expect(refused).to.deep.include({ type: 'error', content: { code: 'NOT_TODAY', message: 'come back', until: 'monday' } });
      expect([...connection!.namespaces!]).to.deep.equal(['/chat', '/game']);
      expect((await client.request({ type: 'where', namespace: '/game' })).content).to.equal('/game');
      expect(await code(client.request({ type: 'where', namespace: '/admin' }))).to.equal('NAMESPACE_NOT_JOINED');
    });

    it('leaves all namespaces when the connection closes, and notifies listeners', async () => {
      const { manager, connect } = await serve();
      const left: string[] = [];
      const hooks: string[] = [];
      for (const name of ['/chat', '/game']) manager.of(name).on('disconnect', ({ id }, reason) => left.push(`${name} ${id} ${reason}`));
      manager.on('namespace:left', ({ namespace, reason }) => hooks.push(`${namespace} ${reason}`));
      const client = await entered(await connect(), '/chat', '/game');
      const [id] = manager.connections.keys();
      const before = manager.inspect()['topics'];

      await client.close();

      await eventually('both left', () => left.length === 2 || left);
      expect(left).to.deep.equal([`/chat ${id} closed`, `/game ${id} closed`]);
      expect(hooks).to.deep.equal(['/chat closed', '/game closed']);
      expect(before).to.equal(2);
      expect(manager.inspect()['topics']).to.equal(0);
      expect(manager.of('/chat').connections.size).to.equal(0);
    });

    it('removes a member and sends it the reason', async () => {
      const { manager, connect } = await serve();
      const chat = manager.of('/chat');
      const listener = sinon.spy();
      chat.on('disconnect', listener);
      const client = await entered(await connect(), '/chat');
      const [connection] = chat.connections.values();

      chat.disconnect(connection!, 'rude');
      chat.disconnect(connection!, 'rude');

      expect(await client.next('disconnected')).to.deep.include({ namespace: '/chat', content: { namespace: '/chat', reason: 'rude' } });
      expect(await code(client.request({ type: 'say', namespace: '/chat' }))).to.equal('NAMESPACE_NOT_JOINED');
      sinon.assert.calledOnceWithExactly(listener, connection, 'rude');
      await entered(client, '/chat');
    });

    it('removes all connections from a deleted namespace', async () => {
      const { manager, connect } = await serve();
      const chat = manager.of('/chat');
      const client = await entered(await connect(), '/chat');

      expect(manager.api('namespaces').delete('/chat')).to.equal(true);
      expect(manager.api('namespaces').delete('/chat')).to.equal(false);

      expect((await client.next('disconnected')).content).to.deep.equal({ namespace: '/chat', reason: 'deleted' });
      expect(await code(enter(client, '/chat'))).to.equal('NAMESPACE_UNKNOWN');
      expect(chat.publish({ type: 'news' })).to.equal(0);
      expect(manager.of('/chat')).to.not.equal(chat);
    });
  });

  describe('messages to members', () => {
    it('publishes to all members, with the name of the namespace', async () => {
      const { manager, connect } = await serve();
      const [chat] = [manager.of('/chat'), manager.of('/game')];
      const [ann, bob, eve] = [await entered(await connect(), '/chat'), await entered(await connect(), '/chat', '/game'), await entered(await connect(), '/game')];
      const [annId] = chat.connections.keys();

      expect(chat.publish({ type: 'news', content: 1 })).to.equal(2);
      expect(chat.publish({ type: 'news', content: 2 }, { except: annId! })).to.equal(1);

      const [first, second] = [await bob.next('news'), await bob.next('news')];
      expect([first.content, second.content, first.namespace]).to.deep.equal([1, 2, '/chat']);
      await ann.request({ type: 'ping' });
      await eve.request({ type: 'ping' });
      expect(ann.messages.filter(({ type }) => type === 'news')).to.have.lengthOf(1);
      expect(eve.messages.filter(({ type }) => type === 'news')).to.deep.equal([]);
    });

    it('publishes received messages, and objects with toJSON()', async () => {
      const { manager, connect } = await serve();
      const chat = manager.of('/chat');
      chat.registerHandler('say', (message) => void chat.publish(message as unknown as Outgoing));
      chat.registerHandler('echo', (message) => message);
      const client = await entered(await connect(), '/chat');

      void client.send({ type: 'say', namespace: '/chat', content: { text: 'hi' } });
      expect(await client.next('say')).to.deep.include({ namespace: '/chat', content: { text: 'hi' } });
      expect(await client.request({ type: 'echo', namespace: '/chat', content: 7 })).to.deep.include({ type: 'echo', content: 7, namespace: '/chat' });
    });

    it('sends to one member, and not to other connections', async () => {
      const { manager, connect } = await serve();
      const [chat, game] = [manager.of('/chat'), manager.of('/game')];
      const client = await entered(await connect(), '/chat');
      const [connection] = manager.connections.values();

      expect(chat.send(connection!, { type: 'psst' })).to.equal(true);
      expect(game.send(connection!, { type: 'psst' })).to.equal(false);

      expect(await client.next('psst')).to.include({ namespace: '/chat' });
    });
  });

  it('publishes to members and rooms on other nodes', async () => {
    const bus = {};
    const [here, there] = [await serve({}, { adapter: new MemoryAdapter(bus) }), await serve({}, { adapter: new MemoryAdapter(bus) })];
    const [chat, same] = [here.manager.of('/chat'), there.manager.of('/chat')];
    const client = await entered(await there.connect(), '/chat');
    const [member] = same.connections.values();
    same.join(member!, 'lobby');

    chat.publish({ type: 'news', content: 1 });
    chat.to('lobby').publish({ type: 'news', content: 2 });

    expect(await client.next('news')).to.deep.include({ content: 1, namespace: '/chat' });
    expect(await client.next('news')).to.deep.include({ content: 2, namespace: '/chat' });
  });

  describe('unloading', () => {
    it('removes all connections, and hands their messages to the server', async () => {
      const { manager, connect } = await serve();
      const chat = manager.of('/chat');
      const left = sinon.spy();
      chat.on('disconnect', left);
      const clients = await Promise.all(Array.from({ length: 20 }, async () => entered(await connect(), '/chat')));

      await manager.unload('namespaces');

      for (const client of clients) expect((await client.next('disconnected')).content.reason).to.equal('deleted');
      sinon.assert.callCount(left, 20);
      expect(() => manager.of).to.throw('which is not loaded');
      expect(await code(clients[0]!.request({ type: 'say', namespace: '/chat' }))).to.equal('UNKNOWN_TYPE');
    });

    it('answers every message while it is unloaded under traffic', async () => {
      const { manager, connect } = await serve();
      const chat = manager.of('/chat');
      const slow = gate();
      chat.registerHandler('slow', async () => {
        await slow.opened;
        return 'done';
      });
      chat.registerHandler('say', ({ content }) => content);
      const clients = await Promise.all(Array.from({ length: 10 }, async () => entered(await connect(), '/chat')));
      const answers = clients.map((client) => client.request({ type: 'slow', namespace: '/chat' }));
      const behind = clients.flatMap((client) => Array.from({ length: 10 }, (_, n) => client.request({ type: 'say', namespace: '/chat', content: n })));
      await eventually('they are in the handler', () => manager.inspect()['inFlight'] === 10);

      const unloaded = manager.unload('namespaces');
      slow.open();

      expect((await Promise.all(answers)).map(({ content }) => content)).to.deep.equal(Array(10).fill('done'));
      for (const { type, content } of await Promise.all(behind)) expect(type === 'say' || content.code === 'UNKNOWN_TYPE', JSON.stringify(content)).to.equal(true);
      await unloaded;
      expect(manager.inspect()).to.include({ topics: 0, inFlight: 0 });
    });

    it('does not let a connection enter whose checks are still running', async () => {
      const { manager, connect } = await serve({}, { drainTimeout: 50 });
      const chat = manager.of('/chat');
      const wait = gate();
      const asked = sinon.spy(async () => wait.opened);
      chat.admit(asked);
      const answer = code(enter(await connect(), '/chat'));
      await eventually('it is asked', () => asked.called);

      await manager.unload('namespaces');
      wait.open();

      expect(await answer).to.equal('NAMESPACE_UNKNOWN');
      expect(chat.connections.size).to.equal(0);
      expect(manager.inspect()['topics']).to.equal(0);
    });
  });

  describe('wrong options', () => {
    const wrong: readonly (readonly [given: unknown, code: string, text: RegExp])[] = [
      [{ admitTimeout: 0 }, 'OPTION_INVALID', /"namespaces\.admitTimeout"/],
      [{ manager: {} }, 'OPTION_INVALID', /"namespaces\.manager" must be a NamespaceManager/],
      [{ router: {} }, 'OPTION_INVALID', /"namespaces\.router" must be an EventRouter/],
      [{ namespaces: ['/chat'] }, 'OPTION_INVALID', /"namespaces\.namespaces" must be an object/],
      [{ namespace: {} }, 'OPTION_UNKNOWN', /did you mean "namespaces\.namespaces"/],
    ];
    for (const [given, expected, text] of wrong) {
      it(`rejects ${JSON.stringify(given)} when it is created`, () => {
        expect(() => namespaces(given as NamespacesOptions)).to.throw(text).with.property('code', expected);
      });
    }

    it('does not load with an invalid name or invalid options of a namespace', async () => {
      const { manager } = await start();
      manager.on('error', () => undefined);
      manager.use(namespaces({ namespaces: { '/ok': {}, 'not ok': {} } }));
      expect(await manager.ready().catch((error: unknown) => (error as ModuleError).code)).to.equal('NAMESPACE_NAME_INVALID');
      manager.use(namespaces({ namespaces: { '/chat': { auth: { role: 'x' } as never } } }));

      expect(await manager.ready().catch((error: unknown) => (error as ModuleError).message)).to.match(/"\/chat\.auth\.role" does not exist; did you mean "\/chat\.auth\.roles"/);
      expect(() => manager.of).to.throw('which failed to load');
    });
  });

  it('run behind the layers that the options name', async () => {
    const { manager, connect } = await start({
      plugins: ['namespaces'], middleware: ['permissions'], builtins: { permissions: { rules: { secret: 'root' } }, namespaces: { namespaces: { '/chat': {} } } },
    });
    manager.of('/chat').registerHandler('secret', () => 'told');
    const client = await entered(await connect(), '/chat');

    expect(await code(client.request({ type: 'secret', namespace: '/chat' }))).to.equal('AUTH_REQUIRED');
  });

  it('creates the namespaces in its options', async () => {
    const { manager } = await serve({ namespaces: { '/chat': { features: ['rooms'] }, '/game': {} } });

    expect(manager.api('namespaces').names).to.deep.equal(['/chat', '/game']);
    expect(manager.of('/chat').features).to.deep.equal(['rooms']);
    expect(manager.api('namespaces').get('/nowhere')).to.equal(undefined);
    expect(() => manager.of('/chat', {})).to.throw().with.property('code', 'DUPLICATE');
  });

  it('exports itself and its classes for CommonJS', () => {
    expect(namespaces.namespaces).to.equal(namespaces);
    expect(namespaces).to.include.keys('NamespaceManager', 'EventRouter');
  });
});

pluginSuite('namespaces', () => namespaces({ namespaces: { '/chat': { rateLimit: { messagesPerMinute: 100, connectionsPerIP: 10 } } } }), {
  exercise: async ({ manager }, client) => {
    const chat = manager.of('/chat');
    chat.admit(async () => undefined);
    chat.on('connect', async (connection) => chat.join(connection, 'lobby'));
    chat.registerHandler('say', ({ content }) => content);
    await entered(client, '/chat');
    expect((await client.request({ type: 'say', namespace: '/chat', content: 1 })).content).to.equal(1);
  },
});
