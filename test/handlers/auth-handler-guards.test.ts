import { expect } from 'chai';
import { auth, requireAuth, requireRole } from '../../handlers/auth-handler.ts';
import { Message, ModuleError, type Usable, type User } from '../../index.ts';
import { stubConnection } from '../support/stub-context.ts';
import type { Client } from '../support/client.ts';
import { pluginSuite } from '../support/plugin-suite.ts';
import { start } from '../support/start.ts';
import { SECRET, tokenFor } from './signing.ts';

/** A server where anonymous clients are welcome, and these layers stand. */
async function guarded(...layers: Usable[]) {
  const started = await start({ use: [auth({ jwtSecret: SECRET, allowAnonymous: true }), ...layers] });
  for (const type of ['say', 'admin-kick']) started.manager.registerHandler(type, () => 'done');
  const as = (claims: object) => started.connect({ headers: { authorization: `Bearer ${tokenFor({ ...claims })}` } });
  return { ...started, as };
}

/** The content of the answer, or its code. */
async function answer(client: Client, type: string): Promise<unknown> {
  const { content } = await client.request({ type });
  return content.code ?? content;
}

describe('requireAuth()', () => {
  it('rejects messages of anonymous connections, and passes those of users', async () => {
    const { connect, as } = await guarded(requireAuth());

    expect(await answer(await connect(), 'say')).to.equal('AUTH_REQUIRED');
    expect(await answer(await as({}), 'say')).to.equal('done');
  });

  it('lets a client authenticate', async () => {
    const { connect } = await guarded(requireAuth());
    const client = await connect();

    const reply = await client.request({ type: 'auth', token: tokenFor() });

    expect(reply.type).to.equal('auth');
    expect(await answer(client, 'say')).to.equal('done');
  });

  it('guards a handler of a namespace that is named like one of auth', () => {
    const { handler } = requireAuth();
    const ask = (type: string, namespace?: string) => () => {
      const message = new Message({ type, namespace });
      message.route = { type, handler: () => 'done' };
      return handler(message, stubConnection({ id: 'c' }), () => 'passed');
    };

    for (const type of ['auth', 'auth:refresh']) {
      expect(ask(type)()).to.equal('passed');
      expect(ask(type, '/chat'), type).to.throw(ModuleError).with.property('code', 'AUTH_REQUIRED');
    }
  });

  it('guards one that a client reached before it was loaded', async () => {
    const { connect, manager } = await start({ plugins: ['namespaces'] });
    for (const type of ['auth', 'say']) manager.of('/chat').registerHandler(type, () => 'done');
    const client = await connect();
    await client.request({ type: 'connect', namespace: '/chat' });
    const before = await client.request({ type: 'auth', namespace: '/chat' });

    manager.use(requireAuth());
    await manager.ready();

    expect(before.content).to.equal('done');
    for (const type of ['auth', 'say']) {
      expect((await client.request({ type, namespace: '/chat' })).content.code, type).to.equal('AUTH_REQUIRED');
    }
  });

  it('lets a client authenticate that names a namespace', async () => {
    const { connect } = await guarded(requireAuth());

    expect((await (await connect()).request({ type: 'auth', namespace: '/', token: tokenFor() })).type).to.equal('auth');
  });

  it('lets a handler of the application authenticate clients', async () => {
    const { connect, manager } = await start({ use: [requireAuth()] });
    manager.registerHandler('auth', () => 'by the application');

    expect(await answer(await connect(), 'auth')).to.equal('by the application');
    expect(await answer(await connect(), 'ping')).to.equal('AUTH_REQUIRED');
  });

  it('guards the given types in every spelling', async () => {
    const { connect } = await guarded(requireAuth({ types: ['admin_kick'] }));
    const client = await connect();

    expect(await answer(client, 'say')).to.equal('done');
    for (const type of ['admin-kick', 'admin_kick', 'admin kick']) expect(await answer(client, type), type).to.equal('AUTH_REQUIRED');
  });

  it('checks its options', () => {
    expect(() => requireAuth({ types: 'say' } as never)).to.throw('option "requireAuth.types" must be a list of message types');
    expect(() => requireAuth({ type: ['say'] } as never)).to.throw('option "requireAuth.type" does not exist; did you mean "requireAuth.types"?');
  });

  pluginSuite('require-auth', () => requireAuth());
});

