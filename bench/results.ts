import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { cpus } from 'node:os';
import { join, relative } from 'node:path';
import { chart } from './chart.ts';
import type { Row } from './compare.ts';
import type { Effort } from './measure.ts';

const root = join(import.meta.dirname, '..');

const versionOf = (...folders: string[]): string =>
  JSON.parse(readFileSync(join(root, ...folders, 'package.json'), 'utf8')).version;

/** Writes the results and the chart; of a quick or partial run into `.tmp`. Returns the folder. */
export function writeResults(rows: readonly Row[], { rounds, warmUp, window }: Effort, complete: boolean): string {
  const folder = complete ? import.meta.dirname : join(root, '.tmp', 'bench');
  const conditions = {
    date: new Date().toISOString().slice(0, 10),
    node: process.version,
    cpu: cpus()[0]?.model.trim() ?? 'unknown',
    cores: cpus().length,
    versions: {
      'websocket-module': versionOf(),
      'ws': versionOf('node_modules', 'ws'),
      'socket.io': versionOf('node_modules', 'socket.io'),
    },
    rounds,
    milliseconds: { warmUp, window },
  };
  const { node, cpu, date, versions } = conditions;
  const packages = `ws ${versions.ws}, Socket.IO ${versions['socket.io']}`;
  const caption = `Node ${node}, ${packages}, ${cpu}, ${date}; npm run bench`;
  mkdirSync(folder, { recursive: true });
  writeFileSync(join(folder, 'results.json'), `${JSON.stringify({ ...conditions, rows }, rounded, 2)}\n`);
  writeFileSync(join(folder, 'results.svg'), chart(rows, caption));
  return relative(root, folder);
}

const rounded = (_key: string, value: unknown): unknown =>
  (typeof value === 'number' ? Number(value.toPrecision(4)) : value);
