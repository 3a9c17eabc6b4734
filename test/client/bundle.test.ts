import { gzipSync } from 'node:zlib';
import { build } from 'esbuild';
import { expect } from 'chai';
import { root } from '../support/sources.ts';

interface Sizes {
  /** Bytes of what a page loads at once, minified and compressed. */
  readonly first: number;
  /** Bytes of what it loads when it is needed. */
  readonly later: number;
}

/** The bytes that a page loads for some code. */
async function sizesOf(code: string): Promise<Sizes> {
  const { outputFiles } = await build({
    stdin: { contents: code, resolveDir: root, sourcefile: 'page.js' }, outdir: 'out', splitting: true,
    bundle: true, minify: true, write: false, format: 'esm', target: 'es2022', logLevel: 'silent',
  });
  const [first, later, ...others] = ['stdin', 'polling', ''].map((name) => outputFiles.filter(({ path }) => path.includes(name)));
  // Code that both parts share would be another file, which a page also loads first.
  expect(others.flat()).to.have.length(first!.length + later!.length);
  const sizeOf = (files: typeof outputFiles) => files.reduce((sum, { contents }) => sum + gzipSync(contents, { level: 9 }).length, 0);
  return { first: sizeOf(first!), later: sizeOf(later!) };
}

describe('the client in a bundle', () => {
  it('takes at most 12.5 KB', async () => {
    const { first } = await sizesOf(`export { WebSocketClient } from './client/index.ts'`);

    expect(first).to.be.at.most(12.5 * 1_024);
  });

  it('takes at most 13.5 KB with everything that the module exports', async () => {
    const { first } = await sizesOf(`export * from './client/index.ts'; export { default } from './client/index.ts'`);

    expect(first).to.be.at.most(13.5 * 1_024);
  });

  it('takes at most 3.5 KB more, which is loaded when it is needed, for long polling', async () => {
    const { later } = await sizesOf(`export { WebSocketClient } from './client/index.ts'`);

    expect(later).to.be.at.most(3.5 * 1_024);
  });

  it('loads the outbox and the persistence separately, in at most 7.25 KB', async () => {
    const { first } = await sizesOf(`export * from './client/offline.ts'`);

    expect(first).to.be.at.most(7.25 * 1_024);
  });
});
