// Builds the package, and runs an example with it: `npm run example express`.
import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';

const [name = 'basic-usage'] = process.argv.slice(2);
const files = [`${name}.js`, `${name}/server.js`].map((file) => new URL(`../examples/${file}`, import.meta.url));
const example = files.find((file) => existsSync(file));
if (!example) {
  console.error(`There is no example "${name}"; see the folder examples/.`);
  process.exit(1);
}

// `npm start` runs this in a shell. At SIGTERM npm ends the shell, which does not hand the signal on: then this process
// has another parent.
const parent = process.ppid;
setInterval(() => { if (process.ppid !== parent) process.kill(process.pid, 'SIGTERM'); }, 200).unref();

console.log('Building the package; this takes some seconds …');
run('scripts/clean.mjs', 'dist');
run('node_modules/typescript/bin/tsc', '-p', 'tsconfig.build.json');
await import(example.href);

function run(...parameters) {
  const { status } = spawnSync(process.execPath, parameters, { cwd: new URL('..', import.meta.url), stdio: 'inherit' });
  if (status !== 0) process.exit(status ?? 1);
}
