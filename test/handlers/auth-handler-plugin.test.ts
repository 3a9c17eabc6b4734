import { setImmediate as turn } from 'node:timers/promises';
import { expect } from 'chai';
import { stub, type SinonFakeTimers } from 'sinon';
import { admin } from '../../handlers/admin.ts';
import { auth, requireAuth, requireRole, type AuthOptions } from '../../handlers/auth-handler.ts';
import { definePlugin, type Connection, type ErrorContext, type Node } from '../../index.ts';
import { permissions } from '../../middleware/permissions.ts';
import { UpgradeRefused, type Client, type ConnectOptions } from '../support/client.ts';
import { pluginSuite } from '../support/plugin-suite.ts';
import { handshake, raw } from '../support/raw.ts';
import { holdTime, passUntil } from '../support/held-time.ts';
import { start, type Started, type StartOptions } from '../support/start.ts';
import { eventually } from '../support/timing.ts';
import { now, SECRET, tokenFor } from './signing.ts';

const jwtSecret = SECRET;
const bearer = (token: string): ConnectOptions => ({ headers: { authorization: `Bearer ${token}` } });

/** A server with auth, whose handler `who` answers with the user. */
async function serve(options: Partial<AuthOptions> = {}, more: StartOptions = {}): Promise<Started> {
  const started = await start({ ...more, use: [...more.use ?? [], auth({ jwtSecret, ...options })] });
  started.manager.registerHandler('who', (_message, { user }) => ({ user: user ?? null }));
  return started;
}

const who = async (client: Client) => (await client.request({ type: 'who' })).content.user as Record<string, any> | null;

/** A client that is open until a millisecond before a date, in seconds, and is closed within a second of it. */
async function expectClosedAt(time: SinonFakeTimers, client: Client, exp: number): Promise<string> {
  // Not one: `exp` has fractions of a second, which are not exact.
  await passUntil(time, exp * 1_000 - 5);
  await client.request({ type: 'who' });
  expect(client.ws.readyState, 'before').to.equal(client.ws.OPEN);
  await passUntil(time, (exp + 1) * 1_000);
  const { code, reason } = await client.closed;
  expect(code).to.equal(4001);
  return reason;
}

/** What a refused upgrade was answered. */
async function refusal(connecting: Promise<Client>): Promise<UpgradeRefused> {
  return connecting.then(() => { throw new Error('it was accepted'); }, (error: unknown) => {
    if (error instanceof UpgradeRefused) return error;
    throw error;
  });
}

/** The node, as a plugin sees it. */
function nodeOf(manager: Started['manager']): Promise<Node> {
  return new Promise((resolve) => {
    manager.use(definePlugin({ name: 'looker', setup: ({ node }) => resolve(node) }));
  });
}

