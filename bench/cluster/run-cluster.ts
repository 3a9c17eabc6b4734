import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { build, BUILT } from '../build.ts';
import { Child } from '../child.ts';
import type { OpenClusterOptions } from '../load/cluster-main.ts';
import type { LoadSample } from '../load/main.ts';
import { median } from '../quantile.ts';
import type { NodeSettings, ServerSample } from '../servers/serve.ts';
import { figure } from '../table.ts';
import { startRedis } from './bench-redis.ts';
import { clusterScenarios, type ClusterScenario } from './cluster-scenarios.ts';

interface ClusterContender {
  readonly title: string;
  /** Its file in servers/. */
  readonly file: string;
  readonly dialect: OpenClusterOptions['dialect'];
  readonly isSharded: boolean;
}

const contenders: readonly ClusterContender[] = [
  { title: 'websocket-module', file: 'cluster-module.js', dialect: 'envelope', isSharded: false },
  { title: 'Socket.IO, Redis adapter', file: 'cluster-socket-io.js', dialect: 'socketIo', isSharded: false },
  { title: 'Socket.IO, sharded', file: 'cluster-socket-io.js', dialect: 'socketIo', isSharded: true },
];

/** What one contender did in one round. */
interface ClusterReading {
  /** Microseconds of CPU of all nodes for each message to a client of another node than its sender. */
  readonly cost: number;
  /** Packets that a node received without a member of the room. Only counted by this package's server. */
  readonly strays: number | undefined;
}

interface Effort { readonly rounds: number; readonly warmUp: number; readonly window: number; readonly quick: boolean }

/**
 * Measures several nodes on one Redis, side by side with Socket.IO: `npm run bench -- cluster`. Redis is a process of
 * its own, and its CPU is not counted.
 */
export async function runCluster(): Promise<void> {
  const { values } = parseArgs({
    allowPositionals: true,
    options: { rounds: { type: 'string' }, only: { type: 'string' }, quick: { type: 'boolean', default: false } },
  });
  const { quick, only = '' } = values;
  const effort: Effort = {
    quick, rounds: Number(values.rounds ?? (quick ? 1 : 5)), warmUp: quick ? 300 : 2_000, window: quick ? 500 : 3_000,
  };
  build();
  for (const scenario of clusterScenarios.filter(({ name }) => name.startsWith(only))) await race(scenario, effort);
}

async function race(scenario: ClusterScenario, effort: Effort): Promise<void> {
  const rounds: ClusterReading[][] = [];
  for (let round = 0; round < effort.rounds; round++) {
    const readings: ClusterReading[] = [];
    // Every second round in reverse order: the machine changes between the first one and the last.
    const order = [...contenders.keys()];
    for (const index of round % 2 === 0 ? order : order.toReversed()) {
      readings[index] = await measureNodes(scenario, contenders[index]!, effort);
    }
    rounds.push(readings);
  }
  console.log(`\n${scenario.title}: µs of CPU per delivery to another node`);
  for (const [index, { title }] of contenders.entries()) {
    const cost = median(rounds.map((round) => round[index]!.cost));
    const ratio = median(rounds.map((round) => round[0]!.cost / round[index]!.cost));
    const met = ratio <= scenario.target ? '✓' : '✗ MISSED';
    const verdict = `ratio ${figure(ratio)}, target ≤ ${scenario.target} ${met}`;
    console.log(`  ${title.padEnd(26)}${figure(cost).padStart(8)}  ${index === 0 ? '' : verdict}`);
  }
  const strays = rounds.reduce((sum, [own]) => sum + (own!.strays ?? 0), 0);
  console.log(`  packets without a member on their node: ${strays}`);
}

async function measureNodes(
  scenario: ClusterScenario, { file, dialect, isSharded }: ClusterContender, effort: Effort,
): Promise<ClusterReading> {
  const redis = await startRedis();
  const load = new Child(join(BUILT, 'load', 'cluster-main.js'));
  const nodes = Array.from({ length: scenario.nodes }, () => new Child(join(BUILT, 'servers', file)));
  try {
    const settings: NodeSettings = { url: redis.url, isSharded };
    const ports = await Promise.all(nodes.map((node) => node.ask<number>('listen', settings)));
    const groups = effort.quick ? scenario.groupsWhenQuick : scenario.groups;
    const options: OpenClusterOptions = { scenario: scenario.name, dialect, ports, groups };
    await load.ask('open', options);
    await load.ask('start');
    await sleep(effort.warmUp);
    const sample = (): Promise<[LoadSample, ...ServerSample[]]> => Promise.all([
      load.ask<LoadSample>('sample'), ...nodes.map((node) => node.ask<ServerSample>('sample')),
    ]);
    const [loaded, ...served] = await sample();
    await sleep(effort.window);
    const [loadedThen, ...servedThen] = await sample();
    const cpu = servedThen.reduce((sum, { at, cpu: used }, index) =>
      sum + (used - served[index]!.cpu) / (at - served[index]!.at), 0);
    const count = (loadedThen.count - loaded.count) / (loadedThen.at - loaded.at);
    if (count === 0) throw new Error('no messages arrived: one of them was lost');
    const counts = dialect === 'envelope' && await Promise.all(nodes.map((node) => node.ask<number>('strays')));
    // Half of the receivers are on another node.
    return { cost: cpu / (count / 2), strays: counts ? counts.reduce((sum, one) => sum + one, 0) : undefined };
  } finally {
    // If the load has ended, the earlier error says so.
    await load.ask('close').catch(() => undefined);
    await Promise.all([load, ...nodes].map((child) => child.stop()));
    redis.stop();
  }
}
