import type { WebSocketModule } from '../../index.ts';
import { type Child, child } from './child.ts';
import type { calls as BareCalls } from './processes/bare.ts';
import type { calls as KernelCalls } from './processes/kernel.ts';
import type { calls as ProbeCalls } from './processes/probe.ts';

export type Kernel = Child<typeof KernelCalls> & { readonly port: number };
export type Bare = Child<typeof BareCalls> & { readonly port: number };
export type Probe = Child<typeof ProbeCalls>;

type Options = Omit<Parameters<typeof WebSocketModule.create>[0], 'server' | 'port'>;

const file = (name: string) => new URL(`./processes/${name}.ts`, import.meta.url);

/** The kernel in a process of its own. With `others`, a second listener takes the upgrades of other paths, and forgets them. */
export async function kernelProcess(
  options: Options = {}, layers: readonly (readonly [file: string, options?: object])[] = [], others = false, env: NodeJS.ProcessEnv = {},
): Promise<Kernel> {
  const process_ = await child<typeof KernelCalls>(file('kernel'), env);
  return { ...process_, port: await process_.call('start', options, layers, others) };
}

/** Plain `ws` in a process of its own: what a number is held against. */
export async function bareProcess(options: Parameters<typeof BareCalls.start>[0] = {}): Promise<Bare> {
  const process_ = await child<typeof BareCalls>(file('bare'));
  return { ...process_, port: await process_.call('start', options) };
}

/** Honest clients of a server, in a process of their own. */
export async function probeProcess(port: number, clients: number): Promise<Probe> {
  const process_ = await child<typeof ProbeCalls>(file('probe'));
  await process_.call('connect', port, clients);
  return process_;
}

export interface Latency { readonly idle: number; readonly attacked: number }

/** The 99th percentile of honest round trips without and with something going on. */
export async function latencies(probe: Probe, attack: () => Promise<unknown>, idleFor = 1_000): Promise<Latency> {
  await probe.call('begin');
  await new Promise((resolve) => setTimeout(resolve, 300));
  await probe.call('finish');
  await probe.call('begin');
  await new Promise((resolve) => setTimeout(resolve, idleFor));
  const idle = await probe.call('finish');
  await probe.call('begin');
  await attack();
  const attacked = await probe.call('finish');
  return { idle: idle.p99, attacked: attacked.p99 };
}

/**
 * What honest clients may see under attack: three times what they see on an idle server; or, where the machine itself is the
 * bottleneck, one and a half times what plain `ws` gives them under the same attack.
 */
export function fair(kernel: Latency, bare: Latency): number {
  return Math.max(3 * kernel.idle, 1.5 * bare.attacked, 5);
}