describe('auth, in the upgrade', () => {
  const token = tokenFor();
  const ways: readonly (readonly [way: string, options: ConnectOptions & { search?: string }])[] = [
    ['Authorization', bearer(token)],
    ['the cookie', { headers: { cookie: `theme=dark; token=${token}` } }],
    ['a subprotocol beside a real one', { protocols: [`bearer.${token}`, 'chat'] }],
    ['the query', { search: `?token=${token}` }],
  ];
  for (const [way, options] of ways) {
    it(`takes a token from ${way}`, async () => {
      const { connect } = await serve();

      const client = await connect(options);

      expect(await who(client)).to.include({ id: 'u1' });
      expect(client.ws.protocol).to.equal(options.protocols ? 'chat' : '');
    });
  }

  it('takes the cookie that `cookie` names, and nothing from the query with `query: false`', async () => {
    const { connect } = await serve({ cookie: 'sid', query: false });

    expect(await who(await connect({ headers: { cookie: `sid=${token}` } }))).to.include({ id: 'u1' });
    expect((await refusal(connect({ headers: { cookie: `token=${token}` } }))).status).to.equal(401);
    expect((await refusal(connect({ search: `?token=${token}` }))).status).to.equal(401);
  });

  it('never echoes a token as the subprotocol, also when it is the only one', async () => {
    const { port } = await serve();
    const client = await raw({ port });

    await client.write(handshake({ port }, { headers: { 'Sec-WebSocket-Protocol': `bearer.${token}` } }));
    const answer = await client.answer();

    expect(answer?.status).to.equal(101);
    expect(answer?.head).to.not.include(token).and.to.not.match(/sec-websocket-protocol/i);
  });

  it('refuses a client without a token with 401', async () => {
    const { connect, manager } = await serve({ requireAuth: true });
    const refused: string[] = [];
    manager.on('connection:refused', ({ error }) => { refused.push(error.code); });

    const { status, body } = await refusal(connect());

    expect(status).to.equal(401);
    expect(JSON.parse(body)).to.deep.equal({ code: 'AUTH_REQUIRED', message: 'authentication is required' });
    expect(refused).to.deep.equal(['AUTH_REQUIRED']);
    expect(manager.getHealth().connections.total).to.equal(0);
  });

  it('with allowAnonymous accepts a client without a token, but none with a bad one', async () => {
    const { connect } = await serve({ allowAnonymous: true });

    expect(await who(await connect())).to.equal(null);
    for (const [, options] of [['', bearer('bad')], ['', { headers: { cookie: 'token=bad' } }], ['', { search: '?token=bad' }], ['', { protocols: ['bearer.bad', 'chat'] }]] as typeof ways) {
      const { status, body } = await refusal(connect(options));
      expect(status).to.equal(401);
      expect(body).to.include('TOKEN_INVALID');
    }
  });

  it('is loaded by its name, with options of use() or create()', async () => {
    const named = await start();
    named.manager.use('auth', { jwtSecret });
    await named.manager.ready();
    const listed = await start({ builtins: { auth: { jwtSecret } }, plugins: ['auth'] });

    for (const { connect } of [named, listed]) {
      expect((await refusal(connect())).status).to.equal(401);
      expect((await connect(bearer(token))).ws.readyState).to.equal(1);
    }
  });

  it('fails to load by its name without a way to verify tokens', async () => {
    const { manager } = await start();
    manager.on('error', () => {});

    manager.use('auth', {});

    const error = await manager.ready().then(() => undefined, (thrown: unknown) => thrown);
    expect(error).to.include({ code: 'OPTION_INVALID' }).and.to.have.nested.property('details.path', 'auth.jwtSecret');
  });

  it('asks the application once, with the request, and reports a failure in full', async () => {
    const failure = new Error('the database is down');
    const authenticate = stub();
    authenticate.onFirstCall().resolves({ id: 'db-1' });
    authenticate.onSecondCall().rejects(failure);
    const { connect, manager } = await start({ use: [auth({ authenticate })], logger: { debug() {}, info() {}, warn() {}, error() {} } });
    const errors: [Error, ErrorContext][] = [];
    manager.on('error', (...args) => { errors.push(args); });
    manager.registerHandler('who', (_message, { user }) => ({ user }));

    expect(await who(await connect({ ...bearer('opaque'), search: '?from=here' }))).to.deep.equal({ id: 'db-1', roles: [] });
    const { status, body } = await refusal(connect(bearer('opaque')));

    expect(authenticate.callCount).to.equal(2);
    expect(authenticate.firstCall.args[0]).to.equal('opaque');
    expect(authenticate.firstCall.args[1]).to.include({ url: '/ws?from=here' });
    expect(status).to.equal(401);
    expect(JSON.parse(body).code).to.equal('TOKEN_INVALID');
    expect(body).to.not.include('database');
    expect(errors).to.deep.equal([[failure, { phase: 'plugin', plugin: 'auth' }]]);
  });
});

