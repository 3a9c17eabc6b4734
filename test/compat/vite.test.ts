import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import type { Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import express from 'express';
import { WebSocketServer } from 'ws';
import { WebSocketModule } from '../../index.ts';
import { cleanup } from '../support/cleanup.ts';
import { close, type Manager } from '../support/start.ts';
import { beside, bodyOf, expectOurs, load, serverOf } from './beside.ts';

/** An empty project. */
async function project(): Promise<string> {
  const root = await mkdtemp(join(tmpdir(), 'vite-'));
  cleanup(() => rm(root, { recursive: true, force: true }));
  await writeFile(join(root, 'index.html'), '<p>page</p>');
  return root;
}

const quiet = (root: string) => ({ root, configFile: false, logLevel: 'silent', optimizeDeps: { noDiscovery: true }, cacheDir: join(root, '.cache') });

describe('beside Vite', () => {
  it('serves our path on the server of an application that Vite is a middleware of', async () => {
    const { createServer } = await load('vite');
    const app = express();
    const server = serverOf(app);
    const vite = await createServer({ ...quiet(await project()), server: { middlewareMode: true, hmr: { server } } });
    cleanup(() => vite.close());
    app.use(vite.middlewares);
    const both = await beside(server);

    await expectOurs(both);
    const hmr = await both.connect(`/?token=${vite.config.webSocketToken}`, { protocols: 'vite-hmr' });

    expect(await hmr.next()).to.include({ type: 'connected' });
    expect(await bodyOf(`${both.http}/`)).to.include('<p>page</p>');
  });

  it('serves our path on the server of Vite\'s own, where a plugin makes the manager', async () => {
    const { createServer } = await load('vite');
    let manager: Manager | undefined;
    const plugin = {
      name: 'sockets',
      configureServer({ httpServer }: { httpServer: Server }) { manager = WebSocketModule.create({ server: httpServer }); },
    };
    const vite = await createServer({ ...quiet(await project()), plugins: [plugin], server: { host: '127.0.0.1', port: 0 } });
    cleanup(() => vite.close());
    await vite.listen();
    const both = await beside(vite.httpServer as Server, () => manager!);

    await expectOurs(both);
    const hmr = await both.connect(`/?token=${vite.config.webSocketToken}`, { protocols: 'vite-hmr' });

    expect(await hmr.next()).to.include({ type: 'connected' });
    expect(await bodyOf(`${both.http}/`)).to.include('<p>page</p>');
  });

  it('serves our path where Vite proxies the WebSockets of every path', async () => {
    const { createServer } = await load('vite');
    const backend = createEcho();
    backend.listen(0, '127.0.0.1');
    await once(backend, 'listening');
    const proxy = { '^/': { target: `http://127.0.0.1:${(backend.address() as AddressInfo).port}`, ws: true } };
    const vite = await createServer({ ...quiet(await project()), server: { host: '127.0.0.1', port: 0, proxy } });
    cleanup(() => vite.close());
    await vite.listen();
    const both = await beside(vite.httpServer as Server);

    await expectOurs(both);
    const theirs = await both.connect('/theirs');
    await theirs.send('hello');

    expect(await theirs.next()).to.deep.equal({ type: 'not-json', content: 'backend: hello' });
  });
});

/** What Vite proxies to. */
function createEcho(): Server {
  const server = serverOf((_request, response) => { response.end('backend'); });
  const sockets = new WebSocketServer({ server });
  sockets.on('connection', (ws) => ws.on('message', (text: Buffer) => ws.send(`backend: ${text.toString()}`)));
  cleanup(() => close(server));
  cleanup(() => { for (const ws of sockets.clients) ws.terminate(); });
  return server;
}