describe('requireRole()', () => {
  it('passes users with one of the roles', async () => {
    const { connect, as } = await guarded(requireRole('admin', 'moderator'));

    expect(await answer(await as({ role: 'admin' }), 'say')).to.equal('done');
    expect(await answer(await as({ roles: ['guest', 'moderator'] }), 'say')).to.equal('done');
    expect(await answer(await as({ roles: ['guest', 'Admin', 'admin '] }), 'say')).to.equal('FORBIDDEN');
    expect(await answer(await as({ roles: { includes: 'admin' } }), 'say')).to.equal('FORBIDDEN');
    expect(await answer(await connect(), 'say')).to.equal('AUTH_REQUIRED');
  });

  it('compares whole roles, and accepts only a list of roles', () => {
    const { handler } = requireRole('admin');
    const ask = (roles: unknown) => () => handler(new Message({ type: 'say' }), stubConnection({ id: 'c', user: { id: 'u', roles } as User }), () => 'done');

    expect(ask(['admin'])()).to.equal('done');
    for (const roles of ['admin', 'superadmin', 'admin,user', ['superadmin'], [['admin']], { includes: () => true }, null, 7]) {
      expect(ask(roles), JSON.stringify(roles)).to.throw(ModuleError).with.property('code', 'FORBIDDEN');
    }
  });

  it('names the roles that are needed', async () => {
    const { as } = await guarded(requireRole('admin', 'moderator'));

    const { content } = await (await as({})).request({ type: 'say' });

    expect(content).to.deep.equal({ code: 'FORBIDDEN', message: 'this needs the role "admin" or "moderator"', needs: 'the role "admin" or "moderator"' });
  });

  it('guards the given types, and may be used several times under different names', async () => {
    const { as, manager } = await guarded(requireRole('admin', { types: ['admin-kick'] }));
    manager.use(requireRole('member', { types: ['say'] }), { name: 'members-say' });
    await manager.ready();
    const [admin, member] = await Promise.all([as({ role: 'admin' }), as({ role: 'member' })]);

    expect(await answer(admin, 'admin-kick')).to.equal('done');
    expect(await answer(admin, 'say')).to.equal('FORBIDDEN');
    expect(await answer(member, 'admin-kick')).to.equal('FORBIDDEN');
    expect(await answer(member, 'say')).to.equal('done');
  });

  it('follows the roles of the token in use', async () => {
    const { as } = await guarded(requireRole('admin'));
    const client = await as({ role: 'admin' });
    expect(await answer(client, 'say')).to.equal('done');

    await client.request({ type: 'auth:refresh', token: tokenFor({ role: 'guest' }) });
    expect(await answer(client, 'say')).to.equal('FORBIDDEN');

    await client.request({ type: 'auth:refresh', token: tokenFor({ role: 'admin' }) });
    expect(await answer(client, 'say')).to.equal('done');
  });

  it('checks its roles', () => {
    // @ts-expect-error a role is needed
    expect(() => requireRole()).to.throw('option "requireRole(roles)" must be one or more names of roles');
    // @ts-expect-error a role is needed
    expect(() => requireRole({ types: ['say'] })).to.throw('option "requireRole(roles)" must be');
    expect(() => requireRole('')).to.throw('option "requireRole(roles)" must be');
    expect(() => requireRole(['admin'] as never)).to.throw('option "requireRole(roles)" must be');
    expect(() => requireRole('admin', { types: [1] } as never)).to.throw('option "requireRole.types" must be');
  });

  pluginSuite('require-role', () => requireRole('admin'));
});