describe('auth, by a first message', () => {
  for (const [shape, message] of [['beside the envelope', (token: string) => ({ token })], ['in the content', (token: string) => ({ content: { token } })]] as const) {
    it(`takes a token ${shape}`, async () => {
      const { connect } = await serve({ allowAnonymous: true });
      const client = await connect();
      const exp = Math.floor(now()) + 60;

      const reply = await client.request({ type: 'auth', ...message(tokenFor({ exp, username: 'Ada', role: 'admin' })) });

      expect(reply.type).to.equal('auth');
      expect(reply.content).to.deep.equal({ user: { id: 'u1', username: 'Ada', roles: ['admin'] }, expiresAt: new Date(exp * 1_000).toISOString() });
      expect(await who(client)).to.include({ id: 'u1' });
    });
  }

  it('reaches the user by sendToUser() from then on', async () => {
    const { connect, manager } = await serve({ allowAnonymous: true });
    const client = await connect();

    expect(manager.sendToUser('u1', { type: 'hello' })).to.equal(0);
    await client.request({ type: 'auth', token: tokenFor() });

    expect(manager.sendToUser('u1', { type: 'hello' })).to.equal(1);
    await client.next('hello');
  });

  it('answers a bad token with a code, and stays connected', async () => {
    const { connect } = await serve({ allowAnonymous: true });
    const client = await connect();
    const codes = [];
    for (const token of ['bad', undefined, null, 7, { a: 1 }, '', tokenFor({ exp: now() - 1 })]) codes.push((await client.request({ type: 'auth', token })).content.code);

    expect(codes).to.deep.equal([...Array<string>(6).fill('TOKEN_INVALID'), 'TOKEN_EXPIRED']);
    expect(await who(client)).to.equal(null);
  });

  it('must come first if auth is required: any other message is answered with AUTH_REQUIRED', async () => {
    const { connect } = await serve({ requireAuth: true, allowAnonymous: true });
    const client = await connect();

    for (const type of ['who', 'ping', 'init', 'unknown', 'auth:refresh', 'auth_refresh']) {
      const reply = await client.request({ type, token: tokenFor() });
      expect(reply.type).to.equal('error');
      expect(reply.content.code, type).to.equal('AUTH_REQUIRED');
    }
    await client.request({ type: 'auth', token: tokenFor() });

    expect(await who(client)).to.include({ id: 'u1' });
  });

  it('may be followed at once by messages that need it', async () => {
    const { connect } = await serve({ requireAuth: true, allowAnonymous: true, authenticate: async () => ({ name: 'Ann' }) });
    const client = await connect();

    const [, reply] = await Promise.all([client.request({ type: 'auth', token: tokenFor() }), client.request({ type: 'who' })]);

    expect(reply.content.user).to.include({ id: 'u1', name: 'Ann' });
  });

  it('may follow a rejected one, within the timeout', async () => {
    const { connect } = await serve({ requireAuth: true, allowAnonymous: true });
    const client = await connect();

    await client.request({ type: 'auth', token: 'bad' });
    await client.request({ type: 'auth', token: tokenFor() });

    expect(await who(client)).to.include({ id: 'u1' });
  });

  it('must come in time, or the connection is closed with 4001', async () => {
    const { connect, manager } = await serve({ requireAuth: true, allowAnonymous: true, authTimeout: 150 });
    const [silent, known] = await Promise.all([connect(), connect()]);
    await known.request({ type: 'auth', token: tokenFor() });

    const { code, reason } = await silent.closed;

    expect(code).to.equal(4001);
    expect(reason).to.equal('AUTH_TIMEOUT: no valid token arrived within 150 ms');
    expect(await who(known)).to.include({ id: 'u1' });
    await eventually('one connection', () => manager.getHealth().connections.active === 1);
  });

  it('ignores a client that disconnected while the application verified its token', async () => {
    let decide: ((user: object) => void) | undefined;
    const authenticate = () => new Promise<object>((resolve) => (decide = resolve));
    const { connect, manager } = await start({ use: [auth({ authenticate, allowAnonymous: true })] });
    const errors: Error[] = [];
    manager.on('error', (error) => { errors.push(error); });
    const client = await connect();
    void client.send({ type: 'auth', token: 'opaque' });
    await eventually('the question', () => decide !== undefined);

    await client.terminate();
    await eventually('no connection', () => manager.getHealth().connections.active === 0);
    decide!({ id: 'a' });
    await eventually('nothing in flight', () => manager.inspect().inFlight === 0);

    expect(errors).to.deep.equal([]);
    expect(manager.inspect().topics).to.equal(0);
  });

  it('changes nothing after it was answered HANDLER_TIMEOUT', async () => {
    const decide = new Map<string, (user: object) => void>();
    const authenticate = (token: string) => new Promise<object>((resolve) => { decide.set(token, resolve); });
    const { manager, connect } = await start({ message: { timeout: 200 }, use: [auth({ authenticate, allowAnonymous: true })] });
    manager.registerHandler('who', (_message, { user }) => ({ user }));
    const client = await connect();
    const slow = client.request({ type: 'auth', token: 'old' });
    const late = (await slow).content.code as string;
    const renewed = client.request({ type: 'auth', token: 'new' });
    await eventually('the second asked for', () => decide.has('new'));
    decide.get('new')!({ id: 'ann', roles: ['newer'] });
    await renewed;

    decide.get('old')!({ id: 'ann', roles: ['older'] });
    await turn();

    expect(late).to.equal('HANDLER_TIMEOUT');
    expect(await who(client)).to.deep.include({ id: 'ann', roles: ['newer'] });
  });

  it('cannot change the user of a connection', async () => {
    const { connect } = await serve();
    const client = await connect(bearer(tokenFor()));

    const reply = await client.request({ type: 'auth', token: tokenFor({ sub: 'u2' }) });

    expect(reply.content.code).to.equal('USER_MISMATCH');
    expect(await who(client)).to.include({ id: 'u1' });
  });
});

