import { readFileSync } from 'node:fs';
import { dirname, join, normalize } from 'node:path/posix';
import { expect } from 'chai';
import { packed, type Packed } from '../support/packed.ts';
import { publicPaths } from '../support/public-paths.ts';
import { files, importsOf, read } from '../support/sources.ts';

interface Manifest {
  dependencies: Record<string, string>;
  peerDependencies?: Record<string, string>;
}

describe('the package', () => {
  let pack: Packed;

  before(async function () {
    this.timeout(300_000);
    pack = await packed();
  });

  it('holds the build, the documents and the examples, and nothing else', () => {
    const pages = 'README|README.zh-CN|CHANGELOG|CONTRIBUTING|INTEGRATION_GUIDE'.replaceAll('.', '\\.');
    const expected = [
      /^dist\/.+\.(js|d\.ts)$/, /^docs\/.+\.md$/, /^examples\/.+\.(js|html|css)$/, /^bench\/(README\.md|results\.svg)$/,
      /^(package\.json|LICENSE)$/, new RegExp(`^(${pages})\\.md$`),
    ];
    const strange = pack.contents.filter((file) => !expected.some((pattern) => pattern.test(file)));

    const needed = [
      'dist/index.js',
      'dist/index.d.ts',
      'LICENSE',
      'examples/express.js',
      ...pages.replaceAll('\\', '').split('|').map((page) => `${page}.md`),
    ];

    expect(strange).to.deep.equal([]);
    expect(pack.contents).to.include.members(needed);
  });

  it('has every file that its documents link to', () => {
    const { contents } = pack;
    const folders = new Set(
      contents.flatMap((file) => file.split('/').slice(0, -1).map((_, at, names) => names.slice(0, at + 1).join('/'))),
    );
    const broken = contents.filter((file) => file.endsWith('.md')).flatMap((file) => {
      const links = [...read(file).matchAll(/\]\((?![a-z]+:|#)([^)#\s]+)[^)]*\)/g)].map(
        ([, path = '']) => normalize(join(dirname(file), path)),
      );
      return links.filter((path) => !contents.includes(path) && !folders.has(path.replace(/\/$/, ''))).map(
        (path) => `${file}: ${path}`,
      );
    });

    expect(broken).to.deep.equal([]);
  });

  it('names its repository, on which registries build the links of its README', () => {
    const { repository } = JSON.parse(read('package.json')) as { repository?: { type: string; url: string } };

    expect(repository).to.deep.equal({
      type: 'git', url: 'git+https://github.com/websocket-module/websocket-module.git',
    });
  });

  it('declares every package that it imports', () => {
    const manifest = JSON.parse(read('package.json')) as Manifest;
    const declared = Object.keys({ ...manifest.dependencies, ...manifest.peerDependencies });
    const undeclared = files('index.ts', 'src', 'plugins', 'middleware', 'handlers', 'adapters', 'client', 'testing').flatMap((file) => importsOf(file)
      .filter(
        ({ specifier, file: own }) => own === undefined && !specifier.startsWith('node:') && !declared.includes(
          packageOf(specifier),
        ),
      )
      .map(({ specifier }) => `${file} imports ${specifier}`));

    expect(undeclared).to.deep.equal([]);
  });

  it('is installed with its dependencies only', () => {
    const installed = JSON.parse(readFileSync(join(pack.dir, 'node_modules/.package-lock.json'), 'utf8')) as {
      packages: Record<string, unknown>;
    };

    const names = Object.keys(installed.packages).map((path) => path.slice('node_modules/'.length));

    expect(names).to.include.members([
      'websocket-module', 'ws', 'uuid', 'jsonwebtoken', 'validator', 'eventemitter3', 'debug',
    ]);
    expect(names).to.not.include.members(['typescript', 'mocha', 'express']);
  });

  it('exports the same values from every documented path, by require and by import', async () => {
    const paths = publicPaths(pack);

    const { code, stderr } = await pack.run(`
      const assert = require('node:assert');
      (async () => {
        for (const path of ${JSON.stringify(paths)}) {
          const required = require(path);
          const { default: imported } = await import(path);
          assert.strictEqual(required, imported, path + ' is not its default export when required');
        }
      })();
    `, { type: 'cjs' });

    expect(stderr).to.equal('');
    expect(code).to.equal(0);
    expect(paths).to.include.members([
      'websocket-module', 'websocket-module/handlers/AuthHandler', 'websocket-module/testing',
    ]);
  });

  it('does not export internal files', async () => {
    // A folder `plugins/rooms/` is sealed by the line `"./plugins/rooms/*": null` in the exports map.
    const folders = pack.contents.flatMap(
      (file) => /^dist\/((?:plugins|middleware|handlers|adapters)\/.+\/.+)\.js$/.exec(file)?.[1] ?? [],
    );
    const inside = ['dist/index.js', 'src/manager.js', 'testing/start', ...folders];

    const { stdout } = await pack.run(`
      for (const path of ${JSON.stringify(inside)}) {
        await import('websocket-module/' + path).then(
          () => console.log(path), (error) => console.log(path, error.code),
        );
      }
    `);

    expect(stdout.trim().split('\n')).to.deep.equal(inside.map((path) => `${path} ERR_PACKAGE_PATH_NOT_EXPORTED`));
  });
});

const packageOf = (specifier: string) => specifier.split('/').slice(0, specifier.startsWith('@') ? 2 : 1).join('/');
