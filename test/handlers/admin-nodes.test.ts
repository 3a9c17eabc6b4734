import { expect } from 'chai';
import { MemoryAdapter } from '../../adapters/memory.ts';
import { admin, type AdminOptions, type BanStore } from '../../handlers/admin.ts';
import type { User } from '../../index.ts';
import { permissions } from '../../middleware/permissions.ts';
import { UpgradeRefused, type Client } from '../support/client.ts';
import { knowEachOther } from '../support/nodes.ts';
import { start } from '../support/start.ts';
import { eventually } from '../support/timing.ts';

const who = { type: 'connection' as const, name: 'who', handler: (_ws: unknown, { url }: { url: string }) => {
  const user = new URL(url, 'http://host').searchParams.get('user');
  return user ? { user: JSON.parse(user) as User } : undefined;
} };

/** Nodes of one bus, added one by one. */
function nodes(options: AdminOptions = {}) {
  const bus = {};
  return async (nodeId: string) => {
    const started = await start({
      adapter: new MemoryAdapter(bus), nodeId, trustProxy: ['127.0.0.1'],
      use: [who, permissions({ roles: { owner: ['*'], admin: ['*'] } }), admin({ ranks: ['owner', 'admin'], ...options })],
    });
    const as = (id?: string, roles: readonly string[] = [], ip?: string) => started.connect({
      ...(id !== undefined && { search: `?user=${encodeURIComponent(JSON.stringify({ id, roles }))}` }),
      ...(ip && { headers: { 'x-forwarded-for': ip } }),
    });
    return { ...started, as, api: () => started.manager.api('admin') };
  };
}

async function two(options: AdminOptions = {}) {
  const node = nodes(options);
  const [a, b] = [await node('a'), await node('b')];
  await knowEachOther(a, b);
  return [a, b] as const;
}

const answer = async (client: Client, message: { type: string; [field: string]: unknown }) => {
  const { content } = await client.request(message);
  return content.code ?? content;
};
const codes = (clients: readonly Client[]) => Promise.all(clients.map(async (client) => (await client.closed).code));
const outcome = (connecting: Promise<Client>) =>
  connecting.then(() => 'accepted', (error: unknown) => error instanceof UpgradeRefused ? error.status : error);

describe('admin on several nodes', () => {
  it('kicks a user, a connection or an address on any node', async () => {
    const [a, b] = await two();
    const root = await a.as('root', ['admin']);
    const user = [await a.as('ann'), await b.as('ann')];
    const single = await b.as('bob');
    const [bobId] = [...b.manager.connections.values()].filter((one) => one.user?.id === 'bob').map(({ id }) => id);
    const guest = await b.as(undefined, [], '198.51.100.7');

    const kicked = [
      await answer(root, { type: 'admin-kick', userId: 'ann', reason: 'noise' }),
      await answer(root, { type: 'admin-kick', connectionId: bobId }),
      await answer(root, { type: 'admin-kick', address: '198.51.100.7' }),
    ];

    expect(kicked).to.deep.equal([{ closed: 2 }, { closed: 1 }, { closed: 1 }]);
    expect(await codes([...user, single, guest])).to.deep.equal(Array(4).fill(4010));
    expect((await user[1]!.next('kicked')).content).to.deep.equal({ reason: 'noise' });
    expect(await answer(root, { type: 'admin-kick', userId: 'ann' })).to.equal('TARGET_UNKNOWN');
    expect(await answer(root, { type: 'admin-kick', connectionId: bobId })).to.equal('TARGET_UNKNOWN');
  });

  it('protects higher ranks and the actor on all nodes, before anything is closed on any', async () => {
    const [a, b] = await two();
    const root = await a.as('root', ['admin']);
    const own = await b.as('root', ['admin']);
    const [here, there] = [await a.as('boss', []), await b.as('boss', ['owner'])];

    const verdicts = [
      await answer(root, { type: 'admin-kick', userId: 'boss' }), await answer(root, { type: 'admin-ban', userId: 'boss' }),
      await answer(root, { type: 'admin-kick', connectionId: [...b.manager.connections.values()].find(({ user }) => user?.id === 'root')!.id }),
    ];

    expect(verdicts).to.deep.equal(['FORBIDDEN', 'FORBIDDEN', 'SELF_ACTION']);
    expect([own, here, there].every(({ ws }) => ws.readyState === ws.OPEN)).to.equal(true);
  });

  it('bans on all nodes, and on those that join later, until the ban ends or is lifted', async () => {
    const node = nodes();
    const [a, b] = [await node('a'), await node('b')];
    await knowEachOther(a, b);
    const victim = await b.as('ann');

    const banned = await a.api().ban({ userId: 'ann' }, { duration: 60_000 });
    const c = await node('c');
    await eventually('the third node to know', () => c.api().isBanned({ userId: 'ann' }));

    expect(banned.closed).to.equal(1);
    expect((await victim.closed).code).to.equal(4000);
    expect(await codes([await b.as('ann'), await c.as('ann')])).to.deep.equal([4000, 4000]);
    expect(await c.api().unban({ userId: 'ann' })).to.deep.equal({ lifted: true });
    expect(await Promise.all([a, b, c].map(({ api }) => api().isBanned({ userId: 'ann' })))).to.deep.equal([false, false, false]);
  });

  it('bans the user of a connection on another node', async () => {
    const [a, b] = await two();
    const victim = await b.as('ann');
    const [id] = b.manager.connections.keys();

    await a.api().ban({ connectionId: id! });

    expect((await victim.closed).code).to.equal(4000);
    expect((await (await a.as('ann')).closed).code).to.equal(4000);
  });

  it('bans an address on all nodes, before the handshake', async () => {
    const [a, b] = await two();

    await a.api().ban({ address: '198.51.100.7' });

    await eventually('the other node to know', () => b.api().isBanned({ address: '198.51.100.7' }));
    expect(await outcome(b.as(undefined, [], '198.51.100.7'))).to.equal(403);
  });

  it('writes a ban once if the nodes share a store, and closes connections on all nodes', async () => {
    const written: string[] = [];
    const bans = new Set<string>();
    const store: BanStore = {
      has: (key) => bans.has(key),
      add(key) {
        written.push(key);
        bans.add(key);
      },
      delete(key) {
        written.push(`no ${key}`);
        return bans.delete(key);
      },
    };
    const [a, b] = await two({ bans: store });
    const victim = await b.as('ann');

    const { closed } = await a.api().ban({ userId: 'ann' });
    await a.api().unban({ userId: 'ann' });

    expect([closed, (await victim.closed).code]).to.deep.equal([1, 4000]);
    expect(written).to.deep.equal(['user:ann', 'no user:ann']);
  });

  it('reports a node that does not answer, and acts on the others', async () => {
    const [a, b] = await two();
    const errors: (Error & { code?: string })[] = [];
    a.manager.on('error', (error) => errors.push(error));
    await b.manager.unload('admin');
    const here = await a.as('ann');

    const { closed } = await a.api().kick({ userId: 'ann' });

    expect([closed, (await here.closed).code]).to.deep.equal([1, 4010]);
    expect(new Set(errors.map(({ code }) => code))).to.deep.equal(new Set(['CHANNEL_UNKNOWN']));
  });
});
