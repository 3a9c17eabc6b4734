import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { basename } from 'node:path';
import { build } from 'esbuild';
import { close } from '../../testing/start.ts';
import { cleanup } from './cleanup.ts';
import { root } from './sources.ts';

const PAGE = '<!doctype html><title>A page</title><script type="module">import * as client from "/client.js"; Object.assign(window, client);</script>';

export interface ClientPage {
  readonly server: Server;
  readonly port: number;
  /** The paths that were requested. */
  readonly loaded: readonly string[];
}

/**
 * Serves a page whose globals are the exports of some code of the client. Parts that it imports later are files of their own. Closed when the test is over.
 *
 * @param code such as `export * from './client/index.ts'`
 */
export async function clientPage(code: string): Promise<ClientPage> {
  const { outputFiles } = await build({
    stdin: { contents: code, resolveDir: root, sourcefile: 'client.ts' }, entryNames: 'client', outdir: 'out', chunkNames: '[name]', splitting: true,
    bundle: true, write: false, format: 'esm', target: 'es2022', logLevel: 'silent',
  });
  const files = new Map(outputFiles.map(({ path, contents }) => [`/${basename(path)}`, contents]));
  const loaded: string[] = [];
  const server = createServer(({ url = '' }, response) => {
    loaded.push(url);
    const script = files.get(url);
    response.setHeader('content-type', script ? 'text/javascript' : 'text/html').end(script ?? PAGE);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  cleanup(() => close(server));
  return { server, port: (server.address() as AddressInfo).port, loaded };
}
