import { spawn, spawnSync } from 'node:child_process';
import { cpSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { expect } from 'chai';
import { read, root } from '../support/sources.ts';
import { cleanup } from '../support/cleanup.ts';
import { eventually } from '../support/timing.ts';

/** A project with the scripts of the package, whose compiler and example do nothing but tell. */
function project(): string {
  const folder = mkdtempSync(join(tmpdir(), 'start-script-'));
  cleanup(() => rmSync(folder, { recursive: true, force: true }));
  const { scripts, type } = JSON.parse(read('package.json')) as { scripts: object; type: string };
  const write = (file: string, text: string): void => {
    mkdirSync(dirname(join(folder, file)), { recursive: true });
    writeFileSync(join(folder, file), text);
  };
  write('package.json', JSON.stringify({ name: 'project', scripts, type }));
  write('node_modules/typescript/bin/tsc', 'console.log("compiled")');
  write('node_modules/esbuild/index.js', 'exports.build = () => undefined;');
  write('examples/basic-usage.js', `
    setInterval(() => {}, 1_000);
    process.on('SIGTERM', () => { console.log('stopped'); process.exit(0); });
    console.log('ready', process.pid);
  `);
  cpSync(join(root, 'scripts'), join(folder, 'scripts'), { recursive: true });
  return folder;
}

describe('npm start', () => {
  it('ends the server when npm gets SIGTERM', async function () {
    this.timeout(20_000);
    const npm = spawn('npm', ['start'], { cwd: project(), stdio: ['ignore', 'pipe', 'ignore'] });
    let output = '';
    npm.stdout.on('data', (chunk: Buffer) => { output += chunk.toString(); });
    cleanup(() => {
      const [, pid] = /ready (\d+)/.exec(output) ?? [];
      if (pid !== undefined && !output.includes('stopped')) process.kill(Number(pid), 'SIGKILL');
      npm.kill('SIGKILL');
    });
    await eventually('it ready', () => output.includes('ready') || output, 15_000);

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
    for (const [file, head] of heads) expect(head, file).to.match(/(npm run|npm start|node --test)[^]*`npm run build`/);
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
