import { isRecord, type HistogramValue, type Measure } from '../../src/index.ts';

/** What Prometheus asks for: its text format, version 0.0.4. */
export const PROMETHEUS = 'text/plain; version=0.0.4; charset=utf-8';

/**
 * Measures in Prometheus's text format. Whatever a collector gave, the text can be read: names and labels are brought into the
 * form they must have, and what is no number, or would say something a second time, is left out.
 *
 * @param prefix what every name begins with
 */
export function prometheus(measures: Iterable<readonly [name: string, measure: Measure]>, prefix = ''): string {
  const texts = new Map<string, string>();
  for (const [name, measure] of measures) {
    const full = nameOf(prefix + name);
    const lines = texts.has(full) ? [] : samples(full, measure);
    if (lines.length === 0) continue;
    texts.set(full, [`# HELP ${full} ${helpOf(name, measure)}`, `# TYPE ${full} ${typeOf(measure)}`, ...lines, ''].join('\n'));
  }
  return [...texts.values()].join('');
}

// Collectors of plugins written in JavaScript may give anything.
function samples(name: string, measure: unknown): string[] {
  const value = isRecord(measure) ? measure['value'] : undefined;
  if (typeof value === 'number') return [`${name} ${numberOf(value)}`];
  if (Array.isArray(value)) return labelled(name, value);
  return isHistogram(value) ? histogram(name, value) : [];
}

function labelled(name: string, values: readonly unknown[]): string[] {
  const lines = new Map<string, string>();
  for (const item of values) {
    if (!isRecord(item) || typeof item['value'] !== 'number') continue;
    const labels = isRecord(item['labels']) ? item['labels'] : {};
    const pairs = new Map(Object.entries(labels).map(([label, text]) => [labelOf(label), `${labelOf(label)}="${escapeLabel(String(text))}"`]));
    const key = pairs.size === 0 ? name : `${name}{${[...pairs.values()].sort().join(',')}}`;
    if (!lines.has(key)) lines.set(key, `${key} ${numberOf(item['value'])}`);
  }
  return [...lines.values()];
}

function histogram(name: string, { buckets, sum, count }: HistogramValue): string[] {
  const finite = buckets.filter(([bound]) => Number.isFinite(bound));
  const lines = finite.map(([bound, upTo]) => `${name}_bucket{le="${bound}"} ${numberOf(upTo)}`);
  return [...lines, `${name}_bucket{le="+Inf"} ${numberOf(count)}`, `${name}_sum ${numberOf(sum)}`, `${name}_count ${numberOf(count)}`];
}

function isHistogram(value: unknown): value is HistogramValue {
  return isRecord(value) && Array.isArray(value['buckets']) && value['buckets'].every(Array.isArray) && typeof value['sum'] === 'number' && typeof value['count'] === 'number';
}

function typeOf({ type, value }: Measure): string {
  if (isHistogram(value)) return 'histogram';
  return type === 'counter' || type === 'gauge' ? type : 'untyped';
}

function helpOf(name: string, { help }: { readonly help: unknown }): string {
  return escapeHelp(typeof help === 'string' && help !== '' ? help : name.replaceAll('_', ' '));
}

/** A text as a label's value. */
export function escapeLabel(text: string): string {
  return escapeHelp(text).replaceAll('"', '\\"');
}

function escapeHelp(text: string): string {
  return text.replaceAll('\\', '\\\\').replaceAll('\n', '\\n');
}

function nameOf(name: string): string {
  return name.replace(/[^a-zA-Z0-9_:]/g, '_').replace(/^(?=\d|$)/, '_');
}

// Two underscores at the beginning are Prometheus's own.
function labelOf(label: string): string {
  return label.replace(/[^a-zA-Z0-9_]/g, '_').replace(/^_+/, '_').replace(/^(?=\d|$)/, '_');
}

function numberOf(value: number): string {
  return Math.abs(value) === Infinity ? (value > 0 ? '+Inf' : '-Inf') : String(value);
}
