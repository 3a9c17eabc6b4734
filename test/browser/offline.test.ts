import { once } from 'node:events';
import { expect } from 'chai';
import { WebSocketModule } from '../../index.ts';
import { history } from '../../plugins/history.ts';
import { recovery } from '../../plugins/recovery.ts';
import { browse } from '../support/browse.ts';
import { cleanup } from '../support/cleanup.ts';
import { clientPage } from '../support/client-page.ts';
import { eventually } from '../support/timing.ts';
import { tool } from '../support/tools.ts';

/** A page with the client, its outbox and its persistence, as user ada. */
async function site() {
  const { server, port } = await clientPage(`export { WebSocketClient } from './client/index.ts'; export * from './client/offline.ts'`);
  const manager = WebSocketModule.create({ server });
  manager.use({ type: 'connection', name: 'login', handler: () => ({ user: { id: 'ada' } }) });
  manager.use([history({ topics: { news: {} }, canRead: () => true }), recovery()]);
  await manager.ready();
  const handled: unknown[] = [];
  manager.registerHandler('note', ({ content }) => { handled.push(content); });
  let resumed = 0;
  manager.on('recovery:resumed', () => { resumed++; });
  cleanup(() => manager.stop());
  const { page } = await browse(tool('chromium'), { width: 800, height: 600 });
  const open = async (one = page) => {
    await one.goto(`http://127.0.0.1:${port}/`);
    await one.waitForFunction('window.WebSocketClient !== undefined');
    await one.evaluate(`
      window.outbox = indexedDbOutbox();
      window.news = [];
      window.client = new WebSocketClient({
        url: 'ws://127.0.0.1:${port}/ws', state: { user: 'ada', offline: outbox, persistence: persistence() },
      });
      client.on('news', (content) => void news.push(content));
    `);
  };
  /** Writes without a connection, and resolves when the database has it. */
  const write = (contents: number[]) => page.evaluate(`(async () => {
    for (const content of ${JSON.stringify(contents)}) client.send({ type: 'note', content }).catch(() => {});
    const database = await new Promise((resolve) => {
      outbox.entries().then(async () => {
        const [{ name }] = await indexedDB.databases();
        const request = indexedDB.open(name);
        request.onsuccess = () => resolve(request.result);
      });
    });
    const count = () => new Promise((resolve) => {
      const request = database.transaction('messages').objectStore('messages').count();
      request.onsuccess = () => resolve(request.result);
    });
    while (await count() < ${contents.length});
    database.close();
  })()`);
  const say = (content: unknown) => manager.api('history').append('news', { type: 'news', content });
  return { page, open, write, say, manager, handled, resumed: () => resumed };
}

describe('a page with an outbox and persistence', function () {
  this.timeout(60_000);

  it('delivers what it wrote offline after a reload, once and in order', async () => {
    const { page, open, write, handled } = await site();
    await open();
    await write([1, 2, 3]);

    await open();
    const states = await page.evaluate('outbox.entries().then((entries) => entries.map(({ state }) => state))');
    await page.evaluate('client.connect()');
    await eventually('all are handled', () => handled.length === 3);

    expect(states).to.deep.equal(['queued', 'queued', 'queued']);
    expect(handled).to.deep.equal([1, 2, 3]);
  });

  it('delivers what a page wrote that crashed', async () => {
    const { page, open, write, handled } = await site();
    await open();
    await write([1, 2]);
    const other = await page.context().newPage();

    // The renderer dies: no event of the page runs.
    page.goto('chrome://crash').catch(() => undefined);
    await once(page as never, 'crash');
    await open(other);
    await other.evaluate('client.connect()');
    await eventually('all are handled', () => handled.length === 2);

    expect(handled).to.deep.equal([1, 2]);
  });

  it('lets two tabs send each message once', async () => {
    const { page, open, handled } = await site();
    const other = await page.context().newPage();
    await open();
    await open(other);
    await Promise.all([page, other].map((one) => one.evaluate('client.connect()')));

    await Promise.all([page, other].map((one, index) => one.evaluate(
      `Promise.all(Array.from({ length: 20 }, (_, content) => client.send({ type: 'note', content: content + ${index * 20} })))`)));

    expect([...handled].sort((a, b) => Number(a) - Number(b))).to.deep.equal(Array.from({ length: 40 }, (_, index) => index));
  });

  it('resumes its session after a reload, and gets what it missed', async () => {
    const { page, open, say, manager, resumed } = await site();
    await open();
    await page.evaluate('client.connect().then(() => client.subscribe("news"))');
    await say(1);
    await page.waitForFunction('news.length === 1');

    await page.goto('about:blank');
    await eventually('the page is gone', () => manager.connections.size === 0);
    await say(2);
    await open();
    await page.evaluate('client.connect()');
    await page.waitForFunction('news.length === 1');

    expect(await page.evaluate('news')).to.deep.equal([2]);
    expect(resumed()).to.equal(1);
  });
});
