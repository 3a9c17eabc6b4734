import { generateKeyPairSync } from 'node:crypto';
import { expect } from 'chai';
import { auth, AuthHandler, type AuthOptions } from '../../handlers/auth-handler.ts';
import { AUTH_DEFAULTS } from '../../handlers/auth-handler/auth-options.ts';
import { definePlugin, type LogLevel } from '../../index.ts';
import { UpgradeRefused, type Client, type ConnectOptions } from '../support/client.ts';
import { handshake, raw } from '../support/raw.ts';
import { holdTime } from '../support/held-time.ts';
import { start, type Started } from '../support/start.ts';
import { craft, ec, now, pem, rsa, SECRET, tokenFor } from './signing.ts';

const HOUR = 3_600_000;
const bearer = (token: string): ConnectOptions => ({ headers: { authorization: `Bearer ${token}` } });
const who = async (client: Client) => (await client.request({ type: 'who' })).content.user as string | null;

async function serve(options: Partial<AuthOptions>): Promise<Started> {
  const started = await start({ use: [auth({ jwtSecret: SECRET, allowAnonymous: true, ...options })] });
  started.manager.registerHandler('who', (_message, { user }) => ({ user: user?.id ?? null }));
  return started;
}

/** Every way a request can carry a token. */
const CARRIERS: Readonly<Record<string, (token: string) => ConnectOptions & { search?: string }>> = {
  'Authorization': bearer,
  'a cookie': (token) => ({ headers: { cookie: `token=${token}` } }),
  'a subprotocol': (token) => ({ protocols: [`bearer.${token}`, 'chat'] }),
  'the query': (token) => ({ search: `?token=${token}` }),
};

/** What came of a token sent in each way there is: a refusal each, or what it got through. */
async function tryAll({ connect }: Started, token: string, good: string): Promise<Record<string, string>> {
  const outcomes: Record<string, string> = {};
  for (const [way, carry] of Object.entries(CARRIERS)) {
    outcomes[way] = await connect(carry(token)).then((client) => `connected, ${client.ws.protocol}`, (error: unknown) => (error instanceof UpgradeRefused ? String(error.status) : String(error)));
  }
  const [anonymous, known] = await Promise.all([connect(), connect(bearer(good))]);
  outcomes['a message'] = (await anonymous.request({ type: 'auth', token })).content.code ?? 'accepted';
  outcomes['a renewal'] = (await known.request({ type: 'auth:refresh', token })).content.code ?? 'accepted';
  expect(await who(anonymous), 'after a bad message').to.equal(null);
  expect(await who(known), 'after a bad renewal').to.equal('u1');
  await Promise.all([anonymous.close(), known.close()]);
  return outcomes;
}

const refusedWith = (code: string, status = '401') =>
  ({ 'Authorization': status, 'a cookie': status, 'a subprotocol': status, 'the query': status, 'a message': code, 'a renewal': code });

interface Row {
  readonly what: string;
  readonly token: () => string;
  readonly options?: Partial<AuthOptions>;
  /** A token that the same server takes. */
  readonly good?: () => string;
  readonly code?: string;
  readonly status?: string;
}

const attacker = generateKeyPairSync('rsa', { modulusLength: 2_048 });
const claims = (more: object = {}) => ({ sub: 'admin', iat: Math.floor(now()), exp: now() + 600, ...more });
const withRsa: Pick<Row, 'options' | 'good'> = {
  options: { jwtSecret: pem(rsa.publicKey), algorithms: ['RS256'] },
  good: () => tokenFor({}, rsa.privateKey, { algorithm: 'RS256' }),
};
const picky: Pick<Row, 'options' | 'good'> = {
  options: { issuer: ['https://login.example.com', 'https://sso.example.com'], audience: 'chat' },
  good: () => tokenFor({ iss: 'https://sso.example.com', aud: ['mail', 'chat'] }),
};

