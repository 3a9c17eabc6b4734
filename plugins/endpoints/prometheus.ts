import { isRecord, type HistogramValue, type Metric } from '../../src/index.ts';

/** The content type of Prometheus's text format, version 0.0.4. */
export const PROMETHEUS = 'text/plain; version=0.0.4; charset=utf-8';

/**
 * Writes metrics in Prometheus's text format. The text is valid whatever a collector returns: names and labels are
 * converted to the required form; values that are not numbers, and duplicates, are left out.
 *
 * @param prefix the beginning of every name
 */
export function prometheus(metrics: Iterable<readonly [name: string, metric: Metric]>, prefix = ''): string {
  const texts = new Map<string, string>();
  for (const [name, metric] of metrics) {
    const full = nameOf(prefix + name);
    const lines = texts.has(full) ? [] : samples(full, metric);
    if (lines.length === 0) continue;
    const head = [`# HELP ${full} ${helpOf(name, metric)}`, `# TYPE ${full} ${typeOf(metric)}`];
    texts.set(full, [...head, ...lines, ''].join('\n'));
  }
  return [...texts.values()].join('');
}

// Collectors in JavaScript may return anything.
function samples(name: string, metric: unknown): string[] {
  const value = isRecord(metric) ? metric['value'] : undefined;
  if (typeof value === 'number') return [`${name} ${numberOf(value)}`];
  if (Array.isArray(value)) return labelled(name, value);
  return isHistogram(value) ? histogram(name, value) : [];
}

function labelled(name: string, values: readonly unknown[]): string[] {
  const lines = new Map<string, string>();
  for (const item of values) {
    if (!isRecord(item) || typeof item['value'] !== 'number') continue;
    const labels = isRecord(item['labels']) ? item['labels'] : {};
    const pairs = new Map(Object.entries(labels).map(([given, text]) => {
      const label = labelOf(given);
      return [label, `${label}="${escapeLabel(String(text))}"`];
    }));
    const key = pairs.size === 0 ? name : `${name}{${[...pairs.values()].sort().join(',')}}`;
    if (!lines.has(key)) lines.set(key, `${key} ${numberOf(item['value'])}`);
  }
  return [...lines.values()];
}

function histogram(name: string, { buckets, sum, count }: HistogramValue): string[] {
  const finite = buckets.filter(([bound]) => Number.isFinite(bound));
  return [
    ...finite.map(([bound, upTo]) => `${name}_bucket{le="${bound}"} ${numberOf(upTo)}`),
    `${name}_bucket{le="+Inf"} ${numberOf(count)}`,
    `${name}_sum ${numberOf(sum)}`,
    `${name}_count ${numberOf(count)}`,
  ];
}

function isHistogram(value: unknown): value is HistogramValue {
  if (!isRecord(value)) return false;
  const { buckets, sum, count } = value;
  const hasBuckets = Array.isArray(buckets) && buckets.every(Array.isArray);
  return hasBuckets && typeof sum === 'number' && typeof count === 'number';
}

function typeOf({ type, value }: Metric): string {
  if (isHistogram(value)) return 'histogram';
  return type === 'counter' || type === 'gauge' ? type : 'untyped';
}

function helpOf(name: string, { help }: { readonly help: unknown }): string {
  return escapeHelp(typeof help === 'string' && help !== '' ? help : name.replaceAll('_', ' '));
}

/** A string as the value of a label. */
export function escapeLabel(text: string): string {
  return escapeHelp(text).replaceAll('"', '\\"');
}

function escapeHelp(text: string): string {
  return text.replaceAll('\\', '\\\\').replaceAll('\n', '\\n');
}

function nameOf(name: string): string {
  return name.replace(/[^a-zA-Z0-9_:]/g, '_').replace(/^(?=\d|$)/, '_');
}

// Prometheus reserves two underscores at the beginning.
function labelOf(label: string): string {
  return label.replace(/[^a-zA-Z0-9_]/g, '_').replace(/^_+/, '_').replace(/^(?=\d|$)/, '_');
}

function numberOf(value: number): string {
  return Math.abs(value) === Infinity ? (value > 0 ? '+Inf' : '-Inf') : String(value);
}
