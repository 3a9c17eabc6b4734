import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { expect } from 'chai';
import express from 'express';
import { WebSocketServer } from 'ws';
import { cleanup } from '../support/cleanup.ts';
import { close } from '../support/start.ts';
import { beside, bodyOf, expectOurs, load, serverOf } from './beside.ts';

/** What stands behind the proxy: it echoes on every path. */
async function backend(): Promise<{ readonly url: string; readonly seen: string[] }> {
  const seen: string[] = [];
  const server = createServer((request, response) => { response.end(`backend ${request.url}`); });
  const sockets = new WebSocketServer({ server });
  sockets.on('connection', (ws, request) => {
    seen.push(request.url ?? '');
    ws.on('message', (text: Buffer) => ws.send(`backend: ${text.toString()}`));
  });
  cleanup(() => close(server));
  cleanup(() => { for (const ws of sockets.clients) ws.terminate(); });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, seen };
}

describe('beside http-proxy-middleware without a filter', () => {
  for (const how of ['once a request has come', 'at once, by its upgrade function'] as const) {
    it(`serves our path, and leaves the others to it, where it listens for upgrades ${how}`, async () => {
      const { createProxyMiddleware } = await load('http-proxy-middleware');
      const { url, seen } = await backend();
      const app = express();
      const server = serverOf(app);
      const proxy = createProxyMiddleware({ target: url, ws: how === 'once a request has come' });
      app.use(proxy);
      if (how !== 'once a request has come') server.on('upgrade', proxy.upgrade);
      const both = await beside(server);
      const body = await bodyOf(`${both.http}/page`);

      await expectOurs(both);
      const theirs = await both.connect('/theirs');
      await theirs.send('hello');

      expect(body).to.equal('backend /page');
      expect(await theirs.next()).to.deep.equal({ type: 'not-json', content: 'backend: hello' });
      expect(seen).to.deep.equal(['/theirs']);
    });
  }
});
