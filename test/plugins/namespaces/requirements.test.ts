import { expect } from 'chai';
import sinon from 'sinon';
import { definePlugin, ModuleError, type Connection, type User } from '../../../index.ts';
import { NamespaceRequirements } from '../../../plugins/namespaces/namespace-requirements.ts';
import { cleanup } from '../../support/cleanup.ts';
import { eventually } from '../../support/timing.ts';
import { code, enter, entered, gate, serve } from './entering.ts';

describe('the requirements of a namespace', () => {
  it('let any client in by default', async () => {
    const { manager, connect } = await serve();
    manager.of('/lobby', { auth: { required: false } });

    await entered(await connect(), '/lobby');
  });

  it('let only users in with auth.required', async () => {
    const { manager, connect, as } = await serve();
    manager.of('/members', { auth: { required: true } });

    expect(await code(enter(await connect(), '/members'))).to.equal('AUTH_REQUIRED');
    await entered(await as('ann'), '/members');
  });

  it('let only users in that have one of auth.roles', async () => {
    const { manager, connect, as } = await serve();
    manager.of('/admin', { auth: { roles: ['admin', 'moderator'] } });

    expect(await code(enter(await connect(), '/admin'))).to.equal('AUTH_REQUIRED');
    const refused = await enter(await as('eve', 'user'), '/admin');
    expect(refused.content).to.include({ code: 'FORBIDDEN', message: 'this needs the role "admin" or "moderator"' });
    await entered(await as('ann', 'user,moderator'), '/admin');
  });

  it('compare whole roles, also where the roles of a user are a string', () => {
    const admins = new NamespaceRequirements('/admin', { auth: { roles: ['admin'] } });
    const attempt = (roles: unknown) => () => admins.require({ user: { id: 'eve', roles } } as unknown as Connection);

    for (const roles of ['admin', 'not-admin', ['not-admin'], [['admin']], { 0: 'admin' }, undefined]) {
      expect(attempt(roles), JSON.stringify(roles)).to.throw().with.property('code', 'FORBIDDEN');
    }
    expect(attempt(['user', 'admin'])).to.not.throw();
  });

  it('are checked before the checks of the application', async () => {
    const { manager, connect } = await serve();
    const check = sinon.spy();
    manager.of('/admin', { auth: { required: true } }).admit(check);

    await enter(await connect(), '/admin');

    sinon.assert.notCalled(check);
  });

  it('are checked again when the roles of a user change, for members and for connections that are entering', async () => {
    let identify!: (connection: Connection, user: User) => void;
    const identifier = definePlugin({ name: 'identifier', setup: ({ node }) => { identify = (connection, user) => node.identify(connection, user); } });
    const { manager, as } = await serve({}, { use: [identifier] });
    const [admin, slow] = ['/admin', '/slow'].map((name) => manager.of(name, { auth: { roles: ['admin'] } }));
    manager.of('/chat');
    const wait = gate();
    const asked = sinon.spy(async () => wait.opened);
    slow!.admit(asked);
    const client = await entered(await as('ann', 'admin'), '/chat', '/admin');
    const [connection] = manager.connections.values();
    const refused = code(enter(client, '/slow'));
    await eventually('the check to be asked', () => asked.called);

    identify(connection!, { id: 'ann', roles: ['admin', 'user'] });
    expect(admin!.connections.size).to.equal(1);
    identify(connection!, { id: 'ann', roles: ['user'] });
    wait.open();

    expect((await client.next('disconnected')).content).to.deep.equal({ namespace: '/admin', reason: 'FORBIDDEN' });
    expect(await refused).to.equal('FORBIDDEN');
    expect([...connection!.namespaces!]).to.deep.equal(['/chat']);
  });
});