describe('auth, in time', () => {
  it('closes with 4001 within a second of exp', async () => {
    const time = holdTime();
    const { connect } = await serve();
    const exp = now() + 60;

    const client = await connect(bearer(tokenFor({ exp })));

    expect(await expectClosedAt(time, client, exp)).to.equal('TOKEN_EXPIRED: the token is expired');
  });

  it('closes at exp a client that authenticated by message', async () => {
    const time = holdTime();
    const { connect } = await serve({ allowAnonymous: true });
    const client = await connect();
    const exp = now() + 60;

    await client.request({ type: 'auth', token: tokenFor({ exp }) });

    await expectClosedAt(time, client, exp);
  });

  it('lets a client stay for clockTolerance', async () => {
    const time = holdTime();
    const { connect } = await serve({ clockTolerance: 400 });
    const exp = now() - 0.1;

    const client = await connect(bearer(tokenFor({ exp })));

    await expectClosedAt(time, client, exp + 0.4);
  });

  it('closes a client whose token expired during slower layers', async () => {
    const time = holdTime();
    const slow = { type: 'connection' as const, name: 'slow', handler: () => time.tickAsync(1_500).then(() => undefined) };
    const { connect } = await serve({}, { use: [slow] });
    const client = await connect(bearer(tokenFor({ exp: now() + 1 })));

    await time.tickAsync(1_000);

    expect((await client.closed).code).to.equal(4001);
  });

  it('keeps a client whose token lasts longer than 24.8 days', async () => {
    const { connect, manager } = await serve();
    const client = await connect(bearer(tokenFor({ exp: now() + 60 * 86_400 })));

    expect(await who(client)).to.include({ id: 'u1' });
    expect(await who(client)).to.include({ id: 'u1' });
    expect(manager.inspect().deadlines).to.equal(1);
  });

  it('replaces the deadline when the token is renewed, without a new connection', async () => {
    const time = holdTime();
    const { connect } = await serve();
    const client = await connect(bearer(tokenFor({ exp: now() + 30, roles: ['admin'] })));
    const exp = now() + 80;

    const reply = await client.request({ type: 'auth:refresh', token: tokenFor({ exp, roles: ['guest'] }) });

    expect(reply.type).to.equal('auth:refresh');
    expect(reply.content).to.deep.equal({ user: { id: 'u1', roles: ['guest'] }, expiresAt: new Date(exp * 1_000).toISOString() });
    await expectClosedAt(time, client, exp);
  });

  it('has the new claims after a renewal, and no deadline when the new token has none', async () => {
    const { connect, manager } = await serve({ requireExpiry: false }, { message: { timeout: 50 } });
    const client = await connect(bearer(tokenFor({ roles: ['admin'] })));

    const reply = await client.request({ type: 'auth:refresh', content: { token: tokenFor({ exp: undefined, name: 'Ann' }) } });

    expect(reply.content).to.deep.equal({ user: { id: 'u1', roles: [] } });
    expect(await who(client)).to.include({ name: 'Ann' });
    await eventually('no deadline', () => manager.inspect().deadlines === 0);
  });

  it('keeps the old deadline when the new token is bad or another user\'s', async () => {
    const time = holdTime();
    const { connect } = await serve();
    const exp = now() + 60;
    const client = await connect(bearer(tokenFor({ exp })));

    const codes = [];
    for (const token of ['bad', tokenFor({ sub: 'u2' }), undefined]) codes.push((await client.request({ type: 'auth:refresh', token })).content.code);

    expect(codes).to.deep.equal(['TOKEN_INVALID', 'USER_MISMATCH', 'TOKEN_INVALID']);
    await expectClosedAt(time, client, exp);
  });

  for (const type of ['auth', 'auth:refresh']) {
    it(`refuses a token that is older than the one in use, by ${type}: its roles do not come back`, async () => {
      const { connect } = await serve();
      const iat = Math.floor(now());
      const client = await connect(bearer(tokenFor({ iat, roles: ['guest'] })));
      const codes = [];

      for (const older of [{ iat: iat - 1 }, { iat: undefined }, { iat: Date.now() }]) {
        codes.push((await client.request({ type, token: tokenFor({ ...older, roles: ['admin'] }) })).content.code);
      }

      expect(codes).to.deep.equal(Array(3).fill('TOKEN_OUTDATED'));
      expect(await who(client)).to.deep.include({ roles: ['guest'], iat });
      expect((await client.request({ type, token: tokenFor({ iat, roles: ['member'] }) })).content.user.roles, 'of the same second').to.deep.equal(['member']);
    });
  }

  it('refuses the older of two tokens that are verified at the same time, whichever is verified first', async () => {
    const decide = new Map<string, () => void>();
    const authenticate = (token: string) => new Promise<object>((resolve) => {
      decide.set(token, () => { resolve({ id: 'ann', iat: token === 'newer' ? 2 : 1, roles: [token] }); });
    });
    const { connect, manager } = await start({ message: { concurrency: 2 }, use: [auth({ authenticate, allowAnonymous: true })] });
    manager.registerHandler('who', (_message, { user }) => ({ user }));
    const client = await connect();
    const replies = ['older', 'newer'].map((token) => client.request({ type: 'auth', token }));
    await eventually('both', () => decide.size === 2);

    decide.get('newer')!();
    await replies[1];
    decide.get('older')!();

    expect((await replies[0]!).content.code).to.equal('TOKEN_OUTDATED');
    expect(await who(client)).to.deep.include({ roles: ['newer'] });
  });

  it('does not renew the token of an anonymous connection', async () => {
    const { connect } = await serve({ allowAnonymous: true });
    const client = await connect();

    const reply = await client.request({ type: 'auth:refresh', token: tokenFor() });

    expect(reply.content.code).to.equal('AUTH_REQUIRED');
    expect(await who(client)).to.equal(null);
  });
});

