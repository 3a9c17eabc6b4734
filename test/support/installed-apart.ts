import { existsSync, mkdirSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { root } from './sources.ts';
import { npm } from './packed.ts';

/**
 * Installs packages where nothing else is, and keeps them: those that are too large for every installation of this
 * project, or whose commands have the names of others. Resolves to their `node_modules`.
 */
export async function installedApart(name: string, ...packages: string[]): Promise<string> {
  const folder = join(root, '.tmp', name);
  if (existsSync(folder)) return join(folder, 'node_modules');
  const part = `${folder}.part-${process.pid}`;
  mkdirSync(part, { recursive: true });
  writeFileSync(join(part, 'package.json'), '{ "private": true }\n');
  await npm(part, 'install', ...packages, '--ignore-scripts', '--no-package-lock', '--no-audit', '--no-fund');
  // Whole or not at all. Another process may have been faster.
  if (existsSync(folder)) rmSync(part, { recursive: true });
  else renameSync(part, folder);
  return join(folder, 'node_modules');
}
