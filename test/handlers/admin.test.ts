import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import { stub, useFakeTimers } from 'sinon';
import { admin, type AdminOptions, type AuditEvent, type Ban, type BanStore, type Target } from '../../handlers/admin.ts';
import { MemoryBans } from '../../handlers/admin/ban-store.ts';
import { permissions } from '../../middleware/permissions.ts';
import { validation } from '../../middleware/validation.ts';
import { WebSocketModule, type User } from '../../index.ts';
import { cleanup } from '../support/cleanup.ts';
import { connect, UpgradeRefused, type Client } from '../support/client.ts';
import { pluginSuite } from '../support/plugin-suite.ts';
import { start, type StartOptions } from '../support/start.ts';
import { eventually } from '../support/timing.ts';

const QUIET = { logger: { debug() {}, info() {}, warn() {}, error() {} } };
const table = () => permissions({ roles: { owner: ['*'], admin: ['*'], moderator: ['kick', 'ban'] } });
/** Clients name their user in the query. */
const who = { type: 'connection' as const, name: 'who', handler: (_ws: unknown, { url }: { url?: string | undefined }) => {
  const user = new URL(url!, 'http://host').searchParams.get('user');
  return user ? { user: JSON.parse(user) as User } : undefined;
} };

async function open(options: AdminOptions = {}, more: StartOptions = {}) {
  const started = await start({ ...QUIET, trustProxy: ['127.0.0.1'], ...more, use: [who, table(), admin(options)] });
  const audit: AuditEvent[] = [];
  started.manager.on('audit', (event) => audit.push(event));
  const as = (id?: string, roles: readonly string[] = [], ip?: string) => started.connect({
    ...(id !== undefined && { search: `?user=${encodeURIComponent(JSON.stringify({ id, roles }))}` }), ...(ip && { headers: { 'x-forwarded-for': ip } }),
  });
  return { ...started, audit, as, root: await as('root', ['admin']) };
}

/** The content of the answer, or its code. */
async function answer(client: Client, message: { type: string; [field: string]: unknown }): Promise<any> {
  const { content } = await client.request(message);
  return content.code ?? content;
}

const idOf = (manager: { connections: ReadonlyMap<string, { id: string; user?: User | undefined }> }, userId?: string) =>
  [...manager.connections.values()].find(({ user }) => user?.id === userId)!.id;

