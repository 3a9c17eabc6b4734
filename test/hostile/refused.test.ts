import { expect } from 'chai';
import { ModuleError, type ConnectionLayer, type UpgradeLayer } from '../../src/index.ts';
import { echoServer, type EchoServer } from '../support/echo-server.ts';
import { CLOSE, CONTINUATION, frame, TEXT } from '../support/frames.ts';
import { handshake, type Raw, raw, rawWebSocket } from '../support/raw.ts';
import { eventually, withinAllowance } from '../support/timing.ts';
import { raise } from '../src/start-kernel.ts';

const MAX = 50;
const CLIENTS = 600;
/** What row 39 grants a refused client that does not go. */
const GONE_WITHIN = 1_500;

const refuse = (status: number): UpgradeLayer => ({ type: 'upgrade', name: 'no', handler: () => raise(new ModuleError('NO', {}, { status })) });

const layers: Readonly<Record<string, UpgradeLayer | ConnectionLayer>> = {
  'a connection layer that throws': { type: 'connection', name: 'no', handler: () => raise(new ModuleError('NO')) },
  'a connection layer that returns false': { type: 'connection', name: 'no', handler: async () => false },
  'a connection layer that gives no user': { type: 'connection', name: 'no', handler: () => ({ user: 'ann' }) },
  'an upgrade layer, for a browser': refuse(401),
};

/** One that takes what it is told, answers no close frame and never ends its side. */
async function stubborn(server: EchoServer): Promise<Raw> {
  const client = await raw(server, { answerClose: false });
  await client.write(handshake(server, { headers: { Origin: `http://127.0.0.1:${server.port}` } }));
  await client.answer();
  return client;
}

describe('HOSTILE 39: clients refused after the handshake', () => {
  for (const [name, layer] of Object.entries(layers)) {
    it(`HOSTILE 39: count in maxConnections until they are closed, and are closed in time: ${name}`, () => withinAllowance(6, async () => {
      const server = await echoServer({ maxConnections: MAX, use: [layer] });
      const clients: Raw[] = [];

      const begin = performance.now();
      for (let index = 0; index < CLIENTS; index++) clients.push(await stubborn(server));
      const refused = performance.now() - begin;
      await Promise.all(clients.map(async (client) => client.end()));
      const gone = performance.now() - begin - refused;

      const introduced = clients.filter(({ response }) => response?.status === 101);
      // A place is free again after a second.
      expect(introduced).to.have.lengthOf.within(MAX, MAX * (1 + Math.floor(refused / 1_000)));
      expect(clients.filter(({ response }) => response?.status === 503)).to.have.lengthOf(CLIENTS - introduced.length);
      for (const { frames } of introduced) expect(frames.map(({ opcode }) => opcode)).to.deep.equal([CLOSE]);
      await eventually('a free place', async () => (await stubborn(server)).response?.status === 101);
      return { 'ms until they are closed': { value: gone, allowed: GONE_WITHIN } };
    })).timeout(60_000);
  }

  it('HOSTILE 39: are closed in time even during a message that never ends', () => withinAllowance(6, async () => {
    const server = await echoServer({ maxConnections: MAX, use: [layers['a connection layer that throws']!] });
    const clients = await Promise.all(Array.from({ length: MAX }, async () => stubborn(server)));
    const begin = performance.now();

    await Promise.all(clients.map(async (client) => {
      const drip = setInterval(() => void client.write(frame(CONTINUATION, 'x'.repeat(1_000), { fin: false })), 20);
      await client.write(frame(TEXT, '{', { fin: false }));
      await client.end().finally(() => clearInterval(drip));
    }));

    return { 'ms until they are closed': { value: performance.now() - begin, allowed: GONE_WITHIN } };
  }));

  it('HOSTILE 39: leave nothing behind after they are closed', async () => {
    const server = await echoServer({ use: [layers['a connection layer that throws']!] });
    const before = server.manager.inspect();
    const client = await stubborn(server);
    const polite = await raw(server);
    await polite.write(handshake(server));

    await Promise.all([client.end(), polite.end()]);

    await eventually('what was there before', () => {
      expect(server.manager.inspect()).to.deep.equal(before);
      return true;
    });
  });

  it('HOSTILE 39: do not delay stop() with a message that never ends after they are admitted', () => withinAllowance(6, async () => {
    const server = await echoServer({ drainTimeout: 300 });
    const clients = await Promise.all(Array.from({ length: 10 }, async () => rawWebSocket(server, { answerClose: false })));
    for (const client of clients) await client.write(frame(TEXT, '{"type":"', { fin: false }));
    await eventually('all of them', () => server.count() === clients.length);

    const begin = performance.now();
    await server.manager.stop();

    const elapsed = performance.now() - begin;
    await Promise.all(clients.map(async (client) => client.end()));
    return { 'ms to stop': { value: elapsed, allowed: 300 + 1_000 } };
  }));

  it('HOSTILE 39: do not outlive stop()', () => withinAllowance(6, async () => {
    const server = await echoServer({ use: [layers['a connection layer that throws']!], drainTimeout: 300 });
    const clients = await Promise.all(Array.from({ length: 10 }, async () => stubborn(server)));

    const begin = performance.now();
    await server.manager.stop();
    await Promise.all(clients.map(async (client) => client.end()));

    return { 'ms to stop': { value: performance.now() - begin, allowed: 300 + 1_000 } };
  }));
});
