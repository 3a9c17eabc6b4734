import { expect } from 'chai';
import { admin } from '../../handlers/admin.ts';
import { permissions } from '../../middleware/permissions.ts';
import type { ConnectionLayer, Metadata, ModuleError, Node, UpgradeLayer } from '../../src/index.ts';
import type { UpgradeRefused } from '../support/client.ts';
import { connect } from '../support/client.ts';
import { start } from '../support/start.ts';
import { next, only, plugin, raise, soon } from '../src/start-kernel.ts';

/** Every way in which a layer can say whose a connection is. */
const ways: Readonly<Record<string, (user: unknown) => UpgradeLayer | ConnectionLayer>> = {
  'returned by a connection layer': (user) => ({ type: 'connection', name: 'door', handler: () => ({ user }) }),
  'returned by an asynchronous connection layer': (user) => ({ type: 'connection', name: 'door', handler: async () => ({ user }) }),
  'put into the metadata by a connection layer': (user) => ({ type: 'connection', name: 'door', handler: (_ws, _request, metadata) => void (metadata.user = user) }),
  'returned by an upgrade layer': (user) => ({ type: 'upgrade', name: 'door', handler: async () => ({ user }) }),
  'put into the metadata by an upgrade layer': (user) => ({ type: 'upgrade', name: 'door', handler: (_request, metadata) => void (metadata.user = user) }),
};

const invalid: readonly unknown[] = [
  'ann', 17, true, ['ann'], {}, { _id: 'ann' }, { name: 'Ann' }, { id: '' }, { id: 'x'.repeat(256) }, { id: 1.5 }, { id: NaN }, { id: 2 ** 53 },
  { id: { toString: () => 'ann' } }, { id: ['ann'] }, { id: true }, { id: null }, { id: undefined }, { id: Symbol('ann') },
  { id: 'ann', roles: 'admin' }, { id: 'ann', roles: { admin: true } }, { id: 'ann', roles: [5] }, { id: 'ann', roles: ['admin', null] }, { id: 'ann', roles: 1 },
];

describe('HOSTILE 42: the user that a layer gives', () => {
  for (const [way, layer] of Object.entries(ways)) {
    it(`HOSTILE 42: is rejected if it is invalid, and only the operator sees the reason: ${way}`, async () => {
      for (const user of invalid) {
        const { manager, url } = await start({ use: [layer(user)] });
        const errors: ModuleError[] = [];
        manager.on('error', (error) => void errors.push(error as ModuleError));
        const refused = next(manager, 'connection:refused');

        const outcome = await connect(url).then(async (client) => (await soon(client.closed)).code, (error: unknown) => (error as UpgradeRefused).status);

        expect(outcome).to.be.oneOf([1011, 500]);
        expect((await refused)[0].error.code).to.equal('INTERNAL_ERROR');
        expect(errors.map(({ code }) => code)).to.deep.equal(['USER_INVALID']);
        expect(errors[0]!.message).to.include('layer "door"');
        expect(manager.connections.size).to.equal(0);
        expect(manager.inspect()).to.include({ topics: 0, pendingUpgrades: 0 });
      }
    });

    it(`HOSTILE 42: is found by every action, whatever characters its id has: ${way}`, async () => {
      for (const [id, expected] of [[17, '17'], [2n ** 70n, String(2n ** 70n)], [0, '0'], [-5, '-5'], ['ann', 'ann'], ['undefined', 'undefined'], ['x'.repeat(255), 'x'.repeat(255)]] as const) {
        const { manager, url } = await start({ use: [layer({ id, name: 'Ann', roles: ['member'] }), permissions(), admin()] });
        const client = await connect(url);
        const { user, metadata } = only(manager);

        expect(user).to.deep.equal({ id: expected, name: 'Ann', roles: ['member'] });
        expect(metadata, 'it stands in one place').to.deep.equal({ ip: '127.0.0.1' });
        expect(manager.sendToUser(expected, { type: 'hello' })).to.equal(1);
        await client.next('hello');
        const api = manager.api('admin');
        expect(await api.ban({ userId: expected })).to.include({ closed: 1 });
        expect((await soon(client.closed)).code).to.equal(4000);
        expect(await api.isBanned({ userId: expected })).to.equal(true);
      }
    });
  }

  it('HOSTILE 42: is that of the last layer that returns one', async () => {
    const { manager, url } = await start({ use: [
      { type: 'upgrade', name: 'one', handler: () => ({ user: { id: 'one' } }) },
      { type: 'connection', name: 'two', handler: (_ws, _request, metadata: Metadata) => ({ user: { id: 'two' }, seen: metadata.user }) },
      { type: 'connection', name: 'none', handler: () => ({ user: undefined, plan: 'free' }) },
      { type: 'connection', name: 'nothing', handler: () => ({ user: null }) },
    ] });

    await connect(url);

    expect(only(manager).user).to.deep.equal({ id: 'two' });
    expect(only(manager).metadata).to.deep.equal({ ip: '127.0.0.1', seen: undefined, plan: 'free' });
  });

  it('HOSTILE 42: is required to have an id: two clients without one are both refused', async () => {
    const { manager, url } = await start({ use: [ways['returned by a connection layer']!({ name: 'Ann' })] });
    manager.on('error', () => { /* USER_INVALID */ });

    const clients = [await connect(url), await connect(url)];

    for (const client of clients) expect((await soon(client.closed)).code).to.equal(1011);
    expect(manager.sendToUser('undefined', { type: 'secret' })).to.equal(0);
  });

  it('HOSTILE 42: is checked alike when it is changed while connected', async () => {
    let node!: Node;
    const { manager, url } = await start({ use: [plugin('reader', (context) => void (node = context.node)), { type: 'connection', name: 'door', handler: () => ({ user: { id: 17 } }) }] });
    await connect(url);
    const connection = only(manager);

    for (const user of invalid) expect(() => node.identify(connection, user as never)).to.throw().with.property('code', 'USER_INVALID');
    expect(() => node.identify(connection, { id: '18' })).to.throw().with.property('code', 'USER_MISMATCH');
    node.identify(connection, { id: 17, roles: ['admin'] } as never);

    expect(connection.user).to.deep.equal({ id: '17', roles: ['admin'] });
    expect(manager.sendToUser('17', { type: 'hello' })).to.equal(1);
  });

  it('HOSTILE 42: is a copy of the object that the layer returned', async () => {
    const shared = { id: 'ann', roles: ['member'] };
    const { manager, url } = await start({ use: [ways['returned by a connection layer']!(shared)] });
    await connect(url);

    shared.id = 'bob';
    shared.roles.push('admin');

    expect(only(manager).user).to.deep.equal({ id: 'ann', roles: ['member'] });
    expect(manager.sendToUser('ann', { type: 'hello' })).to.equal(1);
  });

  it('HOSTILE 42: is refused if reading it throws', async () => {
    const { manager, url } = await start({ use: [ways['returned by a connection layer']!({ get id() { return raise(new Error('secret')); } })] });
    const errors: Error[] = [];
    manager.on('error', (error) => void errors.push(error));

    const closed = await soon((await connect(url)).closed);

    expect(closed.code).to.equal(1011);
    expect(closed.reason).to.not.include('secret');
    expect(errors.map(({ message }) => message)).to.deep.equal(['secret']);
  });
});
