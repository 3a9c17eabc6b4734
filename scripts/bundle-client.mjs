// Bundles the client into one module, which a page loads without a bundler: dist/websocket-client.js.
import { join } from 'node:path';
import { build } from 'esbuild';

const root = join(import.meta.dirname, '..');

await build({
  absWorkingDir: root,
  entryPoints: ['dist/client/index.js'],
  outfile: 'dist/websocket-client.js',
  bundle: true,
  minify: true,
  format: 'esm',
  target: 'es2022',
  legalComments: 'none',
  logLevel: 'warning',
});
