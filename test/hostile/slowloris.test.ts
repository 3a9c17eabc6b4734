import type { AddressInfo } from 'node:net';
import { expect } from 'chai';
import { WebSocketModule } from '../../index.ts';
import { cleanup } from '../support/cleanup.ts';
import { echoServer } from '../support/echo-server.ts';
import { DEADLINE, handshake, raw, rawWebSocket } from '../support/raw.ts';
import { allowance, kinds, loris, slowloris, slowlorisControl, tarpit } from '../support/slowloris.ts';
import { eventually, withinAllowance } from '../support/timing.ts';

/** On a server that is shared, the time for a request's head is for its owner to set; Node looks at it once per interval. */
const http = { headersTimeout: 500, connectionsCheckingInterval: 500 };
const TIMEOUT = 500;
/** What row 5 grants beyond the timeout. */
const GRACE = 600;

describe('HOSTILE 5: slowloris', () => {
  for (const kind of kinds) {
    it(`HOSTILE 5: closes a ${kind} client at the handshake timeout, on a server of its own`, () => withinAllowance(6, async () => {
      const manager = WebSocketModule.create({ port: 0, host: '127.0.0.1', handshakeTimeout: TIMEOUT });
      cleanup(() => manager.stop());
      manager.use(tarpit);
      await manager.start();

      const lasted = await loris({ port: (manager.address() as AddressInfo).port }, kind, DEADLINE);

      expect(lasted).to.be.at.least(TIMEOUT / 2);
      return { 'ms until it is closed': { value: lasted, allowed: TIMEOUT + GRACE } };
    })).timeout(60_000);
  }

  it('HOSTILE 5: destroys an upgrade that another listener has taken and never answers', () => withinAllowance(6, async () => {
    const server = await echoServer({ handshakeTimeout: TIMEOUT });
    server.server.on('upgrade', () => { /* takes it, and forgets it */ });
    const client = await raw(server);
    const start = performance.now();

    await client.write(handshake({ ...server, path: '/forgotten' }));

    await client.end();
    const lasted = performance.now() - start;

    expect(lasted).to.be.at.least(TIMEOUT / 2);
    return { 'ms until it is closed': { value: lasted, allowed: TIMEOUT + GRACE } };
  }));

  it('HOSTILE 5: closes a client whose connection layer never settles', () => withinAllowance(6, async () => {
    const server = await echoServer({
      handshakeTimeout: TIMEOUT, use: [{ type: 'connection', name: 'stuck', handler: () => new Promise(() => {}) }],
    });
    const client = await rawWebSocket(server);
    const start = performance.now();

    await client.end();
    const lasted = performance.now() - start;

    expect(lasted).to.be.at.least(TIMEOUT / 2);
    expect(server.count()).to.equal(0);
    return { 'ms until it is closed': { value: lasted, allowed: TIMEOUT + GRACE } };
  }));

  it('HOSTILE 5: does not close an admitted connection', async () => {
    const server = await echoServer({ handshakeTimeout: 100, use: [tarpit] });
    const client = await rawWebSocket(server);

    await loris(server, 'unanswered', TIMEOUT);

    expect(client.ended).to.equal(false);
    expect(server.count()).to.equal(1);
  });

  it('HOSTILE 5: serves other clients while 30 of each kind are connected', async () => {
    const server = await echoServer({ handshakeTimeout: TIMEOUT, use: [tarpit], http });

    await withinAllowance(6, async () => {
      const [control, { longest, idle, attacked }] = await Promise.all([
        slowlorisControl(http, 30, TIMEOUT + GRACE + 2_000), slowloris(server, kinds, 30, TIMEOUT + GRACE + 2_000),
      ]);
      const { held, connect } = allowance(control, idle, TIMEOUT + GRACE);
      return {
        'honest handshakes, p99 in ms': { value: attacked, allowed: connect },
        ...Object.fromEntries(kinds.map((kind) => [`${kind} ones held, in ms`, { value: longest[kind], allowed: held }])),
      };
    });
    await eventually('no connection', () => server.count() === 0 || server.count());
  }).timeout(60_000);
});
