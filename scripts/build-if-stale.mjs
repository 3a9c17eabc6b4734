// Builds dist/ if a source file is newer. It prints a line first, because the build takes several seconds.
import { spawnSync } from 'node:child_process';
import { readdirSync, statSync, utimesSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = join(import.meta.dirname, '..');
const entry = join(root, 'dist', 'index.js');
const sources = [
  'index.ts', 'src', 'plugins', 'middleware', 'handlers', 'adapters', 'client', 'server', 'testing',
  'package.json', 'tsconfig.json', 'tsconfig.build.json',
];

/** Builds if a source is newer than the build. If the build fails, the process exits. */
export function buildIfStale() {
  const built = modified(entry);
  if (!sources.some((source) => newest(join(root, source)) > built)) return;
  console.log('Building the package; this takes some seconds …');
  const startedAt = new Date();
  run('scripts/clean.mjs', 'dist');
  run('node_modules/typescript/bin/tsc', '-p', 'tsconfig.build.json');
  run('scripts/bundle-client.mjs');
  // The build gets the time of its start, so that a source that changed during the build is newer.
  if (modified(entry) > 0) utimesSync(entry, startedAt, startedAt);
}

function run(...parameters) {
  const { status } = spawnSync(process.execPath, parameters, { cwd: root, stdio: 'inherit' });
  if (status !== 0) process.exit(status ?? 1);
}

function newest(path) {
  const stats = statSync(path, { throwIfNoEntry: false });
  if (!stats?.isDirectory()) return stats?.mtimeMs ?? 0;
  return Math.max(0, ...readdirSync(path, { recursive: true }).map((file) => modified(join(path, file))));
}

function modified(file) {
  return statSync(file, { throwIfNoEntry: false })?.mtimeMs ?? 0;
}

if (process.argv[1] === fileURLToPath(import.meta.url)) buildIfStale();
