import { expect } from 'chai';
import sinon from 'sinon';
import { init, type InitOptions } from '../../handlers/init.ts';
import { definePlugin } from '../../src/index.ts';
import { cleanup } from '../support/cleanup.ts';
import type { Client } from '../support/client.ts';
import { pluginSuite } from '../support/plugin-suite.ts';
import { start, type Started } from '../support/start.ts';
import { eventually } from '../support/timing.ts';

const welcome = async (client: Client, sessionId?: unknown) => {
  const { content } = await client.request({ type: 'init', ...(sessionId === undefined ? {} : { sessionId }) });
  return content as { connectionId: string; sessionId: string; resumed: boolean; serverTime: string; supportedTypes: string[]; features: string[] };
};

/** Resolves when a connection is gone, and its listeners were called. */
const gone = ({ manager }: Started) => new Promise<void>((resolve) => {
  const heard = (): void => {
    manager.off('connection:removed', heard);
    resolve();
  };
  manager.on('connection:removed', heard);
});

const startWith = (options: InitOptions) => start({ handlers: [], use: [init(options)] });

describe('init', () => {
  it('welcomes a client with its ids, the time, the types and the features', async () => {
    const { manager, connect } = await start();
    manager.registerHandler('chat', () => undefined);
    const client = await connect();

    const { connectionId, sessionId, resumed, serverTime, supportedTypes, features } = await welcome(client);

    expect(manager.connections.get(connectionId)?.sessionId).to.equal(sessionId);
    expect(Buffer.from(sessionId, 'base64url')).to.have.lengthOf(16);
    expect(resumed).to.equal(false);
    expect(Math.abs(Date.parse(serverTime) - Date.now())).to.be.below(60_000);
    expect(supportedTypes).to.include.members(['init', 'text', 'ping', 'chat']);
    expect(features).to.include.members(['init', 'ping']);
  });

  it('resumes the session of a client that disconnected', async () => {
    const started = await start();
    const first = await started.connect();
    const { sessionId } = await welcome(first);
    const left = gone(started);
    await first.close();
    await left;

    const again = await welcome(await started.connect(), sessionId);

    expect(again).to.include({ resumed: true, sessionId });
  });

  it('finds the session id in the content, too', async () => {
    const { connect } = await start();
    const { sessionId } = await welcome(await connect());

    const { content } = await (await connect()).request({ type: 'init', content: { sessionId } });

    expect(content).to.include({ resumed: true, sessionId });
  });

  it('replaces the older connection of a session with 4011', async () => {
    const { manager, connect } = await start();
    const older = await connect();
    const { sessionId } = await welcome(older);

    const newer = await welcome(await connect(), sessionId);

    expect(newer.resumed).to.equal(true);
    expect((await older.closed).code).to.equal(4011);
    expect([...manager.connections.values()].filter((connection) => connection.isOpen && connection.sessionId === sessionId)).to.have.lengthOf(1);
  });

  it('can be sent again on the same connection, which keeps its session', async () => {
    const { connect } = await start();
    const client = await connect();
    const { sessionId } = await welcome(client);

    const again = await welcome(client, sessionId);

    expect(again).to.include({ resumed: true, sessionId });
    expect(client.ws.readyState).to.equal(client.ws.OPEN);
  });

  it('gives a session to its own user only', async () => {
    const { connect } = await start({
      use: [{ type: 'connection', name: 'who', handler: (_ws, request) => ({ user: { id: String(request.headers['x-user']) } }) }],
    });
    const { sessionId } = await welcome(await connect({ headers: { 'x-user': 'ann' } }));

    const stolen = await welcome(await connect({ headers: { 'x-user': 'bob' } }), sessionId);

    expect(stolen.resumed).to.equal(false);
    expect(stolen.sessionId).to.not.equal(sessionId);
  });

  it('knows a session by its present user, also one who authenticated later', async () => {
    const names = definePlugin({ name: 'names', setup: (context) => context.registerHandler('login', ({ content }, connection) => {
      context.node.identify(connection, { id: content });
      return 'in';
    }) });
    const { connect } = await start({ use: [names] });
    const login = async (name: string): Promise<Client> => {
      const client = await connect();
      await client.request({ type: 'login', content: name });
      return client;
    };
    const older = await connect();
    const { sessionId } = await welcome(older);
    await older.request({ type: 'login', content: 'ann' });

    const anonymous = await welcome(await connect(), sessionId);
    const bob = await welcome(await login('bob'), sessionId);
    const ann = await welcome(await login('ann'), sessionId);

    expect([anonymous, bob, ann].map(({ resumed }) => resumed)).to.deep.equal([false, false, true]);
    expect((await older.closed).code).to.equal(4011);
  });

  it('has at most one session in use for each connection, however often it changes', async () => {
    const started = await startWith({ maxSessions: 1, sessionTimeout: 60_000 });
    const ids: string[] = [];
    for (let each = 0; each < 3; each++) {
      const left = await started.connect();
      ids.push((await welcome(left)).sessionId);
      const client = await started.connect();
      const { sessionId: own } = await welcome(client);
      let removed = gone(started);
      await left.close();
      await removed;
      const resumed = await welcome(client, ids.at(-1));
      ids.push(own);
      removed = gone(started);
      await client.close();
      await removed;
      expect(resumed.resumed).to.equal(true);
    }

    const answers = [];
    for (const id of ids) answers.push((await welcome(await started.connect(), id)).resumed);

    expect(answers, 'of those left, the last one').to.deep.equal([false, false, false, false, true, false]);
  });

  it('ignores a client that disconnected before its message was handled, and replaces no session for it', async () => {
    const started = await start();
    let release!: () => void;
    started.manager.registerHandler('slow', () => new Promise<void>((resolve) => (release = resolve)));
    const older = await started.connect();
    const { sessionId } = await welcome(older);
    const late = await started.connect();
    await Promise.all([late.send({ type: 'slow' }), late.send({ type: 'init', sessionId })]);
    await eventually('it in flight', () => started.manager.inspect().inFlight === 1);
    const left = gone(started);
    await late.close();
    await left;

    release();
    await eventually('none in flight', () => started.manager.inspect().inFlight === 0);

    expect(await welcome(older, sessionId), 'it is still its own').to.include({ resumed: true, sessionId });
    expect(older.ws.readyState).to.equal(older.ws.OPEN);
  });

  it('refuses invalid options', () => {
    for (const options of [{ sessionTimeout: NaN }, { sessionTimeout: -1 }, { maxSessions: '10' }]) {
      expect(() => init(options as InitOptions)).to.throw().with.property('code', 'OPTION_INVALID');
    }
    expect(() => init({ sesionTimeout: 5 } as InitOptions)).to.throw().with.property('code', 'OPTION_UNKNOWN');
  });

  for (const nonsense of ['unknown', '', '__proto__', 7, null, { a: 1 }, ['x']]) {
    it(`starts a new session for ${JSON.stringify(nonsense)}`, async () => {
      const { connect } = await start();

      const { content } = await (await connect()).request({ type: 'init', content: { sessionId: nonsense } });

      expect(content.resumed).to.equal(false);
      expect(content.sessionId).to.be.a('string').with.lengthOf(22);
    });
  }

  it('forgets the actor\'s own oldest session when there are too many', async () => {
    const started = await startWith({ maxSessions: 2 });
    const ids: string[] = [];
    for (let each = 0; each < 4; each++) {
      const client = await started.connect();
      ids.push((await welcome(client)).sessionId);
      const left = gone(started);
      await client.close();
      await left;
    }

    const answers = [];
    for (const id of ids) answers.push((await welcome(await started.connect(), id)).resumed);

    expect(answers).to.deep.equal([false, false, true, true]);
  });

  describe('with many visitors', () => {
    /** Visits with a session, one after the other. Returns its id. */
    const visit = async (started: Started, ip: string): Promise<string> => {
      const client = await started.connect({ headers: { 'x-forwarded-for': ip } });
      const { sessionId } = await welcome(client);
      const left = gone(started);
      await client.close();
      await left;
      return sessionId;
    };
    const isResumed = async (started: Started, ip: string, sessionId: string) =>
      (await welcome(await started.connect({ headers: { 'x-forwarded-for': ip } }), sessionId)).resumed;
    const open = (options: InitOptions) => start({ handlers: [], use: [init(options)], trustProxy: ['127.0.0.1'] });

    it('drops no session of another address, however many one address opens', async () => {
      const started = await open({ maxSessions: 100, maxSessionsPerActor: 3 });
      const honest = await visit(started, '192.0.2.1');
      const others = [];
      for (let each = 0; each < 5; each++) others.push(await visit(started, `2001:db8::${each}`));

      const kept = [];
      for (const sessionId of others) kept.push(await isResumed(started, '2001:db8::9', sessionId));

      expect(await isResumed(started, '192.0.2.1', honest)).to.equal(true);
      expect(kept).to.deep.equal([false, false, true, true, true]);
    });

    it('keeps no new session when the table is full, and drops none', async () => {
      const started = await open({ maxSessions: 3 });
      const ids = [];
      for (let each = 1; each <= 5; each++) ids.push(await visit(started, `192.0.2.${each}`));

      const answers = [];
      for (const [index, id] of ids.entries()) answers.push(await isResumed(started, `192.0.2.${index + 1}`, id));

      expect(answers).to.deep.equal([true, true, true, false, false]);
    });

    it('replaces a session that expired', async () => {
      const started = await open({ maxSessions: 1, sessionTimeout: 1_000 });
      await visit(started, '192.0.2.1');
      const now = performance.now();
      const clock = sinon.stub(performance, 'now').callsFake(() => now + 1_500);
      cleanup(() => clock.restore());

      const later = await visit(started, '192.0.2.2');

      expect(await isResumed(started, '192.0.2.2', later)).to.equal(true);
    });

    it('remembers none with maxSessions: 0', async () => {
      const started = await open({ maxSessions: 0 });
      const sessionId = await visit(started, '192.0.2.1');

      expect(await isResumed(started, '192.0.2.1', sessionId)).to.equal(false);
    });
  });

  it('drops a session that expired', async () => {
    const started = await startWith({ sessionTimeout: 1_000 });
    const client = await started.connect();
    const { sessionId } = await welcome(client);
    const left = gone(started);
    await client.close();
    await left;
    const now = performance.now();
    const clock = sinon.stub(performance, 'now').callsFake(() => now + 1_500);
    cleanup(() => clock.restore());

    const again = await welcome(await started.connect(), sessionId);

    expect(again.resumed).to.equal(false);
  });

  it('yields to a handler of the application', async () => {
    const { manager, connect } = await start();
    manager.registerHandler('init', () => ({ type: 'init', content: 'own' }));

    const { content } = await (await connect()).request({ type: 'init' });

    expect(content).to.equal('own');
  });
});

pluginSuite('init', () => init(), { options: { handlers: [] }, exercise: (_, client) => client.request({ type: 'init' }) });
