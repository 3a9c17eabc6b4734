import { expect } from 'chai';
import { ModuleError, type Usable } from '../../index.ts';
import type { ClientConfig, WebSocketClient } from '../../client/index.ts';
import history from '../../plugins/history.ts';
import { longPolling } from '../../plugins/long-polling.ts';
import { recovery } from '../../plugins/recovery.ts';
import { redisServer } from '../support/redis.ts';
import { RedisAdapter } from '../../adapters/redis.ts';
import { start, type StartOptions } from '../support/start.ts';
import { knowEachOther } from '../support/nodes.ts';
import { eventually } from '../support/timing.ts';
import { webProxy, type WebProxyRules } from '../support/web-proxy.ts';
import { clientOf, next } from './around.ts';

const polling = { enabled: true, interval: 20, maxInterval: 200 };
const fast = { initialDelay: 20, maxDelay: 100 };

/** A server behind a proxy, and a client of it that may poll. */
async function behind(rules: Partial<WebProxyRules>, options: StartOptions = {}, config: Partial<ClientConfig> = {}) {
  const plugins: Usable[] = [longPolling(), history({ topics: { 'news:*': {} }, canRead: () => true }), recovery({ maxAnswers: 1_000 })];
  const server = await start({ drainTimeout: 200, outbox: { limit: 10_000_000 }, ...options, use: [...plugins, ...options.use ?? []] });
  const proxy = await webProxy(server.port, rules);
  const client = clientOf({ url: `ws://127.0.0.1:${proxy.port}/ws`, reconnect: fast, transport: { polling }, ...config });
  const notes: unknown[] = [];
  server.manager.registerHandler('note', ({ content }) => void notes.push(content));
  return { ...server, proxy, client, notes };
}

const transportOf = (client: WebSocketClient) => client.getState().transport;
const numbers = (count: number, from = 0) => Array.from({ length: count }, (_, n) => from + n);

