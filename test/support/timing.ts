import { setTimeout as delay } from 'node:timers/promises';

export { eventually } from '../../testing/eventually.ts';

/** The value below which the given share of the samples lies. */
export function percentile(samples: readonly number[], share: number): number {
  const sorted = [...samples].sort((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.ceil(share * sorted.length) - 1)] ?? 0;
}

/** Runs work and resolves to its milliseconds. */
export async function timed(work: () => unknown): Promise<number> {
  const start = performance.now();
  await work();
  return performance.now() - start;
}

/**
 * The least milliseconds of several runs of work inside this process, as if it had the processor to itself. Other
 * processes make the wall time longer, and the threads of the garbage collector the processor time; the shorter of
 * both counts.
 */
export async function fastest(runs: number, work: () => unknown): Promise<number> {
  return (await fastestInTurns(runs, { work })).work;
}

/** The same for several works that are compared: they run in turns, so that a slow moment of the machine hits them all. */
export async function fastestInTurns<K extends string>(
  runs: number, works: Readonly<Record<K, () => unknown>>,
): Promise<Record<K, number>> {
  const names = Object.keys(works) as K[];
  const best = Object.fromEntries(names.map((name) => [name, Infinity])) as Record<K, number>;
  for (let run = 0; run < runs; run++) {
    for (const name of names) {
      const before = process.cpuUsage();
      const elapsed = await timed(works[name]);
      const { user, system } = process.cpuUsage(before);
      best[name] = Math.min(best[name], elapsed, (user + system) / 1_000);
    }
  }
  return best;
}

/** One measurement, and the most that its own control allows. */
export interface Measured { readonly value: number; readonly allowed: number }

/**
 * Measures again while a figure is more than its control allows: other processes share the machine, and one quiet round
 * shows what the code can do. The pauses between rounds grow, so that one slow moment does not hit them all. Fails with
 * the figures of every round when none was good.
 */
export async function withinAllowance(
  rounds: number, measure: (round: number) => Promise<Readonly<Record<string, Measured>>>,
): Promise<void> {
  const lines: string[] = [];
  for (let round = 0; round < rounds; round++) {
    if (round > 0) await delay(Math.min(2_000, 100 * 2 ** round));
    const figures = Object.entries(await measure(round));
    const over = figures.filter(([, { value, allowed }]) => value > allowed);
    if (over.length === 0) return;
    lines.push(
      ...over.map(([name, { value, allowed }]) => `${name}: ${value.toFixed(1)}, allowed ${allowed.toFixed(1)}`),
    );
  }
  throw new Error(`in none of ${rounds} rounds:\n${lines.join('\n')}`);
}

/** Fails when work takes more than these milliseconds in each of several rounds. */
export function takesAtMost(milliseconds: number, what: string, work: () => unknown): Promise<void> {
  return withinAllowance(6, async () => ({ [`ms for ${what}`]: { value: await fastest(3, work), allowed: milliseconds } }));
}
