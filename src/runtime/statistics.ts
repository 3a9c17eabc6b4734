import type { Collector, Health, HealthCheck, HealthReport, HealthStatus, Metric, Metrics } from '../contracts.ts';
import { toError } from '../errors.ts';
import { isRecord } from '../protocol.ts';
import { Registry } from './registry.ts';
import { UndoList, type Labelled, type Undo } from './scope.ts';

/** Further codes of errors are counted as `other`: applications may create codes from input, without bound. */
const MAX_CODES = 200;

/** The counters behind getMetrics() and getHealth(). */
export class Statistics {
  readonly healthChecks = new HealthChecks();
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
  /** The number of received messages at the last samples, oldest first. */
  #samples = [{ at: this.#startedAt, received: 0 }];

  /** @param failed called with the error of a collector and the owner of the collector */
  constructor(failed: (error: Error, owner: string) => void) { this.#failed = failed; }

  opened(): void {
    this.total++;
    if (++this.active > this.peak) this.peak = this.active;
  }

  /** Called every few seconds: the message rate is that of the last samples. */
  sample(): void {
    this.#samples = [...this.#samples.slice(-2), { at: performance.now(), received: this.received }];
    this.healthChecks.run();
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

  /** Collects the metrics of plugins. */
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

  /** @param isDraining whether new clients are refused, so that a load balancer must use another node */
  health(isDraining: boolean): Health {
    const { heapUsed, heapTotal } = process.memoryUsage();
    const checks = this.healthChecks.read();
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
      // Last, so that they replace metrics of plugins with the same names.
      ['connections', gauge(this.active, 'Number of open connections.')],
      ['connections_peak', gauge(this.peak, 'Highest number of open connections since start.')],
      ['connections_total', counter(this.total, 'Number of accepted connections since start.')],
      ['connections_refused_total', counter(this.refused, 'Number of refused upgrades and connections since start.')],
      ['messages_received_total', counter(this.received, 'Number of received messages since start.')],
      ['messages_sent_total', counter(this.sent, 'Number of messages queued for sending since start, per recipient.')],
      ['messages_dropped_total', counter(this.dropped, 'Number of dropped messages since start, per recipient.')],
      ['received_bytes_total', counter(this.bytesReceived, 'Bytes of received messages since start.')],
      ['sent_bytes_total', counter(this.bytesSent, 'Bytes of frames queued for sending since start.')],
      ['errors_total', counter(errors, 'Number of errors since start, by code.')],
      [
        'uptime_seconds',
        gauge((performance.now() - this.#startedAt) / 1_000, 'Seconds since the manager was created.'),
      ],
    ]);
  }
}

interface CheckState {
  readonly check: HealthCheck;
  report: HealthReport | undefined;
  startedAt: number;
  finishedAt: number;
}

/** A health check that takes more milliseconds than this is unhealthy. */
const CHECK_TIMEOUT = 10_000;

/** Runs health checks in the background and keeps their last reports, so that getHealth() never waits. */
export class HealthChecks {
  readonly #checks = new Registry<CheckState>('health check');

  get size(): number { return this.#checks.size; }

  inventory(): Labelled[] { return this.#checks.inventory(); }

  /** @throws DUPLICATE */
  add(name: string, check: HealthCheck, owner: string): Undo {
    const state: CheckState = { check, report: undefined, startedAt: 0, finishedAt: 0 };
    const remove = this.#checks.add(name, state, owner);
    void run(state);
    return remove;
  }

  /** Runs one check again, because its report has changed. */
  refresh(name: string): void {
    const state = this.#checks.get(name);
    if (state) void run(state);
  }

  /** Runs the checks that are not running. */
  run(): void {
    for (const name of this.#checks.names()) {
      const state = this.#checks.get(name)!;
      if (state.finishedAt >= state.startedAt) void run(state);
    }
  }

  read(): Health['checks'] {
    const now = performance.now();
    return Object.fromEntries(this.#checks.names().map((name) => {
      const state = this.#checks.get(name)!;
      const { report = { status: 'degraded', error: 'no answer yet' }, startedAt, finishedAt } = state;
      const isLate = finishedAt < startedAt && now - startedAt > CHECK_TIMEOUT;
      return [
        name,
        {
          ...(isLate ? { status: 'unhealthy', error: `no answer for ${Math.round(now - startedAt)} ms` } : report),
          age: Math.round(now - (finishedAt || startedAt)),
        },
      ];
    }));
  }
}

/** Runs a check. If it fails, its report is `unhealthy`. */
async function run(state: CheckState): Promise<void> {
  state.startedAt = performance.now();
  try {
    const report = state.check();
    state.report = report instanceof Promise ? await report : report;
  } catch (error) {
    state.report = { status: 'unhealthy', error: toError(error).message };
  }
  state.finishedAt = performance.now();
}

const counter = (value: Metric['value'], help: string): Metric => ({ type: 'counter', help, value });
const gauge = (value: number, help: string): Metric => ({ type: 'gauge', help, value });
const ORDER: readonly HealthStatus[] = ['healthy', 'degraded', 'unhealthy'];
const worst = (statuses: readonly HealthStatus[]): HealthStatus =>
  statuses.reduce<HealthStatus>((a, b) => (ORDER.indexOf(b) > ORDER.indexOf(a) ? b : a), 'healthy');
const round = (value: number): number => Math.round(value * 1_000) / 1_000;
const megabytes = (value: number): number => Math.round(value / 1_048_576 * 10) / 10;
