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
  let best = Infinity;
  for (let run = 0; run < runs; run++) {
    const before = process.cpuUsage();
    const elapsed = await timed(work);
    const { user, system } = process.cpuUsage(before);
    best = Math.min(best, elapsed, (user + system) / 1_000);
  }
  return best;
}

/** One measurement, and the most that its own control allows. */
export interface Measured { readonly value: number; readonly allowed: number }

/**
 * Measures again while a figure is more than its control allows: other processes share the machine, and one quiet round
 * shows what the code can do. Fails with the figures of every round when none was good.
 */
export async function withinAllowance(
  rounds: number, measure: (round: number) => Promise<Readonly<Record<string, Measured>>>,
): Promise<void> {
  const lines: string[] = [];
  for (let round = 0; round < rounds; round++) {
    const figures = Object.entries(await measure(round));
    const over = figures.filter(([, { value, allowed }]) => value > allowed);
    if (over.length === 0) return;
    lines.push(
      ...over.map(([name, { value, allowed }]) => `${name}: ${value.toFixed(1)}, allowed ${allowed.toFixed(1)}`),
    );
  }
  throw new Error(`in none of ${rounds} rounds:\n${lines.join('\n')}`);
}
