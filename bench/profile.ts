import type { Profiler } from 'node:inspector';
import { basename } from 'node:path';

/** How many functions are shown. */
const SHOWN = 30;

/** The functions in which a server spent its time, as text: their own time, without that of what they call. */
export function summarise({ nodes, samples = [], timeDeltas = [] }: Profiler.Profile): string {
  const names = new Map(nodes.map(({ id, callFrame: { functionName, url, lineNumber } }) => {
    const place = url === '' ? '' : ` ${basename(url)}:${lineNumber + 1}`;
    return [id, `${functionName || '(anonymous)'}${place}`];
  }));
  const times = new Map<string, number>();
  samples.forEach((id, index) => {
    const name = names.get(id)!;
    if (name !== '(idle)') times.set(name, (times.get(name) ?? 0) + (timeDeltas[index] ?? 0));
  });
  const busy = [...times.values()].reduce((sum, time) => sum + time, 0);
  const sorted = [...times].sort(([, a], [, b]) => b - a).slice(0, SHOWN);
  return sorted.map(([name, time]) => `  ${(time / busy * 100).toFixed(1).padStart(5)} %  ${name}`).join('\n');
}
