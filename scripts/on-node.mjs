// Runs a command with another version of Node:  node scripts/on-node.mjs 22 npm test
// That Node is installed as a package in .tmp/ and put first on the PATH. Nothing else on the machine changes.
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { delimiter, dirname, join } from 'node:path';

const [version, command, ...parameters] = process.argv.slice(2);
if (!version || !command) {
  console.error('usage: node scripts/on-node.mjs <version> <command> [...parameters]');
  process.exit(2);
}

const windows = process.platform === 'win32';
const name = `node-${windows ? 'win' : process.platform}-${process.arch}`;
const folder = join(import.meta.dirname, '..', '.tmp', `node-${version}`);
const program = join(folder, 'node_modules', name, 'bin', windows ? 'node.exe' : 'node');

if (!existsSync(program)) {
  mkdirSync(folder, { recursive: true });
  writeFileSync(join(folder, 'package.json'), '{ "private": true }\n');
  const flags = ['--no-audit', '--no-fund', '--ignore-scripts', '--no-package-lock'];
  run('npm', ['install', ...flags, `${name}@${version}`], { cwd: folder });
}
run(program, ['--version'], {});
run(command, parameters, { env: { ...process.env, PATH: dirname(program) + delimiter + process.env.PATH } });

function run(what, list, options) {
  const { status } = spawnSync(what, list, { stdio: 'inherit', shell: windows, ...options });
  if (status !== 0) process.exit(status ?? 1);
}
