import { spawn, spawnSync } from 'node:child_process';
import {
  cpSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, renameSync, rmSync, utimesSync, writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { expect } from 'chai';
import { read, root } from '../support/sources.ts';
import { cleanup } from '../support/cleanup.ts';
import { eventually } from '../support/timing.ts';

interface Project {
  readonly folder: string;
  readonly write: (file: string, text: string) => void;
  /** Runs `scripts/build.mjs`. Gives what it printed, and its exit code. */
  readonly build: (env?: NodeJS.ProcessEnv) => { stdout: string; stderr: string; status: number | null };
}

/** A project with the scripts of the package, whose compiler and example do nothing but tell. */
function project(): Project {
  const folder = mkdtempSync(join(tmpdir(), 'start-script-'));
  cleanup(() => rmSync(folder, { recursive: true, force: true }));
  const { scripts, type } = JSON.parse(read('package.json')) as { scripts: object; type: string };
  const write = (file: string, text: string): void => {
    mkdirSync(dirname(join(folder, file)), { recursive: true });
    writeFileSync(join(folder, file), text);
  };
  write('package.json', JSON.stringify({ name: 'project', scripts, type }));
  write('index.ts', 'export const one = 1;');
  write('src/manager.ts', 'export const two = 2;');
  write('node_modules/typescript/bin/tsc', `
    const { mkdirSync, writeFileSync } = require('node:fs');
    mkdirSync('dist', { recursive: true });
    writeFileSync('dist/index.js', '');
    console.log('compiled');
  `);
  write('node_modules/esbuild/index.js', `
    const outputs = { 'dist/websocket-client.js': {}, 'dist/websocket-client-polling.js': {} };
    exports.build = () => ({ metafile: { outputs } });
  `);
  write('examples/basic-usage.js', `
    setInterval(() => {}, 1_000);
    process.on('SIGTERM', () => { console.log('stopped'); process.exit(0); });
    console.log('ready', process.pid);
  `);
  cpSync(join(root, 'scripts'), join(folder, 'scripts'), { recursive: true });
  const build: Project['build'] = (env = {}) => spawnSync(
    process.execPath, ['scripts/build.mjs'], { cwd: folder, encoding: 'utf8', env: { ...process.env, ...env } },
  );
  return { folder, write, build };
}

interface BuildScript {
  readonly isBuilt: (project: string) => boolean;
  readonly sourcesOf: (project: string) => string;
  readonly recordBuild: (project: string, builtFrom: string) => void;
}

const script = new URL('../../scripts/build.mjs', import.meta.url).href;
const { isBuilt, recordBuild, sourcesOf } = await import(script) as BuildScript;

describe('the build', () => {
  const BUILT = /^Building the package.*\ncompiled\n$/;

  it('is made once, and removes what was built before', () => {
    const { folder, write, build } = project();
    write('dist/stale.js', '');

    const first = build();
    const second = build();

    expect(first.stdout).to.match(BUILT);
    expect(second).to.deep.include({ stdout: '', stderr: '', status: 0 });
    expect(readdirSync(join(folder, 'dist'))).to.deep.equal(['index.js']);
  });

  describe('is that of the sources', () => {
    const built = (): Project => {
      const made = project();
      made.write('dist/index.js', 'built');
      recordBuild(made.folder, sourcesOf(made.folder));
      return made;
    };

    it('whatever the times of files', () => {
      const { folder } = built();
      const future = new Date(Date.now() + 60_000);
      utimesSync(join(folder, 'src/manager.ts'), future, future);

      expect(isBuilt(folder)).to.equal(true);
    });

    for (const [what, change] of [
      ['a source has changed', ({ write }) => write('src/manager.ts', 'export const two = 3;')],
      ['a source has changed, and is older than the build', ({ folder, write }) => {
        write('src/manager.ts', 'export const two = 3;');
        utimesSync(join(folder, 'src/manager.ts'), 0, 0);
      }],
      ['a source was added', ({ write }) => write('plugins/rooms.ts', 'export const rooms = 1;')],
      ['a source was removed', ({ folder }) => rmSync(join(folder, 'src/manager.ts'))],
      ['a source was renamed', ({ folder }) => renameSync(join(folder, 'src/manager.ts'), join(folder, 'src/other.ts'))],
      ['an option of the compiler has changed', ({ write }) => write('tsconfig.build.json', '{}')],
      ['a version in the lock file has changed', ({ write }) => write('package-lock.json', '{}')],
      ['the build was removed', ({ folder }) => rmSync(join(folder, 'dist'), { recursive: true })],
      ['a file of the build has changed', ({ write }) => write('dist/index.js', 'stale')],
      ['a file was added to the build', ({ write }) => write('dist/stale.js', '')],
      ['the record of the last build is damaged', ({ write }) => write('.tmp/build.json', '{')],
    ] as const satisfies readonly (readonly [string, (made: Project) => void])[]) {
      it(`unless ${what}`, () => {
        const made = built();

        change(made);

        expect(isBuilt(made.folder)).to.equal(false);
      });
    }
  });

  it('is made again after it failed', () => {
    const { folder, write, build } = project();
    const compiler = readFileSync(join(folder, 'node_modules/typescript/bin/tsc'), 'utf8');
    write('node_modules/typescript/bin/tsc', 'console.log("an error"); process.exit(2);');
    const failed = build();
    write('node_modules/typescript/bin/tsc', compiler);

    const again = build();

    expect(failed).to.deep.include({ status: 2 });
    expect(again.stdout).to.match(BUILT);
  });

  it('fails without a compiler, except in an installation, where dependencies for development may be omitted', () => {
    const { folder, build } = project();
    rmSync(join(folder, 'node_modules/typescript'), { recursive: true });

    const byHand = build();
    const installing = build({ npm_lifecycle_event: 'prepare' });

    for (const { stderr } of [byHand, installing]) expect(stderr).to.match(/^The package is not built: .*`npm ci`/);
    expect(byHand.status).to.equal(1);
    expect(installing.status).to.equal(0);
  });

  it('is the script that npm runs after `npm ci` in a clone', () => {
    const { scripts } = JSON.parse(read('package.json')) as { scripts: Record<string, string> };

    expect(scripts['prepare']).to.equal(scripts['build']);
    expect(read('.npmrc')).to.not.include('ignore-scripts');
  });

  it('is the only script of an installation: npm runs none of a package', () => {
    const { packages } = JSON.parse(read('package-lock.json')) as { packages: Record<string, { hasInstallScript?: true }> };
    const { allowScripts } = JSON.parse(read('package.json')) as { allowScripts: Record<string, boolean> };

    const withScripts = Object.keys(packages).filter((path) => packages[path]!.hasInstallScript);

    // npm 10 does not know `allowScripts`: it runs these scripts, which check the program that was installed.
    expect(withScripts).to.deep.equal(['node_modules/esbuild', 'node_modules/lmdb', 'node_modules/msgpackr-extract']);
    expect(allowScripts).to.deep.equal({ 'esbuild': false, 'lmdb': false, 'msgpackr-extract': false });
  });
});

describe('npm start', () => {
  it('ends the server when npm gets SIGTERM', async function () {
    this.timeout(60_000);
    const npm = spawn('npm', ['start'], { cwd: project().folder, stdio: ['ignore', 'pipe', 'ignore'] });
    let output = '';
    npm.stdout.on('data', (chunk: Buffer) => { output += chunk.toString(); });
    cleanup(() => {
      const [, pid] = /ready (\d+)/.exec(output) ?? [];
      if (pid !== undefined && !output.includes('stopped')) process.kill(Number(pid), 'SIGKILL');
      npm.kill('SIGKILL');
    });
    await eventually('it ready', () => output.includes('ready') || output, 40_000);

    npm.kill('SIGTERM');

    await eventually('it stopped', () => output.includes('stopped') || output);
    expect(output).to.match(/Building the package[^]*compiled\nready \d+\nstopped/);
  });

  it('is named at the top of each example, with the command to run before `node`', () => {
    const heads = readdirSync(join(root, 'examples'), { recursive: true, encoding: 'utf8' })
      .map((file) => join('examples', file))
      .filter((file) => file.endsWith('.js') && /gracefulShutdown\(|node:test/.test(read(file)))
      .map((file) => [file, read(file).split('\nimport ', 1)[0]!] as const);

    expect(heads).to.have.length.above(5);
    for (const [file, head] of heads) expect(head, file).to.match(/(npm run|npm start|node --test)[^]*`npm ci`/);
  });

  it('lists the examples where the name is not one of them', () => {
    const { status, stderr } = spawnSync(
      process.execPath, ['scripts/example.mjs', 'nope'], { cwd: root, encoding: 'utf8' },
    );

    expect(stderr).to.match(
      /^There is no example "nope"\. The examples are auth, basic-usage, chat-server, .+express\.\n$/,
    );
    expect(status).to.equal(1);
  });
});
