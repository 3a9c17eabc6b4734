import { expect } from 'chai';
import { auth } from '../../../handlers/auth-handler.ts';
import { connectionLimits } from '../../../middleware/connection-limits.ts';
import { longPolling } from '../../../plugins/long-polling.ts';
import { connectPolling } from '../../support/polling-client.ts';
import { start, type StartOptions } from '../../support/start.ts';
import { eventually } from '../../support/timing.ts';
import { next, only } from '../../src/start-kernel.ts';

async function startPolling(options: StartOptions = {}, polling = {}) {
  const started = await start({ ...options, use: [longPolling(polling), ...(options.use ?? [])] });
  const http = started.url.replace('ws:', 'http:');
  return { ...started, http, poll: (search = '', more = {}) => connectPolling(started.url + search, more) };
}
const code = (promise: Promise<unknown>): Promise<string> => promise.then(() => 'connected', (error: unknown) => (error as Error).message);

describe('a client over long polling', () => {
  it('exchanges text and binary messages in both directions, in order', async () => {
    const { manager, poll } = await startPolling();
    manager.registerHandler('double', ({ content }) => Number(content) * 2);
    manager.registerHandler('binary', ({ content }, connection) => void connection.send(Buffer.from(content as Buffer).reverse()));
    const client = await poll();

    const replies = await Promise.all(Array.from({ length: 200 }, (_, n) => client.request({ type: 'double', content: n })));
    await client.send(Buffer.of(1, 2, 3));
    const bytes = await client.next('binary');
    for (let n = 0; n < 200; n++) manager.broadcast({ type: 'tick', content: n });
    await eventually('all ticks', () => client.messages.filter(({ type }) => type === 'tick').length === 200);

    expect(replies.map(({ content }) => content as number)).to.deep.equal(Array.from({ length: 200 }, (_, n) => 2 * n));
    expect(bytes.content).to.deep.equal(Buffer.of(3, 2, 1));
    expect(client.messages.filter(({ type }) => type === 'tick').map(({ content }) => content as number))
      .to.deep.equal(Array.from({ length: 200 }, (_, n) => n));
  });

  it('sends and receives messages that are longer than one request', async () => {
    const { manager, poll } = await startPolling({ outbox: { limit: 4_000_000 } });
    manager.registerHandler('long', ({ content }) => content as string);
    const client = await poll();
    const content = 'ä'.repeat(200_000);

    const reply = await client.request({ type: 'long', content }, 5_000);

    expect(reply.content).to.equal(content);
  });

  it('gets the close code and the reason of the server, and the server those of the client', async () => {
    const { manager, poll } = await startPolling();
    const [kicked, leaves] = [await poll(), await poll()];
    const [first] = [...manager.connections.values()];
    first!.close(4010, 'bye');
    const closed = await kicked.closed;
    await eventually('its end', () => manager.connections.size === 1);
    const removed = next(manager, 'connection:removed');
    leaves.ws.close(4321, 'gone');

    expect(closed).to.deep.equal({ code: 4010, reason: 'bye' });
    expect((await removed)[1]).to.deep.equal({ code: 4321, reason: 'gone' });
  });

  it('is closed with 1009 for a message above maxPayload', async () => {
    const { poll } = await startPolling({ maxPayload: 1_000 });
    const long = await poll();

    await long.send('x'.repeat(1_001));

    expect((await long.closed).code).to.equal(1009);
  });

  it('is refused by origins, auth and connection-limits like any other', async () => {
    const users = auth({ authenticate: (token: string) => (token === 'good' ? { id: 'ann' } : undefined) });
    const { manager, poll } = await startPolling({ use: [users, connectionLimits({ maxPerIP: 1 })] });

    const none = await code(poll());
    const foreign = await code(poll('?token=good', { headers: { origin: 'https://evil.example' } }));
    await poll('?token=good');
    const second = await code(poll('?token=good'));

    expect(none).to.include('401 AUTH_REQUIRED');
    expect(foreign).to.include('403 ORIGIN_REFUSED');
    expect(second).to.include('429 TOO_MANY_CONNECTIONS');
    expect(only(manager).user).to.include({ id: 'ann' });
  });

  it('gets 4200 from stop(), which does not wait long for it', async () => {
    const { manager, poll } = await startPolling({ drainTimeout: 60_000 });
    const client = await poll();

    // Less than the time limit of a test.
    await manager.stop();

    expect((await client.closed).code).to.equal(4200);
  });

  it('stays connected over heartbeats, and is removed when it stops polling', async () => {
    const { manager, poll } = await startPolling({ heartbeat: { interval: 60, timeout: 60 } });
    const client = await poll();
    await client.request({ type: 'ping' });
    await eventually('four pings', () => only(manager).age > 300);
    const removed = next(manager, 'connection:removed');

    (client.ws as unknown as { kill(): void }).kill();

    expect((await removed)[1].code).to.be.oneOf([4109, 1006]);
  });

  it('waits while too many of its messages wait to be handled, and loses none', async () => {
    const { manager, poll } = await startPolling({ message: { maxWaiting: 4 } });
    const seen: number[] = [];
    manager.registerHandler('slow', async ({ content }) => {
      await new Promise((resolve) => setImmediate(resolve));
      seen.push(Number(content));
    });
    const client = await poll();

    for (let n = 0; n < 500; n++) void client.send({ type: 'slow', content: n, padding: 'x'.repeat(500) });
    await eventually('all', () => seen.length === 500, 8_000);

    expect(seen).to.deep.equal(Array.from({ length: 500 }, (_, n) => n));
  });

  it('refuses `cors` origins that are not origins of pages', () => {
    for (const origin of ['https://*.example.com', 'https://app.example.com/', 'app.example.com']) {
      expect(() => longPolling({ cors: { origins: [origin] } }), origin).to.throw().with.property('code', 'OPTION_INVALID');
    }
    expect(() => longPolling({ cors: { origins: ['https://app.example.com'] } })).not.to.throw();
  });

  it('leaves nothing behind when the plugin is unloaded', async () => {
    const { manager, poll } = await startPolling();
    const client = await poll();
    await eventually('its poll', () => manager.getMetrics().plugins['long-polling']?.['waiting'] === 1);

    await manager.unload('long-polling');

    expect((await client.closed).code).to.equal(1006);
    await eventually('no connection', () => manager.connections.size === 0);
  });
});
