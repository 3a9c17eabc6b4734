// Checks the packed package as users install it: publint checks package.json and the files, attw checks that types
// resolve from every documented path. Takes a tarball, or packs one.
import { execFileSync, spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';

const root = join(import.meta.dirname, '..');
const folder = mkdtempSync(join(tmpdir(), 'check-package-'));

try {
  const tarball = process.argv[2] ?? pack();
  const attwOptions = ['--profile', 'esm-only', '--no-emoji', '--format', 'table-flipped'];
  process.exitCode = run('publint', 'run', tarball, '--strict')
    || run('@arethetypeswrong/cli', tarball, ...attwOptions, '--entrypoints', ...entryPoints(tarball));
} finally {
  rmSync(folder, { recursive: true, force: true });
}

function pack() {
  const shell = process.platform === 'win32';
  execFileSync('npm', ['pack', '--silent', '--pack-destination', folder], { cwd: root, stdio: 'ignore', shell });
  return join(folder, `${manifest(root).name}-${manifest(root).version}.tgz`);
}

/** The documented paths. attw does not expand `./plugins/*`, so each file of such a pattern is listed. */
function entryPoints(tarball) {
  const files = execFileSync('tar', ['-tzf', tarball], { encoding: 'utf8' }).split('\n');
  return Object.entries(manifest(root).exports).flatMap(([path, target]) => {
    if (!target?.default) return [];
    if (!path.includes('*')) return [path];
    const start = `package/${target.default.slice('./'.length).split('*')[0]}`;
    return files
      .filter((file) => file.startsWith(start) && file.endsWith('.js') && !file.slice(start.length).includes('/'))
      .map((file) => path.replace('*', basename(file, '.js')));
  });
}

function run(name, ...parameters) {
  const { bin } = manifest(join(root, 'node_modules', name));
  const [program] = typeof bin === 'string' ? [bin] : Object.values(bin);
  const file = join(root, 'node_modules', name, program);
  return spawnSync(process.execPath, [file, ...parameters], { cwd: root, stdio: 'inherit' }).status ?? 1;
}

function manifest(place) {
  return JSON.parse(readFileSync(join(place, 'package.json'), 'utf8'));
}
