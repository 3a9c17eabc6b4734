// Bundles the client for pages without a bundler: dist/websocket-client.js. Parts that are loaded separately are files
// beside it: websocket-client-polling.js, which it loads for `transport.polling`, and websocket-client-offline.js.
import { basename, join } from 'node:path';
import { build } from 'esbuild';

const root = join(import.meta.dirname, '..');

const settings = {
  absWorkingDir: root,
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
};

const { metafile } = await build({ ...settings, entryPoints: { 'websocket-client': 'dist/client/index.js' } });
// Apart from the client: what both need is in both files.
await build({ ...settings, entryPoints: { 'websocket-client-offline': 'dist/client/offline.js' } });

// The server serves these files, so code that the first two share must be in the first one.
const names = Object.keys(metafile.outputs).map((path) => basename(path)).sort();
if (names.join() !== 'websocket-client-polling.js,websocket-client.js') {
  throw new Error(`the bundle of the client has other files than expected: ${names.join(', ')}`);
}