describe('connectionsPerIP', () => {
  it('limits the connections of one address, and does not count those that left', async () => {
    const { manager, connect } = await serve();
    manager.of('/chat', { rateLimit: { connectionsPerIP: 2 } });
    manager.of('/game');
    const [first, second, third] = [await connect(), await connect(), await connect()];
    await entered(first, '/chat');
    await entered(second, '/chat');

    const refused = await enter(third, '/chat');

    expect(refused.content).to.include({ code: 'TOO_MANY_CONNECTIONS', scope: 'address', limit: 2 });
    await entered(third, '/game');
    await first.request({ type: 'disconnect', namespace: '/chat' });
    await entered(third, '/chat');
    await second.close();
    await eventually('the connection to close', () => manager.connections.size === 2);
    await entered(first, '/chat');
    expect(await code(enter(await connect(), '/chat'))).to.equal('TOO_MANY_CONNECTIONS');
  });

  it('counts connections that are entering, and does not count those that were refused', async () => {
    const { manager, connect } = await serve();
    const chat = manager.of('/chat', { rateLimit: { connectionsPerIP: 1 } });
    const wait = gate();
    const asked = sinon.spy(async () => wait.opened);
    const undo = chat.admit(asked);
    const [first, second] = [await connect(), await connect()];
    const answer = code(enter(first, '/chat'));
    await eventually('the check to be asked', () => asked.called);

    expect(await code(enter(second, '/chat'))).to.equal('TOO_MANY_CONNECTIONS');
    wait.fail(new ModuleError('NO'));
    expect(await answer).to.equal('NO');
    undo();
    await entered(second, '/chat');
  });
});

describe('connectionsPerIP over a unix socket', () => {
  it('does not count connections, whose address is unknown', () => {
    const bounded = new NamespaceRequirements('/chat', { rateLimit: { connectionsPerIP: 1 } });

    for (const id of ['a', 'b']) expect(() => bounded.reserve({ id, ip: '' } as Connection)).to.not.throw();
  });
});

describe('messagesPerMinute', () => {
  it('limits the messages of a connection, separately from attempts to enter and from other namespaces', async () => {
    const { manager, connect } = await serve();
    for (const name of ['/chat', '/game']) manager.of(name, { rateLimit: { messagesPerMinute: 3 } }).registerHandler('say', () => 'said');
    const client = await entered(await connect(), '/chat', '/game');
    const say = (namespace: string) => client.request({ type: 'say', namespace });

    const answers = [await say('/chat'), await say('/chat'), await say('/chat'), await say('/chat'), await say('/game')];

    expect(answers.map(({ content }) => content.code ?? content)).to.deep.equal(['said', 'said', 'said', 'RATE_LIMITED', 'said']);
    expect(answers[3]!.content).to.include({ scope: 'namespace /chat' });
    expect(answers[3]!.content.retryAfter).to.be.within(10_000, 20_000);
  });

  it('is not reset by leaving and entering again, and limits the attempts to enter', async () => {
    const { manager, connect } = await serve();
    const chat = manager.of('/chat', { rateLimit: { messagesPerMinute: 3 } });
    chat.registerHandler('say', () => 'said');
    const asked = sinon.spy();
    chat.admit(asked);
    const client = await entered(await connect(), '/chat');
    const answers: unknown[] = [];

    for (let n = 0; n < 4; n++) {
      const { content } = await client.request({ type: 'say', namespace: '/chat' });
      await client.request({ type: 'disconnect', namespace: '/chat' });
      answers.push(content.code ?? content, await code(enter(client, '/chat')));
    }

    expect(answers).to.deep.equal(['said', undefined, 'said', undefined, 'said', 'RATE_LIMITED', 'NAMESPACE_NOT_JOINED', 'RATE_LIMITED']);
    sinon.assert.calledThrice(asked);
  });

  it('lets so many messages a minute pass in the long run, and tells when the next one may pass', () => {
    const clock = sinon.useFakeTimers({ now: 1_000_000, toFake: ['performance'] });
    cleanup(() => clock.restore());
    const connection = {} as Connection;
    const rated = new NamespaceRequirements('/chat', { rateLimit: { messagesPerMinute: 90 } });
    const passes = (): number => {
      try {
        rated.chargeMessage(connection);
        return 0;
      } catch (error) {
        return (error as { details: { retryAfter: number } }).details.retryAfter;
      }
    };
    let passed = 0;
    while (passes() === 0) passed++;
    expect(passed).to.equal(90);

    const wait = passes();
    clock.tick(wait - 1);
    expect(passes()).to.equal(1);
    clock.tick(1);
    expect(passes()).to.equal(0);
    for (let second = 0; second < 600; second++) {
      clock.tick(1_000);
      while (passes() === 0) passed++;
    }
    expect(passed).to.be.within(989, 991);
  });
});