const MATRIX: readonly Row[] = [
  { what: 'alg none, without a signature', token: () => craft({ alg: 'none', typ: 'JWT' }, claims()) },
  { what: 'alg none in other letters, with the signature of another token', token: () => craft({ alg: 'nOnE' }, claims(), undefined, tokenFor().split('.')[2]) },
  { what: 'HS256 by the public key of a server that takes RS256', token: () => craft({ alg: 'HS256' }, claims(), pem(rsa.publicKey)), ...withRsa },
  { what: 'HS512 where HS256 is taken, by the right secret', token: () => tokenFor({}, SECRET, { algorithm: 'HS512' }) },
  { what: 'a signature by a weak secret that was guessed', token: () => tokenFor({}, 'secret') },
  { what: 'no exp', token: () => tokenFor({ exp: undefined }) },
  { what: 'an exp that is a text', token: () => tokenFor({ exp: String(now() + 600) }) },
  { what: 'an exp beyond all dates', token: () => craft({ alg: 'HS256' }, '{"sub":"admin","exp":1e999}', SECRET) },
  { what: 'an exp in the past', token: () => tokenFor({ exp: now() - 1 }), code: 'TOKEN_EXPIRED' },
  { what: 'an nbf in the future', token: () => tokenFor({ nbf: now() + 5 }) },
  { what: 'another issuer', token: () => tokenFor({ iss: 'https://login.example.com.evil', aud: 'chat' }), ...picky },
  { what: 'another audience', token: () => tokenFor({ iss: 'https://login.example.com', aud: ['mail'] }), ...picky },
  { what: 'an unknown crit', token: () => tokenFor({}, SECRET, { header: { alg: 'HS256', crit: ['http://example.invalid/unknown'], 'http://example.invalid/unknown': true } as never }) },
  { what: 'a kid that is a path to an empty file', token: () => tokenFor({}, '', { header: { alg: 'HS256', kid: '../../../../../../dev/null' } }) },
  { what: 'a kid that is SQL', token: () => tokenFor({}, 'x', { header: { alg: 'HS256', kid: '\' UNION SELECT \'x\' --' } }) },
  { what: 'a key of its own in the header', token: () => craft({ alg: 'RS256', jwk: attacker.publicKey.export({ format: 'jwk' }), jku: 'http://127.0.0.1:1/keys' }, claims(), attacker.privateKey), ...withRsa },
  { what: '12 KB', token: () => tokenFor({ padding: 'x'.repeat(9_000) }) },
  { what: '100 KB', token: () => tokenFor({ padding: 'x'.repeat(75_000) }), status: '431' },
  { what: 'the end cut off', token: () => tokenFor().slice(0, -1) },
  { what: 'the signature cut off', token: () => tokenFor().split('.').slice(0, 2).join('.') },
  { what: 'claims exchanged under the signature', token: () => tokenFor().replace(/\.[^.]+\./, `.${Buffer.from(JSON.stringify(claims())).toString('base64url')}.`) },
  { what: 'ES256 by the key of another, where RS256 is taken', token: () => craft({ alg: 'ES256' }, claims(), ec.privateKey), ...withRsa },
];

describe('HOSTILE 6: a socket that does not authenticate', () => {
  it('HOSTILE 6: is closed with 4001 within authTimeout and 0.2 s, whatever else it sends', async () => {
    const time = holdTime();
    const { connect } = await serve({ requireAuth: true, authTimeout: 3_000 });
    const [silent, talking] = await Promise.all([connect(), connect()]);
    for (let each = 0; each < 59; each++) {
      await time.tickAsync(50);
      await talking.request({ type: 'auth', token: 'bad' });
    }
    expect([silent, talking].map(({ ws }) => ws.readyState), 'before').to.deep.equal([1, 1]);

    await time.tickAsync(50 + 200);

    const closings = await Promise.all([silent.closed, talking.closed]);
    expect(closings.map(({ code }) => code)).to.deep.equal([4001, 4001]);
  });

  it('HOSTILE 6: has 10 s by default', () => {
    expect(AUTH_DEFAULTS.authTimeout).to.equal(10_000);
  });
});

