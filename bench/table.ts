import { contenders, type Contender } from './contenders.ts';
import type { Comparison, Row } from './compare.ts';

/** A number with three significant digits. */
export const figure = (value: number): string =>
  value >= 100 ? Math.round(value).toLocaleString('en') : value.toPrecision(3);

/** The results as text: medians by contender, then the ratios of this package to its peers, beside their targets. */
export function table(rows: readonly Row[], names: readonly Contender['name'][]): string {
  const shown = contenders.filter(({ name }) => names.includes(name));
  const head = ['', '', ...shown.map(({ title }) => title), 'to ws', 'target', 'to Socket.IO', 'target'];
  const lines = rows.map(({ title, unit, better, medians, against }) => [
    title,
    unit,
    ...shown.map(({ name }) => figure(medians[name]!)),
    ...cells(against.ws, better),
    ...cells(against.socketIo, better),
  ]);
  const widths = head.map((_, column) => Math.max(...[head, ...lines].map((line) => line[column]!.length)));
  const pad = (cell: string, column: number): string =>
    (column < 2 ? cell.padEnd(widths[column]!) : cell.padStart(widths[column]!));
  const write = (line: readonly string[]): string => line.map(pad).join('  ');
  return [write(head), widths.map((width) => '─'.repeat(width)).join('  '), ...lines.map(write)].join('\n');
}

function cells(comparison: Comparison | undefined, better: Row['better']): [ratio: string, target: string] {
  if (!comparison) return ['', ''];
  const { ratio, target, met } = comparison;
  if (target === undefined) return [figure(ratio), ''];
  return [figure(ratio), `${better === 'lower' ? '≤' : '≥'} ${target} ${met ? '✓' : '✗ MISSED'}`];
}