describe('auth, revoked', () => {
  it('closes every connection of a user at once, and refuses its tokens later', async () => {
    const { connect, manager } = await serve();
    const token = tokenFor({ iat: Math.floor(now()) - 5 });
    const [one, two, other] = await Promise.all([connect(bearer(token)), connect(bearer(token)), connect(bearer(tokenFor({ sub: 'u2' })))]);

    expect(manager.api('auth').revoke('u1')).to.equal(2);

    for (const client of [one, two]) expect(await client.closed).to.deep.equal({ code: 4001, reason: 'TOKEN_REVOKED: the token is revoked' });
    expect((await refusal(connect(bearer(token)))).body).to.include('TOKEN_REVOKED');
    expect((await other.request({ type: 'auth:refresh', token: tokenFor({ sub: 'u2' }) })).type).to.equal('auth:refresh');
  });

  it('accepts the user with a newer token', async () => {
    const { connect, manager } = await serve();
    manager.api('auth').revoke('u1');

    const client = await connect(bearer(tokenFor({ iat: Math.floor(now()) + 1 })));

    expect(await who(client)).to.include({ id: 'u1' });
  });

  it('closes the connection of a token by its jti, and none of the user\'s others', async () => {
    const { connect, manager } = await serve({ allowAnonymous: true });
    const stolen = tokenFor({ jti: 'j1' });
    const [thief, owner, later] = await Promise.all([connect(bearer(stolen)), connect(bearer(tokenFor({ jti: 'j2' }))), connect()]);

    expect(manager.api('auth').revoke('j1')).to.equal(1);

    expect((await thief.closed).code).to.equal(4001);
    expect((await later.request({ type: 'auth', token: stolen })).content.code).to.equal('TOKEN_REVOKED');
    expect((await owner.request({ type: 'auth:refresh', token: stolen })).content.code).to.equal('TOKEN_REVOKED');
    expect(await who(owner)).to.include({ jti: 'j2' });
  });

  it('closes by the jti of the token in use, not of the one before it', async () => {
    const { connect, manager } = await serve();
    const client = await connect(bearer(tokenFor({ jti: 'old' })));
    await client.request({ type: 'auth:refresh', token: tokenFor({ jti: 'new' }) });

    expect(manager.api('auth').revoke('old')).to.equal(0);
    expect(manager.api('auth').revoke('new')).to.equal(1);
  });

  it('closes a client that was revoked between its upgrade and its connection', async () => {
    const { connect, manager } = await serve();
    manager.use({ type: 'connection', name: 'late', handler: () => void manager.api('auth').revoke('u1') });
    await manager.ready();

    const client = await connect(bearer(tokenFor()));

    expect((await client.closed).reason).to.include('TOKEN_REVOKED');
  });

  it('verifies tokens for plugins that require it', async () => {
    let verified: unknown;
    const page = definePlugin({ name: 'page', requires: ['auth'], setup: async (_context, apis) => { verified = await apis.auth.verify(tokenFor()); } });

    const { manager } = await serve();
    manager.use(page);
    await manager.ready();

    expect(verified).to.include({ id: 'u1' });
  });
});

