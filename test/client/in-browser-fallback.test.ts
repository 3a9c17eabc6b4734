import { expect } from 'chai';
import { WebSocketModule } from '../../index.ts';
import { longPolling } from '../../plugins/long-polling.ts';
import { history } from '../../plugins/history.ts';
import { recovery } from '../../plugins/recovery.ts';
import { browse } from '../support/browse.ts';
import { cleanup } from '../support/cleanup.ts';
import { clientPage } from '../support/client-page.ts';
import { eventually } from '../support/timing.ts';
import { tool } from '../support/tools.ts';
import { webProxy, type WebProxyRules } from '../support/web-proxy.ts';

/** A page with the client, in two files as the package has them. Everything goes through a proxy. */
async function site(rules: Partial<WebProxyRules>) {
  const { server, port, loaded } = await clientPage(`export * from './client/index.ts'`);
  const manager = WebSocketModule.create({ server, origins: '*', outbox: { limit: 10_000_000 }, drainTimeout: 200 });
  manager.use([longPolling(), history({ topics: { 'news:*': {} }, canRead: () => true }), recovery({ maxAnswers: 1_000 })]);
  await manager.ready();
  cleanup(() => manager.stop());
  const proxy = await webProxy(port, rules);
  const { page } = await browse(tool('chromium'), { width: 800, height: 600 });
  await page.goto(`http://127.0.0.1:${proxy.port}/`);
  const config = (more = '') => `{
    url: 'ws://127.0.0.1:${proxy.port}/ws', transport: { polling: { enabled: true, interval: 20 } }, reconnect: { initialDelay: 20 }, ${more}
  }`;
  return { page, manager, proxy, loaded, config };
}

const numbers = (count: number, from = 0) => Array.from({ length: count }, (_, n) => from + n);

describe('a client with long polling in Chromium', function () {
  this.timeout(30_000);

  for (const upgrades of ['refuse', 'hang', 'mute'] as const) {
    it(`polls where upgrades ${upgrades}, and loads the code for it`, async () => {
      const { page, manager, loaded, config } = await site({ upgrades });
      manager.registerHandler('binary', ({ content }, connection) => void connection.send(Buffer.from(content as Buffer).reverse()));

      const [transport, type, bytes] = await page.evaluate<[string, string, number[]]>(`(async () => {
        const client = new WebSocketClient(${config('connectTimeout: 500')});
        await client.connect();
        const { type } = await client.request({ type: 'ping' });
        const back = new Promise((resolve) => client.on('binary', resolve));
        await client.send(Uint8Array.of(1, 2, 3));
        return [client.getState().transport, type, [...await back]];
      })()`);

      expect([transport, type]).to.deep.equal(['polling', 'pong']);
      expect(bytes).to.deep.equal([3, 2, 1]);
      expect(loaded).to.include('/polling.js');
    });
  }

  it('loads no code for long polling where it is off', async () => {
    const { page, loaded, proxy } = await site({});

    await page.evaluate(`new WebSocketClient('ws://127.0.0.1:${proxy.port}/ws').connect()`);

    expect(loaded).not.to.include('/polling.js');
  });

  it('waits behind a portal, and loses nothing that was written meanwhile', async () => {
    const { page, manager, proxy, config } = await site({});
    const notes: unknown[] = [];
    manager.registerHandler('note', ({ content }) => void notes.push(content));
    // The portal appears after the page has been loaded; the code for long polling cannot be loaded any more.
    proxy.answers = 'html';
    await page.evaluate(`(() => {
      window.client = new WebSocketClient(${config()});
      client.on('error', () => undefined);
      client.send({ type: 'note', content: 1 });
      client.connect();
    })()`);
    await eventually('attempts', () => proxy.upgradeCount >= 2);

    proxy.answers = 'pass';
    await eventually('the note', () => notes.length > 0);

    expect(notes).to.deep.equal([1]);
    expect(await page.evaluate('client.getState().transport')).to.equal('websocket');
  });

  it('changes the transport in a burst, in both directions, and loses, doubles and reorders nothing', async () => {
    const { page, manager, proxy, config } = await site({});
    const notes: number[] = [];
    manager.registerHandler('note', ({ content }) => void notes.push(content as number));
    await page.evaluate(`(async () => {
      window.news = [];
      window.client = new WebSocketClient(${config()});
      client.on('error', () => undefined);
      client.on('news', (content) => news.push(content));
      await client.connect();
      await client.subscribe('news:a');
    })()`);
    const publish = async (from: number) => {
      for (const content of numbers(100, from)) await manager.api('history').append('news:a', { type: 'news', content });
    };
    const send = (from: number) => page.evaluate(`Promise.all(${JSON.stringify(numbers(100, from))}.map((content) => client.send({ type: 'note', content })))`);

    const sent = [send(0)];
    const first = publish(0);
    await eventually('the middle', () => notes.length > 10);
    proxy.upgrades = 'refuse';
    proxy.cut();
    sent.push(send(100));
    await first;
    await publish(100);
    await Promise.all(sent);
    await eventually('all news', async () => await page.evaluate<number>('news.length') >= 200);

    expect(await page.evaluate('client.getState().transport')).to.equal('polling');
    expect(await page.evaluate('news')).to.deep.equal(numbers(200));
    expect(notes).to.deep.equal(numbers(200));
  });

  it('ends its session when the page is left', async () => {
    const { page, manager, config } = await site({ upgrades: 'refuse' });
    await page.evaluate(`new WebSocketClient(${config()}).connect()`);
    const removed = new Promise<number>((resolve) => { manager.on('connection:removed', (_, { code }) => resolve(code)); });
    const since = performance.now();

    await page.goto('about:blank');

    expect(await removed).to.equal(1000);
    expect(performance.now() - since, 'long before its timeout').to.be.below(5_000);
  });
});
