import { execFile } from 'node:child_process';
import { mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { expect } from 'chai';
import ts from 'typescript';
import { blocks } from '../support/documents.ts';
import { installedApart } from '../support/installed-apart.ts';
import { packed } from '../support/packed.ts';

const execute = promisify(execFile);
const VERSIONS = ['jest@30.5.2', 'ts-jest@29.4.15', 'typescript@5.9.3', '@types/node@20'];

/** A block of the guide for Jest. */
function block(name: string): string {
  const found = blocks('INTEGRATION_GUIDE.md').find(({ info }) => info === `jest ${name}`);
  if (!found) throw new Error(`the guide has no block "jest ${name}"`);
  return found.code;
}

const compilerOptions = { target: 'es2022', strict: true, skipLibCheck: true, types: ['node'] };
const recipes = {
  javascript: { manifest: { type: 'module' }, options: undefined, flags: '--experimental-vm-modules' },
  typescript: { manifest: { type: 'module' }, options: { module: 'nodenext' }, flags: '--experimental-vm-modules' },
  commonjs: {
    manifest: {}, flags: '',
    options: { module: 'nodenext', allowJs: true, esModuleInterop: true, isolatedModules: true },
  },
} as const;

describe('in Jest, as the guide has it', () => {
  let modules: string;

  before(async function () {
    this.timeout(180_000);
    [modules] = await Promise.all([installedApart('jest', ...VERSIONS), packed()]);
  });

  for (const [name, { manifest, options, flags }] of Object.entries(recipes)) {
    it(`a test passes (${name})`, async function () {
      this.timeout(300_000);
      const { dir } = await packed();
      // Packages of the folder itself come before those of the project around it.
      const folder = join(dir, `jest-${name}`);
      mkdirSync(folder);
      symlinkSync(modules, join(folder, 'node_modules'), 'junction');
      writeFileSync(join(folder, 'package.json'), JSON.stringify(manifest));
      writeFileSync(join(folder, 'jest.config.js'), block(name));
      if (options) {
        writeFileSync(
          join(folder, 'tsconfig.json'), JSON.stringify({ compilerOptions: { ...compilerOptions, ...options } }),
        );
        writeFileSync(join(folder, 'echo.test.ts'), block('test'));
      } else {
        const { ESNext: module } = ts.ModuleKind;
        writeFileSync(
          join(folder, 'echo.test.js'), ts.transpileModule(block('test'), { compilerOptions: { module } }).outputText,
        );
      }

      const { stderr } = await execute(process.execPath, [join(modules, 'jest/bin/jest.js'), '--rootDir', folder], {
        cwd: folder, env: { ...process.env, NODE_OPTIONS: flags },
      }).catch((error: unknown) => error as { stderr: string });

      expect(stderr).to.match(/Tests: +1 passed, 1 total/);
    });
  }
});