describe('auth, loaded late and unloaded', () => {
  it('keeps nothing of closed connections', async () => {
    const { connect, manager } = await serve({ allowAnonymous: true, requireAuth: true });
    const before = manager.inspect();
    const clients = await Promise.all(Array.from({ length: 20 }, (_, index) => connect(index % 2 ? bearer(tokenFor({ sub: `u${index}` })) : {})));
    const metrics = manager.getMetrics().plugins.auth!;
    expect(metrics).to.deep.equal({ auth_connections: 10, auth_waiting: 10, auth_revocations: 0 });

    await Promise.all(clients.map((client, index) => (index % 3 ? client.close() : client.terminate())));
    await eventually('no connection', () => manager.getHealth().connections.active === 0);

    expect(manager.inspect()).to.deep.equal(before);
    expect(manager.getMetrics().plugins.auth).to.deep.equal({ auth_connections: 0, auth_waiting: 0, auth_revocations: 0 });
  });

  it('applies to connections from before it was loaded', async () => {
    const { connect, manager } = await start();
    const client = await connect();

    manager.use(auth({ jwtSecret, requireAuth: true, authTimeout: 150 }));
    await manager.ready();

    expect((await client.request({ type: 'ping' })).content.code).to.equal('AUTH_REQUIRED');
    expect((await client.closed).code).to.equal(4001);
  });

  it('closes at exp a user that another plugin identified', async () => {
    const { connect, manager } = await serve({ allowAnonymous: true });
    const node = await nodeOf(manager);
    const added = new Promise<Connection>((resolve) => manager.on('connection:added', resolve));
    const client = await connect();

    node.identify(await added, { id: 'x', exp: now() + 0.1 });

    expect((await client.closed).code).to.equal(4001);
  });

  it('disconnects no client when it is unloaded', async () => {
    const time = holdTime();
    const { connect, manager } = await serve({ requireAuth: true, allowAnonymous: true, authTimeout: 5_000 });
    const [known, silent] = await Promise.all([connect(bearer(tokenFor({ exp: now() + 5 }))), connect()]);

    await manager.unload('auth');
    // Both deadlines would have been by then.
    await time.tickAsync(8_000);

    expect(await who(known)).to.include({ id: 'u1' });
    expect(await who(silent)).to.equal(null);
  });

  it('removes its users when it is unloaded: guards and admin see anonymous connections', async () => {
    const { connect, manager } = await serve({ allowAnonymous: true }, { use: [permissions(), admin(), requireAuth({ types: ['say'] }), requireRole('admin', { types: ['rule'] })] });
    for (const type of ['say', 'rule']) manager.registerHandler(type, () => 'done');
    const client = await connect();
    await client.request({ type: 'auth', token: tokenFor({ role: 'admin' }) });
    const before = await Promise.all(['say', 'rule', 'admin-stats'].map((type) => client.request({ type })));

    await manager.unload('auth');
    const after = await Promise.all(['say', 'rule', 'admin-stats'].map((type) => client.request({ type })));

    expect(before.map(({ type }) => type)).to.not.include('error');
    expect(after.map(({ content }) => content.code)).to.deep.equal(Array(3).fill('AUTH_REQUIRED'));
    expect(await who(client)).to.equal(null);
    expect(await manager.api('admin').kick({ connectionId: [...manager.connections.keys()][0]! })).to.deep.equal({ closed: 1 });
  });

  it('makes a client authenticate again when the plugin that gave its user is unloaded', async () => {
    const login = definePlugin({ name: 'login', setup: (context) => context.use({
      type: 'message', handler: (message, connection, next) => {
        if (message.type !== 'auth' || message.payload.token !== 'of login') return next();
        context.node.identify(connection, { id: 'u1', exp: now() + 600 });
        return 'in';
      },
    }) });
    const { connect, manager } = await serve({ allowAnonymous: true, requireAuth: true, authTimeout: 200 });
    manager.use(login);
    await manager.ready();
    const client = await connect();
    await client.request({ type: 'auth', token: 'of login' });
    expect(await who(client)).to.include({ id: 'u1' });

    await manager.unload('login');

    expect(manager.getMetrics().plugins.auth).to.include({ auth_connections: 0, auth_waiting: 1 });
    expect(manager.broadcast({ type: 'for users' })).to.equal(0);
    expect((await client.request({ type: 'who' })).content.code).to.equal('AUTH_REQUIRED');
    expect((await client.closed).reason).to.include('AUTH_TIMEOUT');
  });

  pluginSuite('auth', () => auth({ jwtSecret, requireAuth: true, allowAnonymous: true }), {
    // The kernel watches a handler that was not done at once until this is over.
    options: { message: { timeout: 50 } },
    exercise: async ({ connect, manager }) => {
      const client = await connect(bearer(tokenFor()));
      await client.request({ type: 'auth:refresh', token: tokenFor() });
      manager.api('auth').revoke('u1');
      await client.closed;
      await eventually('the client that waits, alone', () => manager.getHealth().connections.active <= 1 && manager.inspect().deadlines! <= 1);
      // Node tells a turn later that a timer is gone.
      await turn();
      await turn();
    },
  });
});

describe('a client that must still authenticate', () => {
  it('gets nothing that is broadcast or published before', async () => {
    const { manager, connect } = await start({ use: [auth({ jwtSecret, allowAnonymous: true, requireAuth: true })] });
    const client = await connect();
    const [id] = [...manager.connections.keys()];
    manager.subscribe(id!, 'news');

    const before = [manager.broadcast({ type: 'early' }), manager.publish('news', { type: 'early' })];
    await client.request({ type: 'auth', token: tokenFor() });
    const after = [manager.broadcast({ type: 'late' }), manager.publish('news', { type: 'late' })];
    await client.request({ type: 'ping' });

    expect(before).to.deep.equal([0, 0]);
    expect(after).to.deep.equal([1, 1]);
    expect(client.messages.map(({ type }) => type)).to.deep.equal(['auth', 'late', 'late', 'pong']);
  });
});
