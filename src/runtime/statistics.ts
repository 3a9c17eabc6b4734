import type { Collector, Health, HealthCheck, HealthReport, HealthStatus, Metric, Metrics } from '../contracts.ts';
import { toError } from '../errors.ts';
import { isRecord } from '../protocol.ts';
import { Registry } from './registry.ts';
import { UndoList, type Labelled, type Undo } from './scope.ts';

/** Past this many codes of errors, further ones are counted as `other`: applications may make codes up from input. */
const MAX_CODES = 200;

/** The counters behind getMetrics() and getHealth(). */
export class Statistics {
  readonly board = new HealthBoard();
  readonly collectors = new UndoList<{ readonly collect: Collector; readonly owner: string }>();
  readonly #failed: (error: Error, owner: string) => void;
  active = 0;
  total = 0;
  peak = 0;
  refused = 0;
  received = 0;
  handled = 0;
  sent = 0;
  dropped = 0;
  bytesReceived = 0;
  bytesSent = 0;
  errors = 0;
  #responseTime = 0;
  readonly #byCode = new Map<string, number>();
  readonly #startedAt = performance.now();
  /** How many messages there were at the last beats, the oldest first. */
  #samples = [{ at: this.#startedAt, received: 0 }];

  /** @param failed is told of a collector that fails, and whose it is */
  constructor(failed: (error: Error, owner: string) => void) { this.#failed = failed; }

  opened(): void {
    this.total++;
    if (++this.active > this.peak) this.peak = this.active;
  }

  /** Called every few seconds, so that the message rate is one of the last ones. */
  sample(): void {
    this.#samples = [...this.#samples.slice(-2), { at: performance.now(), received: this.received }];
    this.board.sample();
  }

  response(duration: number): void {
    this.handled++;
    this.#responseTime += duration;
  }

  error(code: string): void {
    this.errors++;
    const key = this.#byCode.has(code) || this.#byCode.size < MAX_CODES ? code : 'other';
    this.#byCode.set(key, (this.#byCode.get(key) ?? 0) + 1);
  }

  /** The metrics of plugins now. */
  #collected(): { readonly owner: string; readonly name: string; readonly metric: Metric }[] {
    return [...this.collectors].flatMap(({ collect, owner }) => {
      try {
        return Object.entries(collect()).map(([name, given]) => {
          const metric = typeof given === 'number' ? gauge(given, name.replaceAll('_', ' ')) : given;
          if (!isRecord(metric) || !('value' in metric)) {
            throw new TypeError(`metric "${name}" must be a number or an object with "type", "help" and "value"`);
          }
          return { owner, name, metric };
        });
      } catch (error) {
        this.#failed(toError(error), owner);
        return [];
      }
    });
  }

