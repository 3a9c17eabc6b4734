import { execFileSync } from 'node:child_process';
import { rmSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';

const root = join(import.meta.dirname, '..');

/** The folder of the built servers and the built load. */
export const BUILT = join(root, '.tmp', 'bench', 'build', 'bench');

/**
 * Builds the package, the servers and the load with the compiler settings of `dist/`, so that the published code is
 * measured. The folder is separate, so that a test run may rebuild `dist/` meanwhile.
 */
export function build(): void {
  rmSync(join(root, '.tmp', 'bench', 'build'), { recursive: true, force: true });
  const compiler = createRequire(import.meta.url).resolve('typescript/bin/tsc');
  const project = join(import.meta.dirname, 'tsconfig.json');
  execFileSync(process.execPath, [compiler, '-p', project], { stdio: ['ignore', 'inherit', 'inherit'] });
}