describe('HOSTILE 17: tokens', () => {
  for (const { what, token, options = {}, good = tokenFor, code = 'TOKEN_INVALID', status } of MATRIX) {
    it(`HOSTILE 17: ${what}: refused in every way a token can come, also where anonymous clients are allowed`, async () => {
      const server = await serve(options);

      const answers = await tryAll(server, token(), good());
      // Node answers 431 and ends the connection: a client that is still writing may find only the end.
      const ends = Object.entries(answers).map(([way, answer]) => [way, status === '431' && answer.includes('ECONNRESET') ? '431' : answer]);

      expect(Object.fromEntries(ends)).to.deep.equal(refusedWith(code, status));
    });
  }

  it('HOSTILE 17: expired while connected: closed within a second of exp, and not before', async () => {
    const time = holdTime();
    const { connect } = await serve({});
    const client = await connect(bearer(tokenFor({ exp: now() + 10 })));
    await time.tickAsync(9_990);
    expect(await who(client), 'before').to.equal('u1');

    await time.tickAsync(1_010);

    expect((await client.closed).code).to.equal(4001);
  });

  it('HOSTILE 17: renewed in time: closed at the exp of the new token, not of the old one', async () => {
    const time = holdTime();
    const { connect } = await serve({});
    const client = await connect(bearer(tokenFor({ exp: now() + 3 })));

    await client.request({ type: 'auth:refresh', token: tokenFor({ exp: now() + 7 }) });
    await time.tickAsync(6_990);
    expect(await who(client), 'after the first exp').to.equal('u1');
    await time.tickAsync(1_010);

    expect((await client.closed).code).to.equal(4001);
  });

  for (const [what, id] of [['a user', 'u1'], ['a jti', 'j1']] as const) {
    it(`HOSTILE 17: ${what} revoked: closed at once, and refused in every way afterwards`, async () => {
      const time = holdTime();
      const server = await serve({});
      const token = tokenFor({ jti: 'j1', iat: Math.floor(now()) - 1 });
      const client = await server.connect(bearer(token));

      // No time passes until it is closed.
      server.manager.api('auth').revoke(id);
      const { code } = await client.closed;
      time.restore();

      expect(code).to.equal(4001);
      const newer = tokenFor({ jti: 'j2', iat: Math.floor(now()) + 1 });
      expect(await tryAll(server, token, newer)).to.deep.equal(refusedWith('TOKEN_REVOKED'));
    });
  }

  it('HOSTILE 17: a weak secret causes a warning at construction', () => {
    const warnings: string[] = [];

    new AuthHandler({ jwtSecret: 'secret' }, { after: () => () => {}, warn: (text) => warnings.push(text), failed: () => {} });

    expect(warnings).to.have.lengthOf(1);
  });

  it('HOSTILE 17: the matrix has at least 18 rows', () => {
    expect(MATRIX.length).to.be.at.least(18);
  });
});

describe('HOSTILE 15: tokens in logs', () => {
  it('HOSTILE 15: appear in no line at level debug, however they come and whether they are accepted or not', async () => {
    const lines: string[] = [];
    const keep = (line: string) => { lines.push(line); };
    const logger: Record<LogLevel, (line: string) => void> = { debug: keep, info: keep, warn: keep, error: keep };
    const careless = definePlugin({
      name: 'careless',
      setup(context) {
        context.use({ type: 'upgrade', handler: ({ url }) => context.log.info(`upgrade of ${url}`, { url }) });
        context.use({ type: 'connection', handler: (_ws, { url }) => context.log.info(`connection of ${url}`, { url }) });
      },
    });
    const authenticate = (token: string) => { if (token.length % 2) throw new Error(`no user has the token ${token}`); return { name: 'Ann' }; };
    const tokens = [tokenFor({ name: 'a' }), tokenFor({ name: 'ab' }), tokenFor({ name: 'abc' }), tokenFor({ exp: now() - 1 }), tokenFor({}, 'wrong'), 'opaque-and-secret'];
    const { connect, manager, port } = await start({ use: [careless, auth({ jwtSecret: SECRET, authenticate, allowAnonymous: true })], logger, logLevel: 'debug' });

    for (const token of tokens) {
      for (const carry of Object.values(CARRIERS)) await connect(carry(token)).catch(() => {});
      for (const search of [`?a=1&token=${token}`, `?TOKEN=${token}&token=${token}`]) {
        const client = await raw({ port });
        await client.write(handshake({ port, path: `/ws${search}` }));
        await client.answer();
        client.reset();
      }
      const client = await connect();
      await client.request({ type: 'auth', token });
      await client.request({ type: 'auth:refresh', token });
    }
    manager.api('auth').revoke('u1');

    expect(lines.filter((line) => line.includes('token=[redacted]'))).to.not.be.empty;
    expect(lines.filter((line) => line.includes('no user has the token [redacted]'))).to.not.be.empty;
    const signatures = tokens.map((token) => token.split('.')[2] ?? token);
    expect(lines.filter((line) => signatures.some((signature) => line.includes(signature)))).to.deep.equal([]);
  });
});

