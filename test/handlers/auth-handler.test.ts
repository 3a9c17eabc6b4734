import { once } from 'node:events';
import type { IncomingMessage } from 'node:http';
import { createRequire } from 'node:module';
import { inspect } from 'node:util';
import { expect } from 'chai';
import fc from 'fast-check';
import { stub, useFakeTimers } from 'sinon';
import Default, { auth, AuthHandler, requireAuth, requireRole, type Answer, type AuthHost } from '../../handlers/auth-handler.ts';
import { redactToken } from '../../handlers/auth-handler/redact-token.ts';
import { standaloneHost } from '../../handlers/auth-handler/auth-host.ts';
import type { ModuleError, User } from '../../index.ts';
import { cleanup } from '../support/cleanup.ts';
import { holdTime } from '../support/held-time.ts';
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
  describe('as an import', () => {
    it('is the default export', () => {
      expect(Default).to.equal(AuthHandler);
    });

    it('carries every value of its file, for destructuring', () => {
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

    it('takes an id of up to 255 characters, also as a safe integer or a bigint', async () => {
      const answering = new AuthHandler({ authenticate: (token) => ({ id: JSON.parse(token) === 1 ? 2n ** 60n : Number(token) }) });

      expect((await handler.verify(tokenFor({ sub: 'x'.repeat(255) }))).id).to.have.lengthOf(255);
      expect((await answering.verify('1')).id).to.equal('1152921504606846976');
      expect((await answering.verify('42')).id).to.equal('42');
      expect(await codeOf(handler.verify(tokenFor({ sub: 'x'.repeat(256) })))).to.equal('TOKEN_INVALID');
      expect(await codeOf(answering.verify(String(2 ** 53)))).to.equal('TOKEN_INVALID');
    });

    it('lists the claims that it looked for in a token without a user', async () => {
      const error = await handler.verify(tokenFor({ sub: undefined, _id: 'a' })).catch((thrown: unknown) => thrown);

      expect(error).to.have.property('message').that.includes('"sub", "userId" or "id" must be a string of 1 to 255 characters or a safe integer');
    });

    it('rejects a token without a user', async () => {
      for (const sub of [undefined, '', null, {}, [], true, 1.5, Infinity]) expect(await codeOf(handler.verify(tokenFor({ sub }))), inspect(sub)).to.equal('TOKEN_INVALID');
    });

    it('rejects values that are not tokens', async () => {
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

    it('reveals neither what would be accepted nor the token', async () => {
      const picky = new AuthHandler({ jwtSecret, issuer: 'https://secret-issuer', audience: 'secret-audience' });
      for (const token of [tokenFor(), tokenFor({ iss: 'https://secret-issuer' }), `${tokenFor()}x`]) {
        const error = await picky.verify(token).then(() => undefined, (thrown: unknown) => thrown as ModuleError);
        const told = JSON.stringify([error?.message, error?.details]);
        expect(told).to.not.match(/secret-/).and.to.not.include(token.split('.')[1]!);
      }
    });

    it('accepts a token without exp only with `requireExpiry: false`', async () => {
      const lax = new AuthHandler({ jwtSecret, requireExpiry: false });

      expect((await lax.verify(tokenFor({ exp: undefined }))).id).to.equal('u1');
      expect(await codeOf(lax.verify(tokenFor({ exp: 'never' })))).to.equal('TOKEN_INVALID');
      expect(await codeOf(lax.verify(tokenFor({ exp: now() - 1 })))).to.equal('TOKEN_EXPIRED');
    });

    it('accepts clocks that differ by clockTolerance', async () => {
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

    it('property: refuses any other value with a code', async () => {
      await fc.assert(fc.asyncProperty(fc.anything(), async (given) => {
        expect(await codeOf(handler.verify(given))).to.equal('TOKEN_INVALID');
      }));
    });
  });

  describe('with authenticate()', () => {
    it('gives the application the token and the request', async () => {
      const asked: unknown[] = [];
      const handler = new AuthHandler({ authenticate: async (token, request) => { asked.push(token, request); return { id: 7, role: 'admin' }; } });
      const request = { headers: { authorization: 'Bearer opaque' }, url: '/' } as IncomingMessage;

      const user = await handler.authenticateRequest(request);

      expect(user).to.deep.equal({ id: '7', role: 'admin', roles: ['admin'] });
      expect(asked).to.deep.equal(['opaque', request]);
    });

    it('asks once for each request, in however many phases', async () => {
      const authenticate = stub().resolves({ id: 'a' });
      const handler = new AuthHandler({ authenticate });
      const request = { headers: { authorization: 'Bearer opaque' }, url: '/' } as IncomingMessage;

      await handler.authenticateRequest(request);
      await handler.authenticateConnection({ protocol: '', readyState: 1, send() {}, close() {} }, request);

      expect(authenticate.callCount).to.equal(1);
    });

    it('refuses a token that the application does not know', async () => {
      for (const answer of [undefined, null, false, {}, [], { name: 'no id' }]) {
        const handler = new AuthHandler({ authenticate: () => answer as Answer });
        expect(await codeOf(handler.verify('opaque')), JSON.stringify(answer)).to.equal('TOKEN_INVALID');
      }
    });

    it('throws TOKEN_INVALID when the application fails, with the whole error as its cause', async () => {
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

    it('reads the fields of a database\'s document', async () => {
      class Document { readonly $internal = 1; get id() { return `db-${this.$internal}`; } toJSON() { return { _id: 'db-1', roles: ['admin'] }; } }
      const handler = new AuthHandler({ authenticate: () => new Document() });

      expect(await handler.verify('opaque')).to.deep.equal({ _id: 'db-1', id: 'db-1', roles: ['admin'] });
    });

    it('warns the process of a failure outside the plugin, without the token or control characters', async () => {
      const warned = once(process, 'warning');
      const handler = new AuthHandler({ authenticate: () => { throw new Error('no user for opaque-and-secret\nerror: forged\u001b[31m'); } });

      await codeOf(handler.verify('opaque-and-secret'));

      const [warning] = await warned as [Error];
      expect(warning.message).to.equal('authenticate() failed: no user for [redacted]\\u000aerror: forged\\u001b[31m');
    });

    it('removes the token from the application\'s error and its causes, and leaves the error what it is', () => {
      class OwnError extends Error { readonly detail = 1; }
      const token = 'opaque-and-secret';
      const inner = new Error(`inner ${token}`);
      const error = new OwnError(`${token} and ${token}`, { cause: inner });
      inner.cause = error;
      const frozen = Object.freeze(new Error(token));

      expect(redactToken(error, token)).to.equal(error).and.to.be.instanceOf(OwnError).with.property('message', '[redacted] and [redacted]');
      expect([inner.message, inner.stack, error.stack].join()).to.not.include(token);
      expect(redactToken(frozen, token)).to.equal(frozen);
      expect(redactToken(new Error('a word'), 'a').message).to.equal('a word');
    });

    it('asks after the token was verified when there is a secret, too; exp and jti of the token stay', async () => {
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

    it('checks an exp of the application', async () => {
      const answering = (exp: unknown, options = {}) => new AuthHandler({ authenticate: () => ({ id: 'a', exp }), ...options }).verify('opaque');

      expect(await codeOf(answering(undefined))).to.equal('none');
      expect(await codeOf(answering(now() + 9))).to.equal('none');
      expect(await codeOf(answering(now() - 9))).to.equal('TOKEN_EXPIRED');
      for (const exp of ['soon', null, NaN, Infinity, new Date()]) expect(await codeOf(answering(exp)), String(exp)).to.equal('TOKEN_INVALID');
      expect(await codeOf(answering(undefined, { requireExpiry: true }))).to.equal('TOKEN_INVALID');
    });

    it('applies a revocation that happened while the application verified the token', async () => {
      let decide!: (user: object) => void;
      const handler = new AuthHandler({ authenticate: () => new Promise<object>((resolve) => (decide = resolve)) });

      const verifying = codeOf(handler.verify('opaque'));
      handler.revoke('a');
      decide({ id: 'a' });

      expect(await verifying).to.equal('TOKEN_REVOKED');
    });
  });

  describe('in a connection layer of the application', () => {
    it('gives the user of a good token to the connection', async () => {
      const { connect, users } = await snippet(new AuthHandler({ jwtSecret, allowAnonymous: true, requireAuth: false }));

      await connect(bearer(tokenFor({ role: 'admin' })));
      await connect();

      expect(users.map((user) => user?.id)).to.deep.equal(['u1', undefined]);
      expect(users[0]?.roles).to.deep.equal(['admin']);
    });

    it('closes with 4001 for a bad token, and for none when one is required', async () => {
      const lax = await snippet(new AuthHandler({ jwtSecret, allowAnonymous: true }));
      const strict = await snippet(new AuthHandler({ jwtSecret, requireAuth: true }));
      // Alone, it can wait for no message.
      const patient = await snippet(new AuthHandler({ jwtSecret, requireAuth: true, allowAnonymous: true }));

      const closings = await Promise.all([lax.connect(bearer('bad')), lax.connect(bearer(tokenFor({ exp: now() - 1 }))), strict.connect(), patient.connect()]);
      const reasons = await Promise.all(closings.map(({ closed }) => closed));

      expect(reasons.map(({ code }) => code)).to.deep.equal([4001, 4001, 4001, 4001]);
      expect(reasons.map(({ reason }) => reason.split(':')[0])).to.deep.equal(['TOKEN_INVALID', 'TOKEN_EXPIRED', 'AUTH_REQUIRED', 'AUTH_REQUIRED']);
    });

    it('closes a client at its token\'s exp', async () => {
      const time = holdTime();
      const { connect } = await snippet(new AuthHandler({ jwtSecret }));
      const client = await connect(bearer(tokenFor({ exp: now() + 20 })));

      await time.tickAsync(19_990);
      const before = client.ws.readyState;
      await time.tickAsync(1_010);
      const { code, reason } = await client.closed;

      expect(before).to.equal(client.ws.OPEN);
      expect(code).to.equal(4001);
      expect(reason).to.equal('TOKEN_EXPIRED: the token is expired');
    });

    it('closes a client that is revoked, and forgets one that left', async () => {
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

    it('keeps nothing of a socket that emits no close, or is closed already', async () => {
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
    it('rejects values that are not ids', () => {
      const handler = new AuthHandler({ jwtSecret });

      for (const id of ['', undefined, 7, {}]) expect(() => handler.revoke(id as string)).to.throw('option "revoke(id)" must be');
    });

    it('throws REVOCATIONS_FULL when it cannot remember another one, and still closes the clients', () => {
      const closed: string[] = [];
      const handler = new AuthHandler({ jwtSecret, maxRevocations: 1 });
      handler.keep({ close: (_code, reason) => closed.push(reason!) }, { id: 'b', exp: now() + 60 });
      handler.revoke('a');

      expect(() => handler.revoke('b')).to.throw('maxRevocations').that.deep.includes({ code: 'REVOCATIONS_FULL', details: { limit: 1, closed: 1 } });

      expect(closed).to.deep.equal(['TOKEN_REVOKED: the token is revoked']);
      expect(handler.revoke('a'), 'the one that is remembered').to.equal(0);
    });
  });

  describe('with its own timers', () => {
    it('waits for any time, beyond the 24.8 days of setTimeout', () => {
      const fake = useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'performance'] });
      cleanup(() => fake.restore());
      const work = stub();
      const month = 30 * 86_400_000;

      standaloneHost.after(month, work);
      fake.tick(month - 1);
      expect(work.callCount).to.equal(0);
      fake.tick(1);

      expect(work.callCount).to.equal(1);
    });

    it('can be cancelled, even between two timers', () => {
      const fake = useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'performance'] });
      cleanup(() => fake.restore());
      const work = stub();

      const cancel = standaloneHost.after(30 * 86_400_000, work);
      fake.tick(26 * 86_400_000);
      cancel();
      fake.tick(26 * 86_400_000);

      expect(work.callCount).to.equal(0);
      expect(fake.countTimers()).to.equal(0);
    });
  });
});
