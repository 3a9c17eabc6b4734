// Builds dist/, unless it is already the build of these sources. It compares contents and not times, because git, npm
// and copies change the times of files.
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = join(import.meta.dirname, '..');
const compiler = 'node_modules/typescript/bin/tsc';
// Hashes of what the last build was made of, and of what it made.
const record = '.tmp/build.json';

// The lock file stands for the versions of the compiler and of the packages whose types it reads.
const sources = [
  'index.ts', 'src', 'plugins', 'middleware', 'handlers', 'adapters', 'client', 'testing',
  'package.json', 'package-lock.json', 'tsconfig.json', 'tsconfig.build.json',
  'scripts/build.mjs', 'scripts/bundle-client.mjs',
];

/** Builds dist/ if it is not the build of these sources. If the build fails, the process exits. */
export function build() {
  if (isBuilt(root)) return;
  if (!existsSync(join(root, compiler))) return withoutCompiler();
  // The build takes several seconds.
  console.log('Building the package; this takes some seconds …');
  const builtFrom = sourcesOf(root);
  rmSync(join(root, 'dist'), { recursive: true, force: true });
  // `npm run test:types` checks the declarations of packages, which takes a third of the time.
  run(compiler, '-p', 'tsconfig.build.json', '--skipLibCheck');
  run('scripts/bundle-client.mjs');
  recordBuild(root, builtFrom);
}

/** The hash of the sources of a project. */
export function sourcesOf(project) {
  return digest(project, sources);
}

/** Whether dist/ of a project is the recorded build of its sources. */
export function isBuilt(project) {
  let last;
  try {
    last = JSON.parse(readFileSync(join(project, record), 'utf8'));
  } catch {
    // There was no build yet, or it was interrupted.
    return false;
  }
  return last.sources === sourcesOf(project) && last.output === digest(project, ['dist']);
}

/** Records that dist/ was built from sources with this hash. They may have changed since. */
export function recordBuild(project, builtFrom) {
  mkdirSync(dirname(join(project, record)), { recursive: true });
  writeFileSync(join(project, record), JSON.stringify({ sources: builtFrom, output: digest(project, ['dist']) }));
}

/** `npm ci --omit=dev` in a clone installs no compiler; then there is nothing to build with, and npm must not fail. */
function withoutCompiler() {
  console.error('The package is not built: the compiler is not installed. `npm ci` installs it.');
  if (process.env.npm_lifecycle_event !== 'prepare') process.exit(1);
}

function run(...parameters) {
  const { status } = spawnSync(process.execPath, parameters, { cwd: root, stdio: 'inherit' });
  if (status !== 0) process.exit(status ?? 1);
}

/** A hash of the names and contents of files, and of all files in folders. */
function digest(project, places) {
  const hash = createHash('sha256');
  for (const file of places.flatMap((place) => filesOf(project, place)).sort()) {
    const content = readFileSync(join(project, file));
    hash.update(`${file}\n${content.length}\n`).update(content);
  }
  return hash.digest('hex');
}

function filesOf(project, place) {
  const stats = statSync(join(project, place), { throwIfNoEntry: false });
  if (!stats?.isDirectory()) return stats ? [place] : [];
  return readdirSync(join(project, place)).flatMap((name) => filesOf(project, `${place}/${name}`));
}

if (process.argv[1] === fileURLToPath(import.meta.url)) build();
