import { expect } from 'chai';
import fc from 'fast-check';
import { permissions, requirePermission, type PermissionsOptions } from '../../middleware/permissions.ts';
import { ModuleError, type Connection, type User } from '../../index.ts';
import type { Client } from '../support/client.ts';
import { pluginSuite } from '../support/plugin-suite.ts';
import { start } from '../support/start.ts';
import { stubConnection } from '../support/stub-context.ts';

const TABLE: PermissionsOptions = {
  roles: { admin: ['*'], moderator: ['kick', 'ban'], user: ['say'] },
  rules: { 'ban-user': 'ban', 'close room': ['kick', 'close'] },
};

/** A server whose clients name their user in the query. */
async function open(options: PermissionsOptions | undefined = TABLE) {
  const started = await start({ use: [{ type: 'connection', name: 'who', handler: (_ws, { url }) => {
    const user = new URL(url, 'http://host').searchParams.get('user');
    return user ? { user: JSON.parse(user) as User } : undefined;
  } }, permissions(options)] });
  for (const type of ['ban-user', 'close-room', 'say']) started.manager.registerHandler(type, () => 'done');
  const as = (user?: object) => started.connect(user ? { search: `?user=${encodeURIComponent(JSON.stringify({ id: 'ann', ...user }))}` } : {});
  return { ...started, as };
}

/** The content of the answer, or its code. */
async function answer(client: Client, type: string): Promise<unknown> {
  const { content } = await client.request({ type });
  return content.code ?? content;
}

/** What a table says of a user, without a server. */
function judged(user: object | undefined, permission: string, options: PermissionsOptions = TABLE): boolean {
  const plugin = permissions(options);
  let can: Connection['can'];
  const api = plugin.setup({ decorate: (_: string, members: PropertyDescriptorMap) => { can = members.can!.value as Connection['can']; }, use() {}, metrics() {} } as never, {});
  const connection = stubConnection({ id: 'c', user: user as User });
  expect(can!.call(connection, permission)).to.equal((api as Awaited<typeof api>).can(connection, permission));
  return can!.call(connection, permission);
}