describe('a client with long polling', () => {
  it('takes WebSocket where it passes, and sends no other request', async () => {
    const { client, proxy } = await behind({});

    await client.connect();

    expect(transportOf(client)).to.equal('websocket');
    expect(proxy.requestCount).to.equal(0);
  });

  for (const upgrades of ['refuse', 'hang', 'mute'] as const) {
    it(`polls where upgrades ${upgrades}, and loses nothing that was written before`, async () => {
      const { client, notes } = await behind({ upgrades }, {}, { connectTimeout: 400 });
      const sent = numbers(20).map((content) => client.send({ type: 'note', content }));

      await client.connect();
      await Promise.all(sent);
      const { type } = await client.request({ type: 'ping' });

      expect(transportOf(client)).to.equal('polling');
      expect(notes).to.deep.equal(numbers(20));
      expect(type).to.equal('pong');
    });
  }

  it('waits behind a portal that answers everything with a page, and takes WebSocket when it is gone', async () => {
    const { client, proxy, notes } = await behind({ answers: 'html' });
    void client.send({ type: 'note', content: 'written before' });

    void client.connect();
    await eventually('attempts by both ways', () => proxy.upgradeCount >= 3 && proxy.methods.includes('POST'));
    const during = client.isConnected;
    proxy.answers = 'pass';
    await next(client, 'open');
    await eventually('the note', () => notes.length > 0);

    expect(during).to.equal(false);
    expect(notes).to.deep.equal(['written before']);
    expect(proxy.methods, 'no session was opened at the portal').not.to.include('GET');
  });

  it('looks at WebSocket again soon, and goes back to it, where the server was only away', async () => {
    const { client, proxy } = await behind({ upgrades: 'refuse' });
    await client.connect();
    const before = transportOf(client);

    proxy.upgrades = 'pass';
    await next(client, 'reconnected');

    expect([before, transportOf(client)]).to.deep.equal(['polling', 'websocket']);
    expect(client.explain().map(({ why }) => why)).to.include('WebSocket passes again');
  });

  it('tries WebSocket once more while it polls, and not with the next reconnects', async () => {
    const { client, proxy, manager } = await behind({ upgrades: 'refuse' });
    await client.connect();
    await eventually('the second look', () => proxy.upgradeCount === 2, 5_000);
    await client.request({ type: 'ping' });

    for (const round of [1, 2]) {
      const again = next(client, 'reconnected');
      for (const connection of manager.connections.values()) connection.close(4100, `round ${round}`);
      await again;
    }

    expect(transportOf(client)).to.equal('polling');
    expect(proxy.upgradeCount).to.equal(2);
  });

  it('never polls after a close code of the server', async () => {
    const refuse: Usable = { type: 'connection', name: 'no', handler: () => { throw new ModuleError('FORBIDDEN'); } };
    const { client, proxy } = await behind({}, { use: [refuse] });

    const failure = await client.connect().catch((error: unknown) => error as Error & { details: object });

    expect((failure as { details: object }).details).to.include({ code: 4003 });
    expect(proxy.requestCount).to.equal(0);
  });

  it('takes a refusal by polling as final, too', async () => {
    const { client, proxy } = await behind({ upgrades: 'refuse' }, { use: [{
      type: 'upgrade', name: 'no', handler: () => { throw new ModuleError('FORBIDDEN'); },
    }] });

    const failure = await client.connect().catch((error: unknown) => error as Error & { details: object });

    expect((failure as { details: object }).details).to.include({ code: 4003 });
    expect([proxy.upgradeCount, proxy.requestCount]).to.deep.equal([1, 1]);
  });

  it('polls only, where WebSocket is switched off', async () => {
    const { client, proxy } = await behind({}, {}, { transport: { websocket: false, polling } });

    await client.connect();

    expect(transportOf(client)).to.equal('polling');
    expect(proxy.upgradeCount).to.equal(0);
  });

  it('needs no answer before its end: a proxy that buffers answers changes nothing', async () => {
    const { client, manager, notes } = await behind({ upgrades: 'refuse', answers: 'buffer' });
    const ticks: number[] = [];
    client.on('tick', (content: number) => ticks.push(content));
    await client.connect();

    const sent = numbers(200).map((content) => client.send({ type: 'note', content }));
    for (const content of numbers(200)) manager.broadcast({ type: 'tick', content });
    await Promise.all(sent);
    await eventually('all ticks', () => ticks.length === 200);

    expect(notes).to.deep.equal(numbers(200));
    expect(ticks).to.deep.equal(numbers(200));
  });

  it('polls more often where connections are cut when they are idle, and stays connected', async () => {
    const { client, manager, proxy } = await behind({ upgrades: 'refuse', idle: 1_100 });
    const ticks: number[] = [];
    client.on('tick', (content: number) => ticks.push(content));
    await client.connect();
    const polls = () => proxy.methods.filter((method) => method === 'GET').length;

    for (const content of numbers(3)) {
      const before = polls();
      await eventually('another poll', () => polls() > before + 1, 8_000);
      manager.broadcast({ type: 'tick', content });
    }
    await eventually('all ticks', () => ticks.length === 3);

    expect(ticks).to.deep.equal([0, 1, 2]);
    expect(client.explain().filter(({ to }) => to === 'connected')).to.have.length(1);
  });

  it('changes the transport in a burst, in both directions, and loses, doubles and reorders nothing', async () => {
    const { client, manager, proxy, notes } = await behind({});
    const news: number[] = [];
    client.on('news', (content: number) => news.push(content));
    await client.connect();
    await client.subscribe('news:a');
    const publish = async (from: number) => {
      for (const content of numbers(100, from)) await manager.api('history').append('news:a', { type: 'news', content });
    };
    const send = (from: number) => numbers(100, from).map((content) => client.send({ type: 'note', content }));

    const sent = send(0);
    const first = publish(0);
    await eventually('the middle', () => news.length > 20 || notes.length > 20);
    proxy.upgrades = 'refuse';
    proxy.cut();
    sent.push(...send(100));
    await first;
    await publish(100);
    await Promise.all(sent);
    await eventually('all news', () => news.length >= 200);

    expect(transportOf(client)).to.equal('polling');
    expect(news).to.deep.equal(numbers(200));
    expect(notes).to.deep.equal(numbers(200));
  });

  it('goes back to WebSocket between two bursts, and loses, doubles and reorders nothing', async () => {
    const { client, manager, proxy, notes } = await behind({ upgrades: 'refuse' });
    const news: number[] = [];
    client.on('news', (content: number) => news.push(content));
    await client.connect();
    await client.subscribe('news:a');
    proxy.upgrades = 'pass';
    const back = next(client, 'reconnected');
    let [isBack, count] = [false, 0];
    void back.then(() => { isBack = true; });

    // A message of each side at a time: the client is idle between two of them only.
    while (!isBack && count < 2_000) {
      const content = count++;
      await Promise.all([client.send({ type: 'note', content }), manager.api('history').append('news:a', { type: 'news', content })]);
      await new Promise((resolve) => { setTimeout(resolve, 5); });
    }
    await eventually('all news', () => news.length >= count);

    expect(transportOf(client)).to.equal('websocket');
    expect(news).to.deep.equal(numbers(count));
    expect(notes).to.deep.equal(numbers(count));
  });

  it('forgets a topic that is left before the answer to its subscription', async () => {
    const { client, manager } = await behind({ upgrades: 'refuse' });
    await client.connect();

    await Promise.all([client.subscribe('news:a'), client.unsubscribe('news:a')]);
    const again = next(client, 'reconnected');
    for (const connection of manager.connections.values()) connection.close(4100, 'again');
    await again;
    await client.request({ type: 'ping' });

    const [connection] = [...manager.connections.values()];
    expect([...(connection as { topics?: Iterable<string> }).topics ?? []].filter((topic) => topic.includes('news'))).to.deep.equal([]);
  });

  it('takes one poll for each message, where they come one at a time', async () => {
    const { client, manager, proxy } = await behind({ upgrades: 'refuse' });
    let ticks = 0;
    client.on('tick', () => { ticks++; });
    await client.connect();
    const waits = () => manager.getMetrics().plugins['long-polling']?.['waiting'] === 1;
    await client.request({ type: 'ping' });
    await eventually('a poll that waits', waits);
    const before = proxy.requestCount;

    for (let count = 1; count <= 20; count++) {
      manager.broadcast({ type: 'tick' });
      await eventually('the next poll', () => ticks === count && waits());
    }

    expect((proxy.requestCount - before) / 20).to.be.at.most(1.5);
  });

  it('polls two nodes behind a round-robin proxy, which share a Redis', async function () {
    this.timeout(20_000);
    const redis = await redisServer();
    const seen: number[] = [];
    const nodes = await Promise.all(['a', 'b'].map(async (nodeId) => {
      const use = [longPolling(), history({ topics: { 'news:*': {} }, canRead: () => true }), recovery({ maxAnswers: 1_000 })];
      const node = await start({ nodeId, adapter: new RedisAdapter({ url: redis.url }), use, drainTimeout: 200 });
      node.manager.registerHandler('note', ({ content }) => void seen.push(content as number));
      return node;
    }));
    await knowEachOther(...nodes);
    const proxy = await webProxy(nodes.map(({ port }) => port), { upgrades: 'refuse' });
    const client = clientOf({ url: `ws://127.0.0.1:${proxy.port}/ws`, reconnect: fast, transport: { polling } });
    const news: number[] = [];
    client.on('news', (content: number) => news.push(content));

    await client.connect();
    await client.subscribe('news:a');
    const sent = numbers(60).map((content) => client.send({ type: 'note', content }));
    for (const content of numbers(60)) await nodes[content % 2]!.manager.api('history').append('news:a', { type: 'news', content });
    await Promise.all(sent);
    await eventually('all news', () => news.length >= 60, 10_000);

    expect(seen).to.deep.equal(numbers(60));
    expect(news).to.deep.equal(numbers(60));
    const requests = nodes.map(({ manager }) => Number(manager.getMetrics().plugins['long-polling']?.['requests']));
    expect(Math.min(...requests), 'requests reached both nodes').to.be.above(5);
  });
});
