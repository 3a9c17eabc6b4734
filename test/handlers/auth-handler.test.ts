import { once } from 'node:events';
import type { IncomingMessage } from 'node:http';
import { createRequire } from 'node:module';
import { inspect } from 'node:util';
import { expect } from 'chai';
import fc from 'fast-check';
import { stub, useFakeTimers } from 'sinon';
import Default, { auth, AuthHandler, requireAuth, requireRole, type Answer, type AuthHost } from '../../handlers/auth-handler.ts';
import { redact } from '../../handlers/auth-handler/redact.ts';
import { standalone } from '../../handlers/auth-handler/standalone.ts';
import type { ModuleError, User } from '../../index.ts';
import { cleanup } from '../support/cleanup.ts';
import { start, type Started } from '../support/start.ts';
import { eventually } from '../support/timing.ts';
import { craft, now, SECRET, tokenFor } from './signing.ts';

const jwtSecret = SECRET;
const bearer = (token: string) => ({ headers: { authorization: `Bearer ${token}` } });

/** The code of what a promise rejects with. */
async function codeOf(work: Promise<unknown>): Promise<string> {
  return work.then(() => 'none', (error: unknown) => (error as ModuleError).code);
}

/** The document's snippet: the class in a layer of one's own. */
async function snippet(handler: AuthHandler): Promise<Started & { users: (User | undefined)[] }> {
  const users: (User | undefined)[] = [];
  const started = await start({
    use: [{ type: 'connection', handler: async (ws, req, metadata) => { return await handler.authenticateConnection(ws, req, metadata); } }],
  });
  started.manager.on('connection:added', ({ user }) => { users.push(user); });
  return { ...started, users };
}