describe('HOSTILE 26: the date jumps', () => {
  for (const [direction, jump] of [['forward', HOUR], ['back', -HOUR]] as const) {
    it(`HOSTILE 26: an hour ${direction}: no client is disconnected before its token expires`, async () => {
      const time = holdTime();
      const { connect, manager } = await serve({});
      const removed: number[] = [];
      manager.on('connection:removed', (_connection, { code }) => { removed.push(code); });
      const clients = await Promise.all([connect(bearer(tokenFor({ exp: now() + 600 }))), connect(bearer(tokenFor({ exp: now() + 30 * 86_400 })))]);
      const witness = await connect(bearer(tokenFor({ exp: now() + 10 })));

      time.setSystemTime(Date.now() + jump);
      await time.tickAsync(11_000);
      // By then the clock has looked at its deadlines.
      await witness.closed;

      for (const client of clients) expect(await who(client)).to.equal('u1');
      expect(removed).to.deep.equal([4001]);
    });

    it(`HOSTILE 26: an hour ${direction}: a token expires when it would have`, async () => {
      const time = holdTime();
      const { connect } = await serve({});
      const client = await connect(bearer(tokenFor({ exp: now() + 30 })));

      time.setSystemTime(Date.now() + jump);
      await time.tickAsync(29_990);
      expect(await who(client), 'before').to.equal('u1');
      await time.tickAsync(1_010);

      expect((await client.closed).code).to.equal(4001);
    });

    it(`HOSTILE 26: an hour ${direction}: clients that must authenticate have as long as before`, async () => {
      const time = holdTime();
      const { connect } = await serve({ requireAuth: true, authTimeout: 3_000 });
      const client = await connect();

      time.setSystemTime(Date.now() + jump);
      await time.tickAsync(2_990);
      await client.request({ type: 'who' });
      expect(client.ws.readyState, 'before').to.equal(client.ws.OPEN);
      await time.tickAsync(510);

      expect((await client.closed).reason).to.include('AUTH_TIMEOUT');
    });

    it(`HOSTILE 26: an hour ${direction}: revoked users stay revoked`, async () => {
      const { connect, manager } = await serve({ tokenLife: 600_000 });
      const token = tokenFor({ exp: now() + 3 * 3_600 });
      manager.api('auth').revoke('u1');

      const time = holdTime();
      time.setSystemTime(Date.now() + jump);

      const outcome = await connect(bearer(token)).catch((error: unknown) => error);
      expect(outcome).to.be.instanceOf(UpgradeRefused).with.property('body').that.includes('TOKEN_REVOKED');
    });
  }

  it('HOSTILE 26: clockTolerance is at most a minute', () => {
    expect(() => auth({ jwtSecret: SECRET, clockTolerance: 60_000 })).to.not.throw();
    expect(() => auth({ jwtSecret: SECRET, clockTolerance: 60_001 })).to.throw('option "auth.clockTolerance"');
  });
});