describe('permissions', () => {
  it('accepts users who have the required permission by a role or by their own list', async () => {
    const { as } = await open();

    expect(await answer(await as({ roles: ['moderator'] }), 'ban-user')).to.equal('done');
    expect(await answer(await as({ roles: ['user', 'moderator'] }), 'ban-user')).to.equal('done');
    expect(await answer(await as({ roles: ['admin'] }), 'ban-user')).to.equal('done');
    expect(await answer(await as({ permissions: ['ban'] }), 'ban-user')).to.equal('done');
    expect(await answer(await as({ roles: ['ban'] }), 'ban-user')).to.equal('done');
    expect(await answer(await as({ roles: ['user'] }), 'ban-user')).to.equal('FORBIDDEN');
    expect(await answer(await as({}), 'ban-user')).to.equal('FORBIDDEN');
    expect(await answer(await as(), 'ban-user')).to.equal('AUTH_REQUIRED');
  });

  it('names the missing permission', async () => {
    const { as, manager } = await open();
    const client = await as({ roles: ['user'] });

    const { content } = await client.request({ type: 'ban-user' });

    expect(content).to.deep.equal({ code: 'FORBIDDEN', message: 'this needs the permission "ban"', needs: 'the permission "ban"' });
    expect(manager.getMetrics().plugins['permissions']).to.deep.equal({ permissions_refused_total: 1 });
  });

  it('requires each of several permissions', async () => {
    const { as } = await open();

    expect(await answer(await as({ roles: ['moderator'] }), 'close-room')).to.equal('FORBIDDEN');
    expect(await answer(await as({ roles: ['moderator'], permissions: ['close'] }), 'close-room')).to.equal('done');
  });

  it('guards a type in every spelling, and no other type', async () => {
    const { as } = await open();
    const anonymous = await as();

    for (const type of ['ban-user', 'ban_user', 'ban user']) expect(await answer(anonymous, type), type).to.equal('AUTH_REQUIRED');
    expect(await answer(anonymous, 'say')).to.equal('done');
    for (const type of ['__proto__', 'constructor', 'hasOwnProperty']) expect(await answer(anonymous, type), type).to.equal('UNKNOWN_TYPE');
  });

  it('gives the role "admin" every permission when no roles are named', async () => {
    const { as } = await open({ rules: { 'ban-user': 'ban' } });

    expect(await answer(await as({ roles: ['admin'] }), 'ban-user')).to.equal('done');
    expect(await answer(await as({ roles: ['moderator'] }), 'ban-user')).to.equal('FORBIDDEN');
  });

  it('tells connections and other plugins what a user may do', async () => {
    const { manager, as } = await open();
    await as({ roles: ['moderator'] });
    const [connection] = [...manager.connections.values()];
    const api = manager.api('permissions');

    expect(connection!.can!('ban')).to.be.true;
    expect(connection!.can!('close')).to.be.false;
    expect(api.can(connection!, 'kick')).to.be.true;
    expect(api.require(connection!, 'kick')).to.equal(connection!.user);
    expect(() => api.require(connection!, 'close')).to.throw(ModuleError).with.property('code', 'FORBIDDEN');
    expect(() => api.require(stubConnection({ id: 'anonymous' }), 'kick')).to.throw(ModuleError).with.property('code', 'AUTH_REQUIRED');
    await manager.unload('permissions');
    expect(connection).to.not.have.property('can');
  });

  it('follows changes of roles', async () => {
    const { manager, as } = await open();
    const client = await as({ roles: ['moderator'] });
    expect(await answer(client, 'ban-user')).to.equal('done');

    Object.assign(manager.connections.values().next().value!.user!, { roles: [] });

    expect(await answer(client, 'ban-user')).to.equal('FORBIDDEN');
  });

  it('gives no permission for values that are not lists', () => {
    for (const list of [undefined, null, 'ban', '*', 'admin', { includes: 'ban' }, { length: 1, 0: 'ban' }, 7, [['ban']], [{ toString: () => 'ban' }], [null]]) {
      expect(judged({ id: 'ann', roles: list, permissions: list }, 'ban'), JSON.stringify(list)).to.be.false;
    }
    for (const role of ['__proto__', 'constructor', 'toString']) expect(judged({ id: 'ann', roles: [role] }, 'ban'), role).to.be.false;
    expect(judged(undefined, 'ban')).to.be.false;
  });

  it('accepts names of Object.prototype', () => {
    const roles = Object.fromEntries([['__proto__', ['ban']], ['constructor', ['kick']]]);

    expect(judged({ id: 'ann', roles: ['__proto__'] }, 'ban', { roles })).to.be.true;
    expect(judged({ id: 'ann', roles: ['constructor'] }, 'kick', { roles })).to.be.true;
    expect(judged({ id: 'ann', roles: ['ann'] }, 'ban', { roles })).to.be.false;
  });

  it('decides like a plain search of the table and the user, for any input', () => {
    const words = fc.constantFrom('ban', 'kick', 'say', '*', 'admin', '__proto__');
    const lists = fc.uniqueArray(words);

    fc.assert(fc.property(fc.dictionary(words, lists), lists, lists, words, (roles, held, own, permission) => {
      const given = [...own, ...held.flatMap((role) => (Object.hasOwn(roles, role) ? roles[role]! : []))];
      const expected = held.includes(permission) || given.includes(permission) || given.includes('*');

      expect(judged({ id: 'ann', roles: held, permissions: own }, permission, { roles })).to.equal(expected);
    }));
  });

  it('checks its options', () => {
    const wrong = (options: object, text: string) => expect(() => permissions(options)).to.throw(text);

    wrong({ role: {} }, 'option "permissions.role" does not exist; did you mean "permissions.roles"?');
    wrong({ roles: ['admin'] }, 'option "permissions.roles" must be an object');
    wrong({ roles: { admin: 'ban' } }, 'option "permissions.roles.admin" must be a list of permissions');
    wrong({ roles: { admin: [''] } }, 'option "permissions.roles.admin" must be');
    // Nothing needed would look like a rule, and be none.
    wrong({ rules: { ban: [] } }, 'option "permissions.rules.ban" must be a non-empty string, or a non-empty list of permissions');
    wrong({ rules: { ban: '' } }, 'option "permissions.rules.ban" must be');
    wrong({ rules: { ban: true } }, 'option "permissions.rules.ban" must be');
    wrong({ rules: { 'ban-user': 'ban', 'ban user': 'kick' } }, 'option "permissions.rules.ban user" must be the only one of its type, but is a second entry for "ban-user"');
  });

  it('does not follow later changes of its options', async () => {
    const roles = { moderator: ['ban'] };
    const { as } = await open({ roles, rules: { 'ban-user': 'ban' } });

    roles.moderator.pop();

    expect(await answer(await as({ roles: ['moderator'] }), 'ban-user')).to.equal('done');
  });

  pluginSuite('permissions', () => permissions(TABLE));
});