  metrics(): Metrics {
    const { at, received } = this.#samples[0]!;
    const plugins: Record<string, Record<string, unknown>> = {};
    for (const { owner, name, metric } of this.#collected()) (plugins[owner] ??= {})[name] = metric.value;
    return {
      connections: {
        activeConnections: this.active,
        totalConnections: this.total,
        peakConnections: this.peak,
        refusedConnections: this.refused,
      },
      messages: {
        totalMessages: this.received,
        messagesPerSecond: round((this.received - received) / Math.max(1, (performance.now() - at) / 1_000)),
        avgResponseTime: this.handled === 0 ? 0 : round(this.#responseTime / this.handled),
        sentMessages: this.sent,
        droppedMessages: this.dropped,
      },
      bytes: { received: this.bytesReceived, sent: this.bytesSent },
      errors: {
        totalErrors: this.errors,
        errorRate: this.received === 0 ? 0 : round(this.errors / this.received),
        byCode: Object.fromEntries(this.#byCode),
      },
      plugins,
    };
  }

  /** @param isDraining whether new clients are refused; load balancers must see it */
  health(isDraining: boolean): Health {
    const { heapUsed, heapTotal } = process.memoryUsage();
    const checks = this.board.read();
    return {
      status: isDraining ? 'unhealthy' : worst(Object.values(checks).map((check) => check.status)),
      uptime: Math.round(performance.now() - this.#startedAt),
      connections: { active: this.active, total: this.total },
      memory: { used: megabytes(heapUsed), total: megabytes(heapTotal) },
      checks,
    };
  }

  describeMetrics(): ReadonlyMap<string, Metric> {
    const errors = [...this.#byCode].map(([code, value]) => ({ labels: { code }, value }));
    return new Map([
      ...this.#collected().map(({ name, metric }) => [name, metric] as const),
      // Last, so that no plugin's metric passes for one of the kernel's.
      ['connections', gauge(this.active, 'Connections that are open now.')],
      ['connections_peak', gauge(this.peak, 'The most connections that were open at once.')],
      ['connections_total', counter(this.total, 'Connections accepted since start.')],
      ['connections_refused_total', counter(this.refused, 'Upgrades and connections turned away since start.')],
      ['messages_received_total', counter(this.received, 'Messages received since start.')],
      ['messages_sent_total', counter(this.sent, 'Messages queued for sending since start, each recipient counted.')],
      ['messages_dropped_total', counter(this.dropped, 'Messages a connection did not get since start.')],
      ['received_bytes_total', counter(this.bytesReceived, 'Bytes of messages received since start.')],
      ['sent_bytes_total', counter(this.bytesSent, 'Bytes of frames queued for sending since start.')],
      ['errors_total', counter(errors, 'Errors since start, by code.')],
      [
        'uptime_seconds',
        gauge((performance.now() - this.#startedAt) / 1_000, 'Seconds since the manager was created.'),
      ],
    ]);
  }
}

interface Checked { readonly check: HealthCheck; report: HealthReport | undefined; askedAt: number; answeredAt: number }

/** Milliseconds that a health check may take to answer. */
const CHECK_TIMEOUT = 10_000;

/** Runs health checks in the background and remembers their answers, so that getHealth() never waits. */
export class HealthBoard {
  readonly #checks = new Registry<Checked>('health check');

  get size(): number { return this.#checks.size; }

  inventory(): Labelled[] { return this.#checks.inventory(); }

  /** @throws DUPLICATE */
  add(name: string, check: HealthCheck, owner: string): Undo {
    const checked: Checked = { check, report: undefined, askedAt: 0, answeredAt: 0 };
    const remove = this.#checks.add(name, checked, owner);
    void ask(checked);
    return remove;
  }

  /** Asks one check again, because its answer has changed. */
  refresh(name: string): void {
    const checked = this.#checks.get(name);
    if (checked) void ask(checked);
  }

  /** Asks those again that have answered. */
  sample(): void {
    for (const name of this.#checks.names()) {
      const checked = this.#checks.get(name)!;
      if (checked.answeredAt >= checked.askedAt) void ask(checked);
    }
  }

  read(): Health['checks'] {
    const now = performance.now();
    return Object.fromEntries(this.#checks.names().map((name) => {
      const { report = { status: 'degraded', error: 'no answer yet' }, askedAt, answeredAt } = this.#checks.get(name)!;
      const silent = answeredAt < askedAt && now - askedAt > CHECK_TIMEOUT;
      return [
        name,
        {
          ...(silent ? { status: 'unhealthy', error: `no answer for ${Math.round(now - askedAt)} ms` } : report),
          age: Math.round(now - (answeredAt || askedAt)),
        },
      ];
    }));
  }
}

/** A failure of a check is an unhealthy report. */
async function ask(checked: Checked): Promise<void> {
  checked.askedAt = performance.now();
  try {
    const answer = checked.check();
    checked.report = answer instanceof Promise ? await answer : answer;
  } catch (error) {
    checked.report = { status: 'unhealthy', error: toError(error).message };
  }
  checked.answeredAt = performance.now();
}

const counter = (value: Metric['value'], help: string): Metric => ({ type: 'counter', help, value });
const gauge = (value: number, help: string): Metric => ({ type: 'gauge', help, value });
const ORDER: readonly HealthStatus[] = ['healthy', 'degraded', 'unhealthy'];
const worst = (statuses: readonly HealthStatus[]): HealthStatus =>
  statuses.reduce<HealthStatus>((a, b) => (ORDER.indexOf(b) > ORDER.indexOf(a) ? b : a), 'healthy');
const round = (value: number): number => Math.round(value * 1_000) / 1_000;
const megabytes = (value: number): number => Math.round(value / 1_048_576 * 10) / 10;
