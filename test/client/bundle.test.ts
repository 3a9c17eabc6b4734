import { gzipSync } from 'node:zlib';
import { build } from 'esbuild';
import { expect } from 'chai';
import { root } from '../support/sources.ts';

/** The bytes that a page loads for some code, minified and compressed. */
async function sizeOf(code: string): Promise<number> {
  const { outputFiles } = await build({
    stdin: { contents: code, resolveDir: root }, bundle: true, minify: true, write: false, format: 'esm', target: 'es2022', logLevel: 'silent',
  });
  return gzipSync(outputFiles[0]!.contents, { level: 9 }).length;
}

describe('the client in a bundle', () => {
  it('takes at most 11.5 KB', async () => {
    expect(await sizeOf(`export { WebSocketClient } from './client/index.ts'`)).to.be.at.most(11.5 * 1_024);
  });

  it('takes at most 12.5 KB with everything that the module exports', async () => {
    expect(await sizeOf(`export * from './client/index.ts'; export { default } from './client/index.ts'`)).to.be.at.most(12.5 * 1_024);
  });
});