describe('AuthHandler', () => {
  describe('as it is imported', () => {
    it('is the default', () => {
      expect(Default).to.equal(AuthHandler);
    });

    it('carries every value that its file exports, for destructuring', () => {
      const { auth: plugin, requireAuth: known, requireRole: role, AuthHandler: itself } = Default;

      expect([plugin, known, role, itself]).to.deep.equal([auth, requireAuth, requireRole, AuthHandler]);
    });
  });

  describe('verify()', () => {
    const handler = new AuthHandler({ jwtSecret });

    it('takes the id from sub, userId or id, and the roles from roles or role', async () => {
      const users: readonly (readonly [claims: object, id: string, roles: string[]])[] = [
        [{ sub: 'a', userId: 'b', id: 'c' }, 'a', []],
        [{ sub: undefined, userId: 'b', id: 'c' }, 'b', []],
        [{ sub: '', id: 'c' }, 'c', []],
        [{ sub: undefined, userId: 42 }, '42', []],
        [{ roles: ['x', 'y'], role: 'z' }, 'u1', ['x', 'y']],
        [{ roles: 'x' }, 'u1', ['x']],
        [{ role: 'z' }, 'u1', ['z']],
        [{ role: ['x', 1, '', null, { a: 1 }, 'y'] }, 'u1', ['x', 'y']],
        [{ roles: { admin: true } }, 'u1', []],
      ];

      for (const [claims, id, roles] of users) {
        const user = await handler.verify(tokenFor(claims as Record<string, unknown>));
        expect({ id: user.id, roles: user.roles }).to.deep.equal({ id, roles });
      }
    });

    it('keeps the claims', async () => {
      const user = await handler.verify(tokenFor({ name: 'Ann', org: { id: 7 }, jti: 'j' }));

      expect(user).to.include({ sub: 'u1', name: 'Ann', jti: 'j' });
      expect(user.org).to.deep.equal({ id: 7 });
      expect(structuredClone(user)).to.deep.equal(user);
    });

    it('keeps no claim that could change a prototype', async () => {
      const token = craft({ alg: 'HS256', typ: 'JWT' }, `{"sub":"u1","exp":${now() + 60},"__proto__":{"roles":["admin"]}}`, jwtSecret);

      const user = await handler.verify(token);

      expect(Object.assign({}, user).roles).to.deep.equal([]);
      expect(Object.keys(user)).to.not.include('__proto__');
    });

    it('refuses a token that names nobody', async () => {
      for (const sub of [undefined, '', null, {}, [], true, 1.5, Infinity]) expect(await codeOf(handler.verify(tokenFor({ sub }))), inspect(sub)).to.equal('TOKEN_INVALID');
    });

    it('refuses what is no token', async () => {
      for (const token of [undefined, null, '', 1, {}, [], 'a', 'a.b', 'a.b.c', '..', '...', 'a.b.c.d', '\u0000', tokenFor().split('.').reverse().join('.')]) {
        expect(await codeOf(handler.verify(token)), inspect(token)).to.equal('TOKEN_INVALID');
      }
      for (const payload of ['"text"', '7', 'null', '[]', 'true', '', '{']) {
        for (const typ of ['JWT', undefined]) expect(await codeOf(handler.verify(craft({ alg: 'HS256', typ }, payload, jwtSecret))), payload).to.equal('TOKEN_INVALID');
      }
    });

    it('refuses a token of more than 8 KB without parsing it', async () => {
      const parse = stub(JSON, 'parse').throws(new Error('it was parsed'));
      cleanup(() => parse.restore());

      const token = tokenFor({ padding: 'x'.repeat(6_100) });
      expect(Buffer.byteLength(token)).to.be.above(8_192);
      expect(await codeOf(handler.verify(token))).to.equal('TOKEN_INVALID');
      expect(await codeOf(handler.verify('é'.repeat(4_097)))).to.equal('TOKEN_INVALID');

      expect(parse.callCount).to.equal(0);
    });

    it('takes a token of just under 8 KB', async () => {
      const token = tokenFor({ padding: 'x'.repeat(5_900) });

      expect(Buffer.byteLength(token)).to.be.within(8_000, 8_192);
      expect(await codeOf(handler.verify(token))).to.equal('none');
    });

    it('tells nothing of what would be accepted, and never repeats the token', async () => {
      const picky = new AuthHandler({ jwtSecret, issuer: 'https://secret-issuer', audience: 'secret-audience' });
      for (const token of [tokenFor(), tokenFor({ iss: 'https://secret-issuer' }), `${tokenFor()}x`]) {
        const error = await picky.verify(token).then(() => undefined, (thrown: unknown) => thrown as ModuleError);
        const told = JSON.stringify([error?.message, error?.details]);
        expect(told).to.not.match(/secret-/).and.to.not.include(token.split('.')[1]!);
      }
    });

    it('does without exp only where that is said', async () => {
      const lax = new AuthHandler({ jwtSecret, requireExpiry: false });

      expect((await lax.verify(tokenFor({ exp: undefined }))).id).to.equal('u1');
      expect(await codeOf(lax.verify(tokenFor({ exp: 'never' })))).to.equal('TOKEN_INVALID');
      expect(await codeOf(lax.verify(tokenFor({ exp: now() - 1 })))).to.equal('TOKEN_EXPIRED');
    });

    it('lets clocks differ by as much as it is told', async () => {
      const tolerant = new AuthHandler({ jwtSecret, clockTolerance: 60_000 });

      expect(await codeOf(tolerant.verify(tokenFor({ exp: now() - 58 })))).to.equal('none');
      expect(await codeOf(tolerant.verify(tokenFor({ exp: now() - 61 })))).to.equal('TOKEN_EXPIRED');
      expect(await codeOf(tolerant.verify(tokenFor({ nbf: now() + 58 })))).to.equal('none');
      expect(await codeOf(tolerant.verify(tokenFor({ nbf: now() + 62 })))).to.equal('TOKEN_INVALID');
      expect(await codeOf(handler.verify(tokenFor({ exp: now() - 0.01 })))).to.equal('TOKEN_EXPIRED');
    });

    it('compares signatures in constant time', async () => {
      const crypto = createRequire(import.meta.url)('node:crypto') as typeof import('node:crypto');
      const compare = stub(crypto, 'timingSafeEqual').callThrough();
      cleanup(() => compare.restore());

      await handler.verify(tokenFor());

      expect(compare.callCount).to.equal(1);
    });

    it('property: refuses a good token with any one character changed', async () => {
      const token = tokenFor();
      const changed = fc.tuple(fc.nat(token.length - 1), fc.string({ unit: 'grapheme', minLength: 0, maxLength: 2 }));

      await fc.assert(fc.asyncProperty(changed, async ([at, by]) => {
        const other = token.slice(0, at) + by + token.slice(at + 1);
        fc.pre(other !== token);
        expect(await codeOf(handler.verify(other))).to.equal('TOKEN_INVALID');
      }), { numRuns: 500 });
    });

    it('property: refuses anything else with a code, and never fails otherwise', async () => {
      await fc.assert(fc.asyncProperty(fc.anything(), async (given) => {
        expect(await codeOf(handler.verify(given))).to.equal('TOKEN_INVALID');
      }));
    });
  });

  describe('with authenticate()', () => {
    it('asks the application whose token it is, with the request', async () => {
      const asked: unknown[] = [];
      const handler = new AuthHandler({ authenticate: async (token, request) => { asked.push(token, request); return { id: 7, role: 'admin' }; } });
      const request = { headers: { authorization: 'Bearer opaque' }, url: '/' } as IncomingMessage;

      const user = await handler.authenticateRequest(request);

      expect(user).to.deep.equal({ id: '7', role: 'admin', roles: ['admin'] });
      expect(asked).to.deep.equal(['opaque', request]);
    });

    it('asks once for one request, in however many phases', async () => {
      const authenticate = stub().resolves({ id: 'a' });
      const handler = new AuthHandler({ authenticate });
      const request = { headers: { authorization: 'Bearer opaque' }, url: '/' } as IncomingMessage;

      await handler.authenticateRequest(request);
      await handler.authenticateConnection({ protocol: '', readyState: 1, send() {}, close() {} }, request);

      expect(authenticate.callCount).to.equal(1);
    });

    it('refuses whom the application does not know', async () => {
      for (const answer of [undefined, null, false, {}, [], { name: 'nobody' }]) {
        const handler = new AuthHandler({ authenticate: () => answer as Answer });
        expect(await codeOf(handler.verify('opaque')), JSON.stringify(answer)).to.equal('TOKEN_INVALID');
      }
    });

    it('reads TOKEN_INVALID when the application fails, and keeps the whole error', async () => {
      const failure = new Error('the database is down');
      for (const authenticate of [() => { throw failure; }, async () => { throw failure; }]) {
        const failed: Error[] = [];
        const host: AuthHost = { after: () => () => {}, warn: () => {}, failed: (error) => failed.push(error) };

        const error = await new AuthHandler({ authenticate }, host).verify('opaque').then(() => undefined, (thrown: unknown) => thrown as ModuleError);

        expect(error).to.include({ code: 'TOKEN_INVALID', cause: failure });
        expect(error?.message).to.not.include('database');
        expect(failed).to.deep.equal([failure]);
      }
    });

    it('tells the process of a failure where there is no plugin, without the token', async () => {
      const warned = once(process, 'warning');
      const handler = new AuthHandler({ authenticate: () => { throw new Error('no user for opaque-and-secret'); } });

      await codeOf(handler.verify('opaque-and-secret'));

      const [warning] = await warned as [Error];
      expect(warning.message).to.equal('authenticate() failed: no user for [redacted]');
    });

    it('takes the token out of what the application\'s error says, however deep, and leaves the error what it is', () => {
      class OwnError extends Error { readonly detail = 1; }
      const token = 'opaque-and-secret';
      const inner = new Error(`inner ${token}`);
      const error = new OwnError(`${token} and ${token}`, { cause: inner });
      inner.cause = error;
      const frozen = Object.freeze(new Error(token));

      expect(redact(error, token)).to.equal(error).and.to.be.instanceOf(OwnError).with.property('message', '[redacted] and [redacted]');
      expect([inner.message, inner.stack, error.stack].join()).to.not.include(token);
      expect(redact(frozen, token)).to.equal(frozen);
      expect(redact(new Error('a word'), 'a').message).to.equal('a word');
    });

    it('asks after the token was verified where there is a secret too; the token\'s own claims stay', async () => {
      const authenticate = stub().callsFake(() => ({ userId: 'db-1', roles: ['admin'], name: 'Ann', exp: now() + 9_999, jti: 'other' }));
      const handler = new AuthHandler({ jwtSecret, authenticate });
      const exp = now() + 60;

      const user = await handler.verify(tokenFor({ exp, jti: 'j1', role: 'guest' }));
      expect(await codeOf(handler.verify(tokenFor({}, 'wrong')))).to.equal('TOKEN_INVALID');
      expect(await codeOf(handler.verify(tokenFor({ exp: undefined })))).to.equal('TOKEN_INVALID');

      expect(user).to.include({ id: 'db-1', sub: 'u1', name: 'Ann', exp, jti: 'j1' });
      expect(user.roles).to.deep.equal(['admin']);
      expect(authenticate.callCount).to.equal(1);
    });

    it('holds the application\'s own exp to what it must be', async () => {
      const answering = (exp: unknown, options = {}) => new AuthHandler({ authenticate: () => ({ id: 'a', exp }), ...options }).verify('opaque');

      expect(await codeOf(answering(undefined))).to.equal('none');
      expect(await codeOf(answering(now() + 9))).to.equal('none');
      expect(await codeOf(answering(now() - 9))).to.equal('TOKEN_EXPIRED');
      for (const exp of ['soon', null, NaN, Infinity, new Date()]) expect(await codeOf(answering(exp)), String(exp)).to.equal('TOKEN_INVALID');
      expect(await codeOf(answering(undefined, { requireExpiry: true }))).to.equal('TOKEN_INVALID');
    });

    it('sees a revocation that came while the application was thinking', async () => {
      let decide!: (user: object) => void;
      const handler = new AuthHandler({ authenticate: () => new Promise<object>((resolve) => (decide = resolve)) });

      const verifying = codeOf(handler.verify('opaque'));
      handler.revoke('a');
      decide({ id: 'a' });

      expect(await verifying).to.equal('TOKEN_REVOKED');
    });
  });

  describe('in a connection layer of one\'s own', () => {
    it('gives the user of a good token to the connection', async () => {
      const { connect, users } = await snippet(new AuthHandler({ jwtSecret, allowAnonymous: true, requireAuth: false }));

      await connect(bearer(tokenFor({ role: 'admin' })));
      await connect();

      expect(users.map((user) => user?.id)).to.deep.equal(['u1', undefined]);
      expect(users[0]?.roles).to.deep.equal(['admin']);
    });

    it('closes with 4001 for a bad token, and for none where one is required', async () => {
      const lax = await snippet(new AuthHandler({ jwtSecret, allowAnonymous: true }));
      const strict = await snippet(new AuthHandler({ jwtSecret, requireAuth: true }));
      // Alone, it can wait for no message.
      const patient = await snippet(new AuthHandler({ jwtSecret, requireAuth: true, allowAnonymous: true }));

      const closings = await Promise.all([lax.connect(bearer('bad')), lax.connect(bearer(tokenFor({ exp: now() - 1 }))), strict.connect(), patient.connect()]);
      const reasons = await Promise.all(closings.map(({ closed }) => closed));

      expect(reasons.map(({ code }) => code)).to.deep.equal([4001, 4001, 4001, 4001]);
      expect(reasons.map(({ reason }) => reason.split(':')[0])).to.deep.equal(['TOKEN_INVALID', 'TOKEN_EXPIRED', 'AUTH_REQUIRED', 'AUTH_REQUIRED']);
    });

    it('parts with a client at its token\'s exp', async () => {
      const { connect } = await snippet(new AuthHandler({ jwtSecret }));
      const exp = now() + 0.2;

      const { code, reason } = await (await connect(bearer(tokenFor({ exp })))).closed;

      expect(code).to.equal(4001);
      expect(reason).to.equal('TOKEN_EXPIRED: the token is expired');
      expect(now()).to.be.within(exp, exp + 1);
    });

    it('parts with a client that is revoked, and forgets one that left', async () => {
      const handler = new AuthHandler({ jwtSecret });
      const { connect } = await snippet(handler);
      const [leaving, staying] = await Promise.all([connect(bearer(tokenFor({ sub: 'a' }))), connect(bearer(tokenFor({ sub: 'b' })))]);
      expect(handler.size.sessions).to.equal(2);

      await leaving.close();
      await eventually('one session', () => handler.size.sessions === 1);
      expect(handler.revoke('a')).to.equal(0);
      expect(handler.revoke('b')).to.equal(1);

      expect((await staying.closed).code).to.equal(4001);
      await eventually('no session', () => handler.size.sessions === 0);
    });

    it('keeps nothing of a socket that cannot tell when it closes, or is closed already', async () => {
      const handler = new AuthHandler({ jwtSecret });
      const request = () => ({ headers: { authorization: `Bearer ${tokenFor()}` }, url: '/' }) as IncomingMessage;
      const peer = { protocol: '', readyState: 1, send() {}, close() {} };

      const user = await handler.authenticateConnection(peer, request(), { ip: '127.0.0.1' });
      await handler.authenticateConnection({ ...peer, readyState: 3, once() {} } as typeof peer, request());

      expect(user?.user.id).to.equal('u1');
      expect(handler.size.sessions).to.equal(0);
    });
  });

  describe('revoke()', () => {
    it('takes an id, and nothing else', () => {
      const handler = new AuthHandler({ jwtSecret });

      for (const id of ['', undefined, 7, {}]) expect(() => handler.revoke(id as string)).to.throw('option "revoke(id)" must be');
    });

    it('warns when it has to forget one', () => {
      const warnings: string[] = [];
      const handler = new AuthHandler({ jwtSecret, maxRevocations: 1 }, { after: () => () => {}, warn: (text) => warnings.push(text), failed: () => {} });

      handler.revoke('a');
      handler.revoke('b');

      expect(warnings).to.have.lengthOf(1);
      expect(warnings[0]).to.include('maxRevocations');
      expect(handler.size.revocations).to.equal(1);
    });
  });

  describe('on its own timers', () => {
    it('waits for as long as it is told, beyond the 24.8 days of setTimeout', () => {
      const fake = useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'performance'] });
      cleanup(() => fake.restore());
      const work = stub();
      const month = 30 * 86_400_000;

      standalone.after(month, work);
      fake.tick(month - 1);
      expect(work.callCount).to.equal(0);
      fake.tick(1);

      expect(work.callCount).to.equal(1);
    });

    it('can be called off, also between two stretches', () => {
      const fake = useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'performance'] });
      cleanup(() => fake.restore());
      const work = stub();

      const cancel = standalone.after(30 * 86_400_000, work);
      fake.tick(26 * 86_400_000);
      cancel();
      fake.tick(26 * 86_400_000);

      expect(work.callCount).to.equal(0);
      expect(fake.countTimers()).to.equal(0);
    });
  });
});
