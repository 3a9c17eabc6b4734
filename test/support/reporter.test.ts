import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from 'chai';
import { root } from './sources.ts';
import { cleanup } from './cleanup.ts';

/** Files that fail in every way that a file of tests can fail. */
const suites: Readonly<Record<string, string>> = {
  mixed: `
    it('passes', () => {});
    it.skip('is skipped', () => {});
    it('fails', () => { throw new Error('on purpose'); });
    it('rejects', () => { void Promise.reject(new Error('lost')); });
  `,
  unloadable: 'import \'./missing.ts\';',
  ends: 'it(\'ends its process\', () => process.exit(3)); it(\'comes too late\', () => {});',
};

describe('a parallel run of the tests', () => {
  it('counts every failure once, and names the file of those outside of a test', function () {
    this.timeout(60_000);
    mkdirSync(join(root, '.tmp'), { recursive: true });
    const folder = mkdtempSync(join(root, '.tmp', 'reporter-'));
    cleanup(() => rmSync(folder, { recursive: true, force: true }));
    for (const [name, code] of Object.entries(suites)) writeFileSync(join(folder, `${name}.spec.ts`), code);
    const [base, spec] = [join(root, '.mocharc.cjs'), `${folder}/*.spec.ts`].map((path) => JSON.stringify(path));
    const config = `module.exports = { ...require(${base}), spec: [${spec}], ignore: [] };`;
    writeFileSync(join(folder, 'mocharc.cjs'), config);
    const { MOCHA_WORKER_ID: _, ...env } = process.env;

    const { status, stdout } = spawnSync(process.execPath, [
      join(root, 'node_modules/mocha/bin/mocha.js'), '--config', join(folder, 'mocharc.cjs'),
    ], {
      cwd: root, encoding: 'utf8', env: { ...env, TEST_TOTALS: join(folder, 'totals') },
    });

    const totals = readdirSync(join(folder, 'totals')).map(
      (file) => JSON.parse(readFileSync(join(folder, 'totals', file), 'utf8')) as unknown,
    );
    expect(totals).to.deep.equal([{ passed: 1, failed: 4, skipped: 1 }]);
    expect(status).to.equal(4);
    for (const name of ['unloadable', 'ends']) {
      expect(stdout).to.match(
        new RegExp(`${name}\\.spec\\.ts did not run to its end`),
      );
    }
  });
});
