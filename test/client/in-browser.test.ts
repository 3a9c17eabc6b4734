import { expect } from 'chai';
import type { Page } from 'playwright-core';
import { WebSocketModule, type WebSocketManager } from '../../index.ts';
import { browse } from '../support/browse.ts';
import { cleanup } from '../support/cleanup.ts';
import { clientPage } from '../support/client-page.ts';
import { faultProxy, type FaultProxy } from '../support/fault-proxy.ts';
import { withinAllowance } from '../support/timing.ts';
import { tool } from '../support/tools.ts';

interface Site { readonly page: Page; readonly manager: WebSocketManager; readonly proxy: FaultProxy; readonly url: string }

/** A page with the client, whose connections go through a proxy. */
async function site(): Promise<Site> {
  const { server, port } = await clientPage(`export * from './client/index.ts'`);
  const manager = WebSocketModule.create({ server, origins: '*', outbox: { limit: 10_000_000 } });
  cleanup(() => manager.stop());
  const proxy = await faultProxy(port);
  const { page } = await browse(tool('chromium'), { width: 800, height: 600 });
  await page.goto(`http://127.0.0.1:${port}/`);
  return { page, manager, proxy, url: `ws://127.0.0.1:${proxy.port}/ws` };
}

describe('the client in Chromium', function () {
  this.timeout(60_000);

  it('connects, sends, and gets replies', async () => {
    const { page, manager, url } = await site();
    manager.registerHandler('add', ({ content: [a, b] }: { content: number[] }) => ({ type: 'sum', content: a! + b! }));

    const [content, state] = await page.evaluate<[number, string]>(`(async () => {
      const client = new WebSocketClient({ url: '${url}' });
      await client.connect();
      const reply = await client.request({ type: 'add', content: [1, 2] });
      return [reply.content, client.getState().status];
    })()`);

    expect([content, state]).to.deep.equal([3, 'connected']);
  });

  it('reconnects behind a network that is reset, and loses nothing', async () => {
    const { page, manager, proxy, url } = await site();
    const notes: number[] = [];
    manager.registerHandler('note', ({ content }: { content: number }) => void notes.push(content));
    await page.evaluate(`(async () => {
      window.client = new WebSocketClient({ url: '${url}', reconnect: { initialDelay: 5 } });
      window.again = new Promise((resolve) => client.on('reconnected', resolve));
      await client.connect();
    })()`);

    proxy.reset();
    await page.evaluate('Promise.all([1, 2, 3].map((content) => client.send({ type: "note", content }))).then(() => again)');

    expect([...new Set(notes)].sort()).to.deep.equal([1, 2, 3]);
  });

  it('notices a silent network, and connects anew', async () => {
    const { page, proxy, url } = await site();
    await page.evaluate(`(async () => {
      window.client = new WebSocketClient({ url: '${url}', heartbeat: { interval: 100, timeout: 100 }, reconnect: { initialDelay: 5 } });
      window.again = new Promise((resolve) => client.on('reconnected', resolve));
      await client.connect();
    })()`);

    proxy.silence();
    await page.evaluate('again');
    const whys = await page.evaluate<string[]>('client.explain().map(({ why }) => why)');

    proxy.reset();
    expect(whys).to.include('the server did not answer a ping');
  });

  // Chromium hands over about 1,100 frames in one turn, whatever a page does with them: the client spreads the rest.
  it('hands ten thousand messages out in slices of at most 16 ms', async () => {
    const { page, manager, url } = await site();
    manager.registerHandler('burst', (_, connection) => {
      for (let content = 0; content < 10_000; content++) void connection.send({ type: 'news', content });
    });

    await withinAllowance(6, async () => {
      const { count, inOrder, slices } = await page.evaluate<{ count: number; inOrder: boolean; slices: number[] }>(`(async () => {
      const client = new WebSocketClient({ url: '${url}' });
      await client.connect();
      let [count, inOrder, first, last] = [0, true, 0, 0];
      const slices = [];
      const { promise, resolve } = Promise.withResolvers();
      client.on('news', (content) => {
        inOrder &&= content === count++;
        last = performance.now();
        // A listener that takes its time.
        while (performance.now() < last + 0.05);
        if (count === 10_000) resolve();
      });
      // Each turn of this channel ends a slice.
      const { port1, port2 } = new MessageChannel();
      port1.onmessage = () => {
        if (last > first) slices.push(last - first);
        first = performance.now();
        port2.postMessage(0);
      };
      port2.postMessage(0);
      client.emit('burst');
      await promise;
      port1.close();
      client.disconnect();
      return { count, inOrder, slices: slices.sort((a, b) => b - a) };
    })()`);

      expect({ count, inOrder }).to.deep.equal({ count: 10_000, inOrder: true });
      expect(slices.length).to.be.above(30);
      // The machine may be busy for a moment.
      return { 'ms of a slice, p90': { value: slices[Math.floor(slices.length / 10)]!, allowed: 16 } };
    });
  });
});