describe('admin', () => {
  it('is loaded by its name, after permissions', async () => {
    const { manager } = await start({ ...QUIET, plugins: ['permissions', 'admin'] });

    expect(manager.api('admin')).to.have.keys('broadcast', 'kick', 'ban', 'unban', 'isBanned', 'stats');
  });

  it('fails to load without permissions', async () => {
    const { manager } = await start(QUIET);
    manager.use(admin());

    const failure = await manager.ready().catch((error: unknown) => error);

    expect(failure).to.include({ code: 'PLUGIN_DEPENDENCY_MISSING' });
    await manager.unload('admin');
  });

  describe('admin-broadcast', () => {
    it('sends to every connection, and answers with their number', async () => {
      const { root, as, audit } = await open();
      const bob = await as('bob');

      const reply = await root.request({ type: 'admin-broadcast', content: 'back in five minutes' });

      expect(reply.content).to.deep.equal({ delivered: 2 });
      expect((await bob.next('admin-message')).content).to.deep.equal({ content: 'back in five minutes', from: 'root' });
      expect((await root.next('admin-message')).content.content).to.equal('back in five minutes');
      expect(audit).to.have.lengthOf(1);
      expect(audit[0]).to.deep.include({ action: 'broadcast', by: 'root', target: undefined, outcome: 'done', details: { content: 'back in five minutes', delivered: 2 } });
      expect(audit[0]!.at).to.be.closeTo(Date.now(), 5_000);
    });

    it('accepts the announcement as the payload, in its content, or as an object', async () => {
      const { root } = await open();

      for (const [given, said] of [
        [{ content: { content: 'hi' } }, 'hi'], [{ data: 'hi' }, 'hi'], [{ content: { text: 'hi', level: 3 } }, { text: 'hi', level: 3 }], [{ content: 7 }, 7], [{ text: 'hi' }, { text: 'hi' }],
      ] as const) {
        void root.request({ type: 'admin-broadcast', ...given });
        expect((await root.next('admin-message')).content.content, JSON.stringify(given)).to.deep.equal(said);
      }
    });

    it('refuses an empty announcement', async () => {
      const { root } = await open();

      for (const given of [{}, { content: '' }, { content: null }, { content: {} }, { content: { content: '' } }]) {
        expect(await answer(root, { type: 'admin-broadcast', ...given }), JSON.stringify(given)).to.equal('VALIDATION_FAILED');
      }
    });

    it('shows the username of the administrator', async () => {
      const { manager, root } = await open();
      Object.assign([...manager.connections.values()][0]!.user!, { username: 'Ruth' });

      void root.request({ type: 'admin-broadcast', content: 'hi' });

      expect((await root.next('admin-message')).content.from).to.equal('Ruth');
    });

    it('names its types as the application chose', async () => {
      const { root } = await open({}, { naming: 'snake' });

      void root.request({ type: 'admin_broadcast', content: 'hi' });

      expect((await root.next('admin_message')).content.content).to.equal('hi');
    });
  });

  describe('admin-kick', () => {
    it('sends the reason to all connections of a user, and closes them with 4010', async () => {
      const { root, as, audit } = await open();
      const [bob, too, ann] = [await as('bob'), await as('bob'), await as('ann')];

      const reply = await root.request({ type: 'admin-kick', userId: 'bob', reason: 'shouting' });

      expect(reply.content).to.deep.equal({ closed: 2 });
      for (const client of [bob, too]) {
        expect((await client.next('kicked')).content).to.deep.equal({ reason: 'shouting' });
        expect(await client.closed).to.deep.equal({ code: 4010, reason: 'KICKED: shouting' });
      }
      expect((await ann.request({ type: 'ping' })).type).to.equal('pong');
      expect(audit).to.have.lengthOf(1);
      expect(audit[0]).to.deep.include({ action: 'kick', by: 'root', target: { userId: 'bob' }, details: { reason: 'shouting', closed: 2 }, outcome: 'done' });
      await as('bob');
    });

    it('closes a single connection by its id, and all connections of an address', async () => {
      const { manager, root, as } = await open();
      const bob = await as('bob', [], '192.0.2.7');
      const connectionId = idOf(manager, 'bob');
      const other = await as('bob', [], '192.0.2.8');
      const anonymous = await as(undefined, [], '192.0.2.8');

      expect(await answer(root, { type: 'admin-kick', content: { connectionId } })).to.deep.equal({ closed: 1 });
      expect((await bob.closed).code).to.equal(4010);
      expect(await answer(root, { type: 'admin-kick', address: '::ffff:192.0.2.8' })).to.deep.equal({ closed: 2 });
      expect((await other.closed).code).to.equal(4010);
      expect((await anonymous.closed).reason).to.equal('KICKED');
    });

    it('takes the id of an anonymous connection as a user id', async () => {
      const { manager, root, as } = await open();
      const anonymous = await as();

      expect(await answer(root, { type: 'admin-kick', userId: idOf(manager) })).to.deep.equal({ closed: 1 });
      expect((await anonymous.closed).code).to.equal(4010);
    });

    it('answers TARGET_UNKNOWN when no such client is connected', async () => {
      const { manager, root, audit } = await open();

      for (const target of [{ userId: 'bob' }, { connectionId: 'bob' }, { address: '192.0.2.9' }, { userId: '__proto__' }, { userId: idOf(manager, 'root') }]) {
        expect(await answer(root, { type: 'admin-kick', ...target }), JSON.stringify(target)).to.equal('TARGET_UNKNOWN');
      }
      expect(audit.map(({ outcome, details }) => [outcome, details.code])).to.deep.equal(Array(5).fill(['refused', 'TARGET_UNKNOWN']));
    });

    it('does not close other subscribers of the user\'s topic', async () => {
      const { manager, root, as } = await open();
      const [bob, ann] = [await as('bob'), await as('ann')];
      manager.subscribe(idOf(manager, 'ann'), 'user:bob');

      expect(await answer(root, { type: 'admin-kick', userId: 'bob' })).to.deep.equal({ closed: 1 });

      expect((await bob.closed).code).to.equal(4010);
      expect((await ann.request({ type: 'ping' })).type).to.equal('pong');
    });
  });

  describe('admin-ban', () => {
    it('closes with 4000, and refuses the user afterwards', async () => {
      const { root, as, audit } = await open();
      const bob = await as('bob');

      const reply = await root.request({ type: 'admin-ban', content: { userId: 'bob', reason: 'spam', duration: 60_000 } });

      expect(reply.content.closed).to.equal(1);
      expect(Date.parse(reply.content.until)).to.be.closeTo(Date.now() + 60_000, 5_000);
      expect((await bob.next('banned')).content).to.deep.equal({ reason: 'spam', duration: 60_000, until: reply.content.until });
      expect(await bob.closed).to.deep.equal({ code: 4000, reason: 'BANNED: spam' });
      expect(await (await as('bob')).closed).to.deep.equal({ code: 4000, reason: 'BANNED' });
      expect(audit[0]).to.deep.include({ action: 'ban', target: { userId: 'bob' }, outcome: 'done', details: { reason: 'spam', duration: 60_000, closed: 1, until: reply.content.until } });
    });

    it('handles no message that a banned user sends with the handshake', async () => {
      const { manager, root, connect } = await open();
      let handled = 0;
      manager.registerHandler('shout', () => handled++);
      await root.request({ type: 'admin-ban', userId: 'bob' });

      const bob = await connect({ search: `?user=${encodeURIComponent('{"id":"bob"}')}` });
      void bob.send({ type: 'shout' });
      await bob.closed;

      expect(handled).to.equal(0);
    });

    it('refuses an address before the handshake, and closes all its connections', async () => {
      const { root, as } = await open();
      const bob = await as('bob', [], '192.0.2.7');

      expect(await answer(root, { type: 'admin-ban', address: '192.0.2.7' })).to.deep.equal({ closed: 1 });

      expect((await bob.closed).code).to.equal(4000);
      const refused = await as('ann', [], '192.0.2.7').catch((error: unknown) => error) as UpgradeRefused;
      expect(refused).to.be.instanceOf(UpgradeRefused).with.property('status', 403);
      expect(refused.body).to.include('BANNED');
      await as('ann', [], '192.0.2.8');
    });

    it('applies to clients during their handshake', async () => {
      const { manager, root, as } = await open();
      let letIn = () => {};
      let handled = 0;
      const decision = new Promise<void>((resolve) => (letIn = resolve));
      manager.use({ type: 'connection', name: 'slow', handler: () => decision }).registerHandler('shout', () => ++handled);
      await manager.ready();
      const [bob, anonymous, elsewhere] = await Promise.all([as('bob', [], '192.0.2.7'), as(undefined, [], '192.0.2.7'), as(undefined, [], '192.0.2.8')]);
      for (const client of [bob, anonymous]) void client.send({ type: 'shout' });

      await root.request({ type: 'admin-ban', address: '192.0.2.7' });
      letIn();

      for (const client of [bob, anonymous]) expect(await client.closed).to.deep.equal({ code: 4000, reason: 'BANNED' });
      expect((await elsewhere.request({ type: 'shout' })).content).to.equal(1);
    });

    it('bans the /64 network of an IPv6 address', async () => {
      const { root, as } = await open();
      await root.request({ type: 'admin-ban', address: '2001:DB8:1:2:3::4' });

      expect(await as('ann', [], '2001:db8:1:2:ffff::1').catch((error: unknown) => error)).to.be.instanceOf(UpgradeRefused);
      await as('ann', [], '2001:db8:1:3::4');
    });

    it('bans the user of a connection, or the address of an anonymous one', async () => {
      const { manager, root, as } = await open();
      const bob = await as('bob');
      await as(undefined, [], '192.0.2.7');

      await root.request({ type: 'admin-ban', connectionId: idOf(manager, 'bob') });
      await root.request({ type: 'admin-ban', connectionId: idOf(manager) });

      expect((await bob.closed).code).to.equal(4000);
      expect((await (await as('bob')).closed).code).to.equal(4000);
      expect(await as('ann', [], '192.0.2.7').catch((error: unknown) => error)).to.be.instanceOf(UpgradeRefused);
    });

    it('ends with its duration', async () => {
      const { manager, root, as } = await open();
      await root.request({ type: 'admin-ban', userId: 'bob', duration: 60_000 });
      const from = performance.now();
      const monotonic = stub(performance, 'now').callsFake(() => from + 59_000);
      cleanup(() => monotonic.restore());

      const before = await manager.api('admin').isBanned({ userId: 'bob' });
      monotonic.callsFake(() => from + 60_001);

      expect(before).to.be.true;
      expect(await manager.api('admin').isBanned({ userId: 'bob' })).to.be.false;
      expect((await (await as('bob')).request({ type: 'ping' })).type).to.equal('pong');
    });

    for (const [direction, jump] of [['forward', 3_600_000], ['back', -3_600_000]] as const) {
      it(`HOSTILE 26: an hour ${direction}: lasts as long as it would have`, async () => {
        const { manager, root } = await open();
        await root.request({ type: 'admin-ban', userId: 'bob', duration: 60_000 });
        const from = performance.now();
        const date = useFakeTimers({ toFake: ['Date'], now: Date.now() + jump });
        cleanup(() => date.restore());

        const after = await manager.api('admin').isBanned({ userId: 'bob' });
        const monotonic = stub(performance, 'now').callsFake(() => from + 60_001);
        cleanup(() => monotonic.restore());

        expect(after).to.be.true;
        expect(await manager.api('admin').isBanned({ userId: 'bob' })).to.be.false;
      });
    }

    it('is lifted by admin-unban', async () => {
      const { root, as, audit } = await open();
      await root.request({ type: 'admin-ban', userId: 'bob' });

      expect(await answer(root, { type: 'admin-unban', userId: 'bob' })).to.deep.equal({ lifted: true });
      expect(await answer(root, { type: 'admin-unban', userId: 'bob' })).to.deep.equal({ lifted: false });

      expect((await (await as('bob')).request({ type: 'ping' })).type).to.equal('pong');
      expect(audit.at(-1)).to.deep.include({ action: 'unban', outcome: 'done', details: { lifted: false } });
    });

    it('applies to a user who authenticates later', async () => {
      const { manager, root, as } = await open();
      manager.use({ type: 'plugin', name: 'login', setup: (context) => context.registerHandler('login', (_message, connection) => {
        context.node.identify(connection, { id: 'bob' });
        return 'welcome';
      }) });
      await manager.ready();
      await root.request({ type: 'admin-ban', userId: 'bob' });
      const anonymous = await as();

      void anonymous.send({ type: 'login' });

      expect((await anonymous.closed).code).to.equal(4000);
    });

    it('rejects with BANS_FULL after maxBans bans', async () => {
      const { root } = await open({ maxBans: 2 });
      for (const userId of ['a', 'b', 'a']) expect((await root.request({ type: 'admin-ban', userId })).content.closed).to.equal(0);

      expect(await answer(root, { type: 'admin-ban', userId: 'c' })).to.equal('BANS_FULL');

      await root.request({ type: 'admin-unban', userId: 'a' });
      expect((await root.request({ type: 'admin-ban', userId: 'c' })).content.closed).to.equal(0);
    });

    it('limits the bans of each administrator, and not those of the application', async () => {
      const { manager, as } = await open({ maxBansPerAdmin: 2 });
      const [first, second] = [await as('mod-1', ['moderator']), await as('mod-2', ['moderator'])];
      for (const userId of ['a', 'b', 'a']) expect(await answer(first, { type: 'admin-ban', userId })).to.deep.equal({ closed: 0 });

      const { content } = await first.request({ type: 'admin-ban', userId: 'c' });

      expect(content).to.deep.equal({ code: 'BANS_FULL', message: 'you have added 2 bans already; lift one first', limit: 2, of: 'owner' });
      for (const userId of ['c', 'd', 'a']) expect(await answer(second, { type: 'admin-ban', userId }), userId).to.deep.equal({ closed: 0 });
      for (const userId of ['e', 'f', 'g']) expect(await manager.api('admin').ban({ userId })).to.deep.equal({ closed: 0 });
      for (const userId of ['a', 'b', 'c', 'd']) expect(await manager.api('admin').isBanned({ userId }), userId).to.be.true;
    });

    it('finds a user by any id that a user may have', async () => {
      const { root, as } = await open();

      for (const id of ['x'.repeat(255), 'o\'brien', '<b>&amp;', '__proto__', 'a b', 'ß']) {
        const client = await as(id);
        expect(await answer(root, { type: 'admin-ban', userId: id }), id).to.deep.equal({ closed: 1 });
        expect((await client.closed).code, id).to.equal(4000);
      }
      expect(await answer(root, { type: 'admin-ban', userId: 'x'.repeat(256) })).to.equal('VALIDATION_FAILED');
    });

    it('compares identifiers unescaped if the application sanitizes, and escapes only text that is shown', async () => {
      const { root, as, manager } = await open();
      manager.use(validation({ enableSanitization: true }));
      await manager.ready();
      const client = await as('o\'brien');

      expect(await answer(root, { type: 'admin-ban', userId: 'o\'brien', reason: '<b>spam</b>' })).to.deep.equal({ closed: 1 });

      expect((await client.next('banned')).content.reason).to.equal('&lt;b&gt;spam&lt;&#x2F;b&gt;');
      expect((await (await as('o\'brien')).closed).code).to.equal(4000);
      expect(await answer(root, { type: 'admin-unban', content: { userId: 'o\'brien' } })).to.deep.equal({ lifted: true });
    });

    it('bans no unknown address: an anonymous connection over a unix socket can only be kicked', async () => {
      const folder = mkdtempSync(join(tmpdir(), 'admin-'));
      cleanup(() => rmSync(folder, { recursive: true }));
      const path = join(folder, 'socket');
      const server = createServer();
      const manager = WebSocketModule.create({ server, ...QUIET }).use([who, table(), admin()]);
      cleanup(() => manager.stop());
      server.listen(path);
      cleanup(() => server.close());
      await once(server, 'listening');
      const as = (user?: object) => connect(`ws+unix:${path}:/ws${user ? `?user=${encodeURIComponent(JSON.stringify(user))}` : ''}`);
      const root = await as({ id: 'root', roles: ['admin'] });
      const [anonymous, other, bob] = [await as(), await as(), await as({ id: 'bob' })];
      const [, connectionId] = manager.connections.keys();

      const refused = await root.request({ type: 'admin-ban', connectionId });
      const kicked = await root.request({ type: 'admin-kick', connectionId });
      const banned = await root.request({ type: 'admin-ban', userId: 'bob' });

      expect(refused.content).to.include({ code: 'ADDRESS_UNKNOWN', connectionId });
      expect([kicked.content, banned.content]).to.deep.equal([{ closed: 1 }, { closed: 1 }]);
      expect([(await anonymous.closed).code, (await bob.closed).code]).to.deep.equal([4010, 4000]);
      expect((await other.request({ type: 'ping' })).type).to.equal('pong');
      expect((await (await as()).request({ type: 'ping' })).type).to.equal('pong');
    });

    it('bans all keys of a target, or none if there is not enough room', async () => {
      const { manager, root } = await open({ maxBans: 2 });
      const isBanned = (target: Target) => manager.api('admin').isBanned(target);
      await root.request({ type: 'admin-ban', userId: 'a' });

      const replies = [await answer(root, { type: 'admin-ban', userId: 'b', address: '192.0.2.7' }), await answer(root, { type: 'admin-ban', userId: 'c', address: '192.0.2.7' })];
      const kept = [await isBanned({ userId: 'b' }), await isBanned({ address: '192.0.2.7' }), await isBanned({ userId: 'a' })];

      expect(replies).to.deep.equal(['BANS_FULL', 'BANS_FULL']);
      expect(kept).to.deep.equal([false, false, true]);
      expect(await answer(root, { type: 'admin-ban', userId: 'a', address: '192.0.2.7' })).to.deep.equal({ closed: 0 });
    });

    it('keeps the previous ban when a part of the new one fails', async () => {
      const kept = new Map<string, Ban>();
      const add = (key: string, ban: Ban) => {
        if (key.startsWith('address:')) throw new Error('disk full');
        kept.set(key, ban);
      };
      const { manager, root } = await open({ bans: { has: (key) => kept.has(key), add, delete: (key) => kept.delete(key) } });
      manager.on('error', () => {});
      await root.request({ type: 'admin-ban', userId: 'bob', reason: 'the first' });

      for (const userId of ['bob', 'eve']) expect(await answer(root, { type: 'admin-ban', userId, address: '192.0.2.7', duration: 1 })).to.equal('INTERNAL_ERROR');

      expect([...kept].map(([key, { reason, until }]) => [key, reason, until])).to.deep.equal([['user:bob', 'the first', undefined]]);
    });

    it('applies to clients that connected while it was not loaded', async () => {
      const bans = new MemoryBans(10);
      const { manager, as, root } = await open({ bans });
      await root.request({ type: 'admin-ban', userId: 'bob' });
      await root.request({ type: 'admin-ban', address: '192.0.2.7' });
      await manager.unload('admin');
      const [bob, ann, eve] = [await as('bob'), await as('ann', [], '192.0.2.7'), await as('eve')];

      manager.use(admin({ bans }));
      await manager.ready();

      expect((await bob.closed).code).to.equal(4000);
      expect((await ann.closed).code).to.equal(4000);
      expect((await eve.request({ type: 'ping' })).type).to.equal('pong');
    });
  });

  describe('a store of bans of your own', () => {
    it('may be slow: no message is handled before it answers', async () => {
      let answerNow!: (isBanned: boolean) => void;
      const asked: string[] = [];
      const bans: BanStore = {
        has: (key) => {
          asked.push(key);
          return key.endsWith('bob') ? new Promise((resolve) => (answerNow = resolve)) : Promise.resolve(false);
        },
        add() {}, delete: async () => true,
      };
      const { manager, as } = await open({ bans });
      let handled = 0;
      manager.registerHandler('shout', () => ++handled);

      const first = await as('bob');
      const shouted = first.request({ type: 'shout' });
      await eventually('the question', () => asked.includes('user:bob'));
      expect(handled).to.equal(0);
      answerNow(false);
      expect((await shouted).content).to.equal(1);

      const second = await as('bob');
      void second.send({ type: 'shout' });
      await eventually('the other question', () => asked.filter((key) => key === 'user:bob').length === 2);
      answerNow(true);

      expect(await second.closed).to.deep.equal({ code: 4000, reason: 'BANNED' });
      expect(handled).to.equal(1);
      expect(asked).to.include('address:127.0.0.1');
    });

    it('causes every client to be refused while it fails, and the failure is reported', async () => {
      let fails = false;
      const has = async () => { if (fails) throw new Error('no store'); return false; };
      const { manager, as } = await open({ bans: { has, add() {}, delete: () => true } });
      const errors: string[] = [];
      manager.on('error', ({ message }) => errors.push(message));

      fails = true;
      const refused = await as('bob').catch((error: unknown) => error) as UpgradeRefused;

      expect(refused.status).to.equal(500);
      expect(errors).to.deep.equal(['no store']);
    });

    it('closes the connection with 1011 if it fails for a user', async () => {
      const has = async (key: string) => { if (key === 'user:bob') throw new Error('no store'); return false; };
      const { manager, as } = await open({ bans: { has, add() {}, delete: () => true } });
      const errors: string[] = [];
      manager.on('error', ({ message }) => errors.push(message));

      expect((await (await as('bob')).closed).code).to.equal(1011);
      expect(errors).to.deep.equal(['no store']);
    });

    it('answers INTERNAL_ERROR when it cannot keep a ban, closes no connection, and audits a failure', async () => {
      const { manager, root, as, audit } = await open({ bans: { has: () => false, add() { throw new Error('disk full'); }, delete: () => true } });
      manager.on('error', () => {});
      const bob = await as('bob');

      expect(await answer(root, { type: 'admin-ban', userId: 'bob' })).to.equal('INTERNAL_ERROR');

      expect((await bob.request({ type: 'ping' })).type).to.equal('pong');
      expect(audit[0]).to.deep.include({ action: 'ban', outcome: 'failed', target: { userId: 'bob' }, details: { code: 'INTERNAL_ERROR' } });
    });
  });

  describe('admin-stats', () => {
    it('answers with metrics of the server', async () => {
      const { manager, root, as, audit } = await open();
      await Promise.all([as('bob'), as('bob'), as()]);

      const { content } = await root.request({ type: 'admin-stats' });

      expect(content).to.include({ node: manager.nodeId, connections: 4, users: 2 });
      expect(content.health.status).to.equal('healthy');
      expect(content.metrics.messages.totalMessages).to.be.at.least(1);
      expect(audit).to.have.lengthOf(1);
      expect(audit[0]).to.deep.include({ action: 'stats', by: 'root', outcome: 'done', details: {} });
    });
  });

  describe('permissions and ranks', () => {
    const all = ['admin-broadcast', 'admin-kick', 'admin-ban', 'admin-unban', 'admin-stats'];

    it('requires the permission, and audits a refusal', async () => {
      const { manager, as, audit } = await open();
      const [user, anonymous, moderator, bob] = [await as('ann', ['user']), await as(), await as('mod', ['moderator']), await as('bob')];

      for (const type of all) expect(await answer(user, { type, userId: 'bob', content: 'x' }), type).to.equal('FORBIDDEN');
      for (const type of all) expect(await answer(anonymous, { type, userId: 'bob' }), type).to.equal('AUTH_REQUIRED');
      expect(await answer(moderator, { type: 'admin-stats' })).to.equal('FORBIDDEN');
      expect(await answer(moderator, { type: 'admin-kick', userId: 'bob' })).to.deep.equal({ closed: 1 });

      expect((await bob.closed).code).to.equal(4010);
      expect(audit.slice(0, 5).map(({ action, by, outcome, details, target }) => [action, by, outcome, details, target])).to.deep.equal(
        ['broadcast', 'kick', 'ban', 'unban', 'stats'].map((action) => [action, 'ann', 'refused', { code: 'FORBIDDEN' }, undefined]));
      expect(audit[5]).to.include({ by: idOf(manager), outcome: 'refused' });
    });

    it('refuses actions on oneself, however the target is named', async () => {
      const { manager, root, as } = await open();
      const again = await as('root', ['admin'], '192.0.2.7');
      const anonymous = await as();

      for (const type of ['admin-kick', 'admin-ban']) {
        for (const target of [{ userId: 'root' }, { connectionId: idOf(manager, 'root') }, { address: '127.0.0.1' }, { address: '192.0.2.7' }, { userId: 'x', address: '127.0.0.1' }]) {
          expect(await answer(root, { type, ...target }), JSON.stringify(target)).to.equal('SELF_ACTION');
        }
      }

      for (const client of [root, again, anonymous]) expect((await client.request({ type: 'ping' })).type).to.equal('pong');
      expect(await manager.api('admin').isBanned({ userId: 'x' })).to.be.false;
    });

    it('refuses actions on users with a higher role, connected or not', async () => {
      const ranks = ['owner', 'admin', 'moderator'];
      const { root, as } = await open({ ranks, rolesOf: async (userId) => (userId === 'away' ? ['user', 'owner'] : []) });
      const [owner, moderator, bob] = [await as('boss', ['admin', 'owner'], '192.0.2.7'), await as('mod', ['moderator']), await as('bob', ['user'])];

      expect(await answer(root, { type: 'admin-kick', userId: 'boss' })).to.equal('FORBIDDEN');
      expect(await answer(root, { type: 'admin-ban', userId: 'boss' })).to.equal('FORBIDDEN');
      expect(await answer(root, { type: 'admin-ban', address: '192.0.2.7' })).to.equal('FORBIDDEN');
      expect(await answer(root, { type: 'admin-ban', userId: 'away' })).to.equal('FORBIDDEN');
      expect(await answer(moderator, { type: 'admin-ban', userId: 'root' })).to.equal('FORBIDDEN');
      expect(await answer(moderator, { type: 'admin-kick', userId: 'bob' })).to.deep.equal({ closed: 1 });
      expect(await answer(root, { type: 'admin-kick', userId: 'mod' })).to.deep.equal({ closed: 1 });
      expect(await answer(owner, { type: 'admin-ban', userId: 'root' })).to.deep.equal({ closed: 1 });

      expect((await bob.closed).code).to.equal(4010);
    });

    it('has no ranks by default', async () => {
      const { as } = await open();
      const [moderator, owner] = [await as('mod', ['moderator']), await as('boss', ['owner'], '192.0.2.7')];

      expect(await answer(moderator, { type: 'admin-kick', userId: 'boss' })).to.deep.equal({ closed: 1 });
      expect((await owner.closed).code).to.equal(4010);
    });
  });

  it('accepts other types and permissions, and turns actions off', async () => {
    const { as, root } = await open({ types: { stats: 'get stats', kick: 'kick_user', ban: false }, permissions: { stats: 'look' } });
    const looker = await as('eye', ['look']);

    expect(await answer(looker, { type: 'get-stats' })).to.include({ users: 2 });
    expect(await answer(root, { type: 'kick user', userId: 'eye' })).to.deep.equal({ closed: 1 });
    expect(await answer(root, { type: 'admin-kick', userId: 'eye' })).to.equal('UNKNOWN_TYPE');
    expect(await answer(root, { type: 'admin-ban', userId: 'eye' })).to.equal('UNKNOWN_TYPE');
  });

  it('runs actions of the application, and audits them as the server\'s', async () => {
    const { manager, root, as, audit } = await open({ ranks: ['admin'] });
    const api = manager.api('admin');
    const bob = await as('bob');

    expect(await api.broadcast({ text: 'hi' })).to.deep.equal({ delivered: 2 });
    expect((await root.next('admin-message')).content).to.deep.equal({ content: { text: 'hi' }, from: 'server' });
    expect(await api.kick({ userId: 'bob' }, { reason: 'why not' })).to.deep.equal({ closed: 1 });
    expect((await bob.closed).reason).to.equal('KICKED: why not');
    expect(await api.ban({ userId: 'root' })).to.deep.equal({ closed: 1 });
    expect(await api.isBanned({ userId: 'root' })).to.be.true;
    expect(await api.unban({ userId: 'root' })).to.deep.equal({ lifted: true });
    expect((await api.stats()).node).to.equal(manager.nodeId);
    expect(audit.map(({ action, by, outcome }) => [action, by, outcome])).to.deep.equal(['broadcast', 'kick', 'ban', 'unban', 'stats'].map((action) => [action, 'server', 'done']));
    for (const target of [{}, { userId: 7 }, { userId: '' }, { address: 'localhost' }]) {
      expect(await api.ban(target as never).catch((error: unknown) => error), JSON.stringify(target)).to.include({ code: 'VALIDATION_FAILED' });
    }
  });

  it('reads each field in every place; a field beside the content wins', async () => {
    const { root, as } = await open();
    const [ann, bob] = [await as('ann'), await as('bob')];

    expect(await answer(root, { type: 'admin-kick', userId: 'ann', content: { userId: 'bob', reason: 'both' } })).to.deep.equal({ closed: 1 });

    expect(await ann.closed).to.deep.equal({ code: 4010, reason: 'KICKED: both' });
    expect((await bob.request({ type: 'ping' })).type).to.equal('pong');
  });

  it('uses the chosen naming for the types that guards see', async () => {
    const seen: string[] = [];
    const { manager, as } = await open({}, { naming: 'snake' });
    manager.use({ type: 'message', name: 'seen', handler: (message, _connection, next) => { seen.push(message.type); return next(); } });
    await manager.ready();

    for (const type of ['admin-stats', 'admin_stats', 'admin stats']) await (await as('root', ['admin'])).request({ type });

    expect(seen).to.deep.equal(Array(3).fill('admin_stats'));
  });

  it('answers invalid requests with VALIDATION_FAILED, and changes nothing', async () => {
    const { root, as, audit } = await open();
    const bob = await as('bob');
    const long = 'x'.repeat(10_240);
    const nonsense: unknown[] = [
      undefined, null, 7, 'bob', [], ['bob'], {}, { userId: '' }, { userId: 7 }, { userId: ['bob'] }, { userId: { $ne: null } }, { userId: long }, { address: '1' }, { address: '127.0.0.1/8' },
      { userId: 'bob', reason: long }, { userId: 'bob', reason: 7 }, { userId: 'bob', reason: '' }, { connectionId: null },
    ];

    for (const type of ['admin-kick', 'admin-ban', 'admin-unban']) {
      for (const content of nonsense) expect(await answer(root, { type, content }), JSON.stringify({ content }).slice(0, 80)).to.equal('VALIDATION_FAILED');
    }
    for (const duration of [0, -1, 1.5, '60000', Number.MAX_SAFE_INTEGER, true, {}]) {
      expect(await answer(root, { type: 'admin-ban', userId: 'bob', duration }), JSON.stringify(duration)).to.equal('VALIDATION_FAILED');
    }

    expect((await bob.request({ type: 'ping' })).type).to.equal('pong');
    expect(audit.every(({ outcome, target }) => outcome === 'refused' && target === undefined)).to.be.true;
  });

  it('is not affected when a listener of audit throws', async () => {
    const { manager, root } = await open();
    manager.on('error', () => {});
    manager.on('audit', () => { throw new Error('no audit'); });

    expect(await answer(root, { type: 'admin-broadcast', content: 'hi' })).to.deep.equal({ delivered: 1 });
  });

  it('logs actions without their content', async () => {
    const lines: string[] = [];
    const { root } = await open({}, { logger: { ...QUIET.logger, info: (line) => lines.push(line) } });

    await root.request({ type: 'admin-broadcast', content: 'a secret' });
    await root.request({ type: 'admin-kick', userId: 'bob' });

    await root.request({ type: 'admin-unban', userId: 'a\nwebsocket:admin ban done\u001b[31m' });

    expect(lines.pop()).to.match(/^websocket:admin unban done [\u0020-\u007e]+$/);
    expect(lines).to.deep.equal(['websocket:admin broadcast done {"by":"root"}', 'websocket:admin kick refused {"by":"root","userId":"bob","code":"TARGET_UNKNOWN"}']);
  });

  it('checks its options', () => {
    const wrong = (options: object, text: string) => expect(() => admin(options)).to.throw(text);

    wrong({ types: { kick: true } }, 'option "admin.types.kick" must be a non-empty string, or false');
    wrong({ types: { kik: 'x' } }, 'option "admin.types.kik" does not exist; did you mean "admin.types.kick"?');
    wrong({ permissions: { kick: '' } }, 'option "admin.permissions.kick" must be');
    wrong({ ranks: 'admin' }, 'option "admin.ranks" must be a list of roles');
    wrong({ bans: new Map() }, 'option "admin.bans" must be a store of bans (an object with has, add, delete)');
    wrong({ maxBans: 0 }, 'option "admin.maxBans" must be');
  });

  pluginSuite('admin', () => admin(), { requires: () => [who, table()], options: QUIET });
});
