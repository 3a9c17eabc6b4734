import { execFileSync } from 'node:child_process';
import { rmSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';

const root = join(import.meta.dirname, '..');

/** Where the built servers and the built load are. */
export const BUILT = join(root, '.tmp', 'bench', 'build', 'bench');

/**
 * Builds the package, the servers and the load with the compiler settings of `dist/`, so that what is measured is what is published.
 * In a folder of its own: a test run that builds `dist/` anew meanwhile takes nothing away.
 */
export function build(): void {
  rmSync(join(root, '.tmp', 'bench', 'build'), { recursive: true, force: true });
  const compiler = createRequire(import.meta.url).resolve('typescript/bin/tsc');
  execFileSync(process.execPath, [compiler, '-p', join(import.meta.dirname, 'tsconfig.json')], { stdio: ['ignore', 'inherit', 'inherit'] });
}
