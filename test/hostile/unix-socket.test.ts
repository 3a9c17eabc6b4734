import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { createServer } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import { WebSocketModule } from '../../index.ts';
import { admin } from '../../handlers/admin.ts';
import { connectionLimits } from '../../middleware/connection-limits.ts';
import { permissions } from '../../middleware/permissions.ts';
import { rateLimit } from '../../middleware/rate-limit.ts';
import { cleanup } from '../support/cleanup.ts';
import { type Client, connect, UpgradeRefused } from '../support/client.ts';
import { echoServer } from '../support/echo-server.ts';
import { rawWebSocket } from '../support/raw.ts';
import { close, type StartOptions } from '../support/start.ts';
import { recorder } from '../src/start-kernel.ts';

/** A server on a unix socket, as behind nginx with `proxy_pass http://unix:…`. */
async function unixServer({ use = [], ...options }: StartOptions = {}) {
  const folder = await mkdtemp(join(tmpdir(), 'sockets-'));
  const path = process.platform === 'win32' ? `\\\\?\\pipe\\${folder}` : join(folder, 'app.sock');
  const server = createServer();
  const manager = WebSocketModule.create({ server, ...options });
  cleanup(() => rm(folder, { recursive: true, force: true }));
  cleanup(() => close(server));
  cleanup(() => manager.stop());
  manager.use(use);
  manager.registerHandler('who', (_message, { ip }) => ip);
  server.listen(path);
  await once(server, 'listening');
  await manager.ready();
  const join_ = (from?: string): Promise<Client> => connect(`ws+unix:${path}:/ws`, { headers: from === undefined ? {} : { 'X-Forwarded-For': from } });
  return { manager, connect: join_, api: () => manager.api('admin') };
}

const ipOf = async (client: Client): Promise<unknown> => (await client.request({ type: 'who' })).content;
const idOf = async ({ manager, connect: join_ }: Awaited<ReturnType<typeof unixServer>>): Promise<readonly [Client, string]> => {
  const client = await join_();
  return [client, [...manager.connections.keys()].at(-1)!];
};

describe('HOSTILE 16: clients over a unix socket', () => {
  it('HOSTILE 16: have no address if the peer is not trusted, whatever it forwards', async () => {
    const { connect: join_ } = await unixServer({ trustProxy: ['loopback', 'uniquelocal'] });

    expect(await ipOf(await join_())).to.equal('');
    expect(await ipOf(await join_('203.0.113.9'))).to.equal('');
  });

  it('HOSTILE 16: have the forwarded address if the peer is trusted', async () => {
    const { connect: join_ } = await unixServer({ trustProxy: ['unix', 'uniquelocal'] });

    expect(await ipOf(await join_('1.2.3.4, 203.0.113.9, 10.0.0.1'))).to.equal('203.0.113.9');
    expect(await ipOf(await join_('203.0.113.9:4001'))).to.equal('203.0.113.9');
    expect(await ipOf(await join_())).to.equal('');
    expect(await ipOf(await join_('unix'))).to.equal('');
  });

  it('HOSTILE 16: cause one log line that names the option to trust the peer', async () => {
    const logger = recorder();
    const { connect: join_ } = await unixServer({ logger });

    await join_('203.0.113.9');
    await join_('203.0.113.9');

    expect(logger.lines.filter((line) => line.includes('trustProxy: [\'unix\']'))).to.have.lengthOf(1);
  });

  it('HOSTILE 16: are not trusted by that name over TCP', async () => {
    const server = await echoServer({ trustProxy: ['unix'] });
    await rawWebSocket(server, { headers: { 'X-Forwarded-For': '203.0.113.9' } });

    expect([...server.manager.connections.values()].map(({ ip }) => ip)).to.deep.equal(['127.0.0.1']);
  });

  it('HOSTILE 16: are not banned together: one of them can be kicked, and a ban of an unknown address is rejected', async () => {
    const both = await unixServer({ use: [permissions(), admin()] });
    const [victim, victimId] = await idOf(both);
    const [other] = await idOf(both);

    const error = await both.api().ban({ userId: victimId }).catch((failure: unknown) => failure);
    const { closed } = await both.api().kick({ userId: victimId });

    expect(error).to.have.property('code', 'ADDRESS_UNKNOWN');
    expect(closed).to.equal(1);
    expect((await victim.closed).code).to.equal(4010);
    expect(await ipOf(other)).to.equal('');
    expect(await both.api().isBanned({ connectionId: (await idOf(both))[1] })).to.equal(false);
    expect(await both.api().unban({ connectionId: (await idOf(both))[1] })).to.deep.equal({ lifted: false });
  });

  it('HOSTILE 16: are banned one by one if the peer is trusted', async () => {
    const both = await unixServer({ trustProxy: ['unix'], use: [permissions(), admin()] });
    const victim = await both.connect('203.0.113.1');
    const victimId = [...both.manager.connections.keys()][0]!;
    const other = await both.connect('203.0.113.2');

    await both.api().ban({ userId: victimId });
    const again = await both.connect('203.0.113.1').catch((failure: unknown) => failure as UpgradeRefused);

    expect((await victim.closed).code).to.equal(4000);
    expect(again).to.be.instanceOf(UpgradeRefused).and.to.include({ status: 403 });
    expect(await ipOf(other)).to.equal('203.0.113.2');
  });

  it('HOSTILE 16: are not limited together', async () => {
    const { connect: join_ } = await unixServer({ use: [connectionLimits({ maxPerIP: 1, maxPerWindow: 1 }), rateLimit({ by: 'ip', maxPerSecond: 0.01, muteAfter: 100 })] });
    const clients = [await join_(), await join_(), await join_()];

    for (const client of clients) expect(await ipOf(client)).to.equal('');
    expect((await clients[0]!.request({ type: 'who' })).content).to.include({ code: 'RATE_LIMITED' });
  });

  it('HOSTILE 16: are not counted together by a namespace', async () => {
    const { manager, connect: join_ } = await unixServer();
    manager.use('namespaces', { namespaces: { '/chat': { rateLimit: { connectionsPerIP: 1 } } } });
    await manager.ready();

    for (const client of [await join_(), await join_()]) {
      const joined = await client.request({ type: 'connect', namespace: '/chat' });
      expect(joined.type, JSON.stringify(joined)).to.not.equal('error');
    }
  });
});
