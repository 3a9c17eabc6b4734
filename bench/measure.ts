import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Profiler } from 'node:inspector';
import { BUILT } from './build.ts';
import { Child } from './child.ts';
import type { Contender } from './contenders.ts';
import type { LoadSample, OpenOptions } from './load/main.ts';
import { quantile } from './quantile.ts';
import type { Reading, Scenario } from './scenarios/scenario.ts';
import type { MemorySample, ServerSample } from './servers/serve.ts';

/** The number and length of measurements. */
export interface Effort {
  readonly rounds: number;
  /** Milliseconds. */
  readonly warmUp: number;
  readonly window: number;
  readonly quick: boolean;
  /** Receives the server's profile of the window. */
  readonly profiled?: ((contender: Contender, scenario: Scenario, profile: Profiler.Profile) => void) | undefined;
}

export type Readings = Partial<Record<Reading, number>>;

/** Clients that connect and leave before the first memory sample, so that memory that is allocated once is in it. */
const FIRST_CLIENTS = 200;

/** Starts the load process, which all measurements share. */
export const startLoad = (): Child => new Child(join(BUILT, 'load', 'main.js'));

/** Measures one contender once, in a process of its own. */
export async function measure(
  contender: Contender, scenario: Scenario, load: Child, effort: Effort,
): Promise<Readings> {
  const server = new Child(join(BUILT, 'servers', `${contender.name}.js`), ['--expose-gc']);
  try {
    const port = await server.ask<number>('listen', { compression: scenario.compression ?? false });
    const clients = (effort.quick ? scenario.clientsWhenQuick : undefined) ?? scenario.clients;
    const open = (count: number): Promise<void> => {
      const options = { scenario: scenario.name, dialect: contender.dialect, port, clients: count };
      return load.ask('open', options satisfies OpenOptions);
    };
    if (scenario.measure === 'memory') return await measureMemory(server, load, open, clients);
    await open(clients);
    const warmUp = Math.max(effort.warmUp, effort.quick ? 0 : scenario.warmUp ?? 0);
    const give = (profile: Profiler.Profile): void => effort.profiled?.(contender, scenario, profile);
    return await measureCpu(server, load, { ...effort, warmUp }, give);
  } finally {
    // If the load has ended, the earlier error says so.
    await load.ask('close').catch(() => undefined);
    await server.stop();
  }
}

async function measureMemory(
  server: Child, load: Child, open: (count: number) => Promise<void>, clients: number,
): Promise<Readings> {
  await open(FIRST_CLIENTS);
  await load.ask('close');
  const before = await server.ask<MemorySample>('memory');
  await open(clients);
  const after = await server.ask<MemorySample>('memory');
  const perClient = (bytes: number): number => bytes / clients / 1_024;
  return { heap: perClient(after.heap - before.heap), rss: perClient(after.rss - before.rss) };
}

async function measureCpu(
  server: Child, load: Child, { warmUp, window, profiled }: Effort, give: (profile: Profiler.Profile) => void,
): Promise<Readings> {
  const sample = (): Promise<[ServerSample, LoadSample]> =>
    Promise.all([server.ask<ServerSample>('sample'), load.ask<LoadSample>('sample')]);
  await load.ask('start');
  await sleep(warmUp);
  if (profiled) await server.ask('startProfile');
  const [served, loaded] = await sample();
  await sleep(window);
  const [servedThen, loadedThen] = await sample();
  if (profiled) give(await server.ask<Profiler.Profile>('stopProfile'));
  // Each rate by the clock of its process, because the two answer at slightly different times.
  const cpuPerTime = (servedThen.cpu - served.cpu) / (servedThen.at - served.at);
  const countPerTime = (loadedThen.count - loaded.count) / (loadedThen.at - loaded.at);
  if (countPerTime === 0) throw new Error('no messages arrived: one of them was lost');
  const cost = cpuPerTime / countPerTime;
  const { latencies } = loadedThen;
  const quantiles = latencies ? { p50: quantile(latencies, 0.5), p99: quantile(latencies, 0.99) } : {};
  return { cost, rate: 1e6 / cost, ...quantiles };
}
