// Runs an example, after building the package if necessary: `npm run example express`.
import { existsSync, readdirSync } from 'node:fs';
import { build } from './build.mjs';

const folder = new URL('../examples/', import.meta.url);
const fileOf = (name) =>
  [`${name}.js`, `${name}/server.js`].map((file) => new URL(file, folder)).find((file) => existsSync(file));

const [name = 'basic-usage'] = process.argv.slice(2);
const example = fileOf(name);
if (!example) {
  const names = readdirSync(folder).map((entry) => entry.replace(/\.js$/, '')).filter(fileOf);
  console.error(`There is no example "${name}". The examples are ${names.join(', ')}.`);
  process.exit(1);
}

// `npm start` runs this script in a shell. At SIGTERM npm ends the shell, which does not forward the signal. This
// process notices it by its new parent.
const parent = process.ppid;
setInterval(() => { if (process.ppid !== parent) process.kill(process.pid, 'SIGTERM'); }, 200).unref();

build();
await import(example.href);
