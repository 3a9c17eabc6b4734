import { execFile } from 'node:child_process';
import { cpSync, existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { expect } from 'chai';
import { cleanup } from '../support/cleanup.ts';
import { files, root } from '../support/sources.ts';

const execute = promisify(execFile);

/** The repository with every folder gone but `src/`, its tests and what they stand on. Inside the repository, so that packages are found. */
function alone(): string {
  mkdirSync(join(root, '.tmp'), { recursive: true });
  const folder = mkdtempSync(join(root, '.tmp', 'src-alone-'));
  cleanup(() => rmSync(folder, { recursive: true, force: true }));
  for (const kept of ['src', 'testing', 'test/src', 'test/support', 'scripts/reporter.cjs', 'package.json', 'tsconfig.json', '.mocharc.cjs']) {
    if (existsSync(join(root, kept))) cpSync(join(root, kept), join(folder, kept), { recursive: true });
  }
  // What opens from outside is the kernel itself: the root door would offer the built-ins that are gone.
  writeFileSync(join(folder, 'index.ts'), 'export * from \'./src/index.ts\';\n');
  return folder;
}

const run = (folder: string, tool: string, ...parameters: string[]) =>
  execute(process.execPath, [join(root, 'node_modules', tool), ...parameters], { cwd: folder, env: { ...process.env, TEST_TOTALS: '' } })
    .then(() => '', (error: unknown) => (error as { stdout: string; stderr: string }).stdout + (error as { stderr: string }).stderr);

describe('src/, with every other folder deleted', () => {
  it('compiles', async function () {
    this.timeout(60_000);
    const folder = alone();
    writeFileSync(join(folder, 'tsconfig.alone.json'), '{ "extends": "./tsconfig.json", "include": ["index.ts", "src"] }');

    const complaint = await run(folder, 'typescript/bin/tsc', '-p', 'tsconfig.alone.json');

    expect(complaint).to.equal('');
  });

  it('passes its tests', async function () {
    this.timeout(90_000);
    const folder = alone();
    const tests = files('test/src').filter((file) => file.endsWith('.test.ts'));
    expect(tests, 'the tests in test/src/').to.not.be.empty;

    const complaint = await run(folder, 'mocha/bin/mocha.js', '--reporter', 'dot', ...tests);

    expect(complaint).to.equal('');
  });
});