describe('requirePermission()', () => {
  it('passes users with the permission to the handler', async () => {
    const { manager, as } = await open();
    const handler = requirePermission('kick', (message, { user }) => `${message.content as string} by ${user!.id}`);
    manager.registerHandler('throw-out', handler);

    expect((await (await as({ roles: ['moderator'] })).request({ type: 'throw-out', content: 'bob' })).content).to.equal('bob by ann');
    expect(await answer(await as({ roles: ['user'] }), 'throw-out')).to.equal('FORBIDDEN');
    expect(await answer(await as(), 'throw-out')).to.equal('AUTH_REQUIRED');
  });

  it('is a check within a handler', async () => {
    const { manager, as } = await open();
    const mustBan = requirePermission('ban');
    manager.registerHandler('moderate', ({ content }, connection) => {
      if (content.action === 'ban') mustBan(connection);
      return content.action;
    });
    const client = await as({ roles: ['user'] });

    expect((await client.request({ type: 'moderate', action: 'look' })).content).to.equal('look');
    expect((await client.request({ type: 'moderate', action: 'ban' })).content).to.include({ code: 'FORBIDDEN', needs: 'the permission "ban"' });
  });

  it('uses the user\'s own list and roles without the plugin', async () => {
    const { manager, as } = await open();
    manager.registerHandler('throw-out', requirePermission('kick', () => 'done'));
    await manager.unload('permissions');

    expect(await answer(await as({ permissions: ['kick'] }), 'throw-out')).to.equal('done');
    expect(await answer(await as({ roles: ['kick'] }), 'throw-out')).to.equal('done');
    expect(await answer(await as({ roles: ['moderator', 'admin'] }), 'throw-out')).to.equal('FORBIDDEN');
    expect(await answer(await as(), 'throw-out')).to.equal('AUTH_REQUIRED');
  });

  it('returns or throws the result of the handler, also as a promise', async () => {
    const { manager, as } = await open();
    manager.registerHandler('later', requirePermission('kick', async () => 'later'));
    manager.registerHandler('fail', requirePermission('kick', () => { throw new ModuleError('NO_LUCK'); }));
    const client = await as({ roles: ['moderator'] });

    expect(await answer(client, 'later')).to.equal('later');
    expect(await answer(client, 'fail')).to.equal('NO_LUCK');
  });

  it('checks its arguments', () => {
    expect(() => requirePermission('')).to.throw('option "requirePermission(permission)" must be a non-empty string');
    expect(() => requirePermission(['ban'] as never)).to.throw('option "requirePermission(permission)" must be');
    expect(() => requirePermission('ban', 'handler' as never)).to.throw('must be a function');
  });
});
