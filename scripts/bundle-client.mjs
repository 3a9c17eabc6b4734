// Bundles the client for pages without a bundler: dist/websocket-client.js, and dist/websocket-client-polling.js, which
// the first file loads when `transport.polling` is used.
import { basename, join } from 'node:path';
import { build } from 'esbuild';

const root = join(import.meta.dirname, '..');

const { metafile } = await build({
  absWorkingDir: root,
  entryPoints: { 'websocket-client': 'dist/client/index.js' },
  outdir: 'dist',
  chunkNames: 'websocket-client-[name]',
  splitting: true,
  metafile: true,
  bundle: true,
  minify: true,
  format: 'esm',
  target: 'es2022',
  legalComments: 'none',
  logLevel: 'warning',
});

// The server serves these two files, so code that both share must be in the first one.
const names = Object.keys(metafile.outputs).map((path) => basename(path)).sort();
if (names.join() !== 'websocket-client-polling.js,websocket-client.js') {
  throw new Error(`the bundle of the client has other files than expected: ${names.join(', ')}`);
}
