import {
  check, closeCodes, definePlugin, rules,
  type LabelledValue, type Metric, type ModuleError, type Node, type Plugin,
} from '../src/index.ts';
import { Alarm, type Alert } from './monitoring/alarm.ts';
import { Histogram } from './monitoring/histogram.ts';
import { Vitals } from './monitoring/vitals.ts';
import { SlidingWindow } from './monitoring/sliding-window.ts';

export type { Alert } from './monitoring/alarm.ts';

export interface AlertThresholds {
  /** Failures per message handled within the window, 0 to 1. @default 0.05 */
  readonly errorRate?: number | false | undefined;
  /** The 95th percentile of response times within the window, in milliseconds. @default 5_000 */
  readonly responseTime?: number | false | undefined;
  /** Open connections. @default false */
  readonly connectionCount?: number | false | undefined;
  /** The highest share in use, 0 to 1, of the heap limit or the machine's memory, within the window. @default 0.9 */
  readonly memory?: number | false | undefined;
  /** The longest block of the event loop within the window, in milliseconds. @default 1_000 */
  readonly eventLoopLag?: number | false | undefined;
}

export interface MonitoringOptions {
  /** The thresholds of alerts; `false` for none. */
  readonly alertThresholds?: AlertThresholds | undefined;
  /** Milliseconds between two samples. @default 1_000 */
  readonly interval?: number | undefined;
  /** The length of the sliding window in milliseconds. @default 60_000 */
  readonly window?: number | undefined;
  /** Messages that must be handled within the window before `errorRate` and `responseTime` alert. @default 10 */
  readonly minimum?: number | undefined;
  /** How far below its threshold a metric must fall to clear, as a share of the threshold. @default 0.1 */
  readonly hysteresis?: number | undefined;
  /** Whether an error that a message was answered with counts as a failure. @default failures of the server */
  readonly isFailure?: ((error: ModuleError) => boolean) | undefined;
}

export interface MonitoringApi {
  /** The active alerts, with their values at the last sample. */
  alerts(): readonly Alert[];
}
declare module '../src/index.ts' {
  interface PluginApis { monitoring: MonitoringApi }
  interface Hooks {
    /** A metric reached its threshold, or cleared. */
    'alert': (alert: Alert) => void;
  }
}

const THRESHOLDS = {
  errorRate: 0.05, responseTime: 5_000, connectionCount: false, memory: 0.9, eventLoopLag: 1_000,
} as const;
/** Steps in which the window slides. */
const SLOTS = 12;
/** Upper bounds in seconds. 30 s is the default `message.timeout`. */
const DURATIONS = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30];
const LIFETIMES = [1, 10, 60, 300, 1_800, 3_600, 21_600, 86_400];
const OWN_CODES: ReadonlySet<number> = new Set(Object.values(closeCodes));

const { either, number, duration, integer, group, rule } = rules;
const off = rule('false', (value) => value === false);
const isPositive = (value: unknown): value is number => typeof value === 'number' && value > 0 && value < Infinity;
const share = either(rule('a number above 0, up to 1', (value) => isPositive(value) && value <= 1), off);
const positive = either(rule('a number above 0', isPositive), off);
const MONITORING_RULES = {
  alertThresholds: group({
    fields: {
      errorRate: share, responseTime: positive, connectionCount: positive, memory: share, eventLoopLag: positive,
    },
  }),
  interval: integer(10, 3_600_000),
  window: duration,
  minimum: integer(1, 1_000_000_000),
  hysteresis: number(0, 0.99),
  isFailure: rules.callback,
};

/**
 * Measures connections, messages, backpressure, the event loop and memory, in `getMetrics().plugins.monitoring` and for
 * Prometheus. Emits `alert` when a metric reaches its threshold and when it clears; in between, its health check is
 * `degraded`.
 *
 * @throws OPTION_INVALID, OPTION_UNKNOWN
 * @example manager.use(monitoring({ alertThresholds: { errorRate: 0.05, responseTime: 5000, connectionCount: 900 } }))
 */
export function monitoring(options: MonitoringOptions = {}): Plugin<'monitoring', never, MonitoringApi> {
  const {
    alertThresholds, interval = 1_000, window: length = 60_000, minimum = 10, hysteresis = 0.1,
    isFailure = isServerFault,
  } = check(options, MONITORING_RULES, 'monitoring');
  // Options that are undefined are not in the checked copy.
  const thresholds = { ...THRESHOLDS, ...alertThresholds } as Record<keyof AlertThresholds, number | false>;
  const samplesPerSlot = Math.ceil(length / SLOTS / interval);
  // Rounded up, so that the data cover at least one window.
  const slots = Math.ceil(length / samplesPerSlot / interval);

  return definePlugin({
    name: 'monitoring',
    events: ['alert'],
    setup(context): MonitoringApi {
      const { node, log } = context;
      const recent = new SlidingWindow(slots);
      const durations = new Histogram(DURATIONS);
      const lifetimes = new Histogram(LIFETIMES);
      const closed = new Map<string, number>();
      const vitals = new Vitals(interval);
      const alarms = Object.entries(thresholds).flatMap(([name, threshold]) =>
        (threshold === false ? [] : [new Alarm(name, threshold, hysteresis)]));
      let backlog = backlogOf(node);
      let failures = 0;
      let samples = 0;

      context.on('connection:removed', (connection, { code }) => {
        lifetimes.record(connection.age / 1_000);
        const label = labelOf(code);
        closed.set(label, (closed.get(label) ?? 0) + 1);
      });
      // Called for each message: 0.1 µs, whatever happened before.
      context.on('message:handled', ({ duration: taken, error }) => {
        const failed = error !== undefined && isFailure(error);
        if (failed) failures++;
        recent.record(taken, failed);
        durations.record(taken / 1_000);
      });

      const sample = (): void => {
        vitals.sample();
        backlog = backlogOf(node);
        recent.peak(vitals.lag, vitals.memory);
        const reading = recent.read();
        const enough = reading.count >= minimum;
        const metrics: Record<string, [value: number, certain?: boolean]> = {
          errorRate: [reading.errorRate, enough],
          responseTime: [reading.quantile(0.95), enough],
          connectionCount: [node.connections.size],
          memory: [reading.memory],
          eventLoopLag: [reading.lag],
        };
        if (++samples % samplesPerSlot === 0) recent.advance();
        for (const alarm of alarms) {
          const [value, certain = true] = metrics[alarm.name]!;
          const alert = alarm.judge(value, certain);
          if (!alert) continue;
          // Logged, so that an alert is seen without a listener.
          if (alert.level === 'warning') log.warn(`alert: ${alert.name}`, { value, threshold: alert.threshold });
          else log.info(`cleared: ${alert.name}`, { value, threshold: alert.threshold });
          context.emit('alert', alert);
        }
      };

      const alerts = (): Alert[] => alarms.flatMap(({ active }) => active ?? []);
      const names = (): string[] => alerts().map(({ name }) => name);

      context.every(interval, sample);
      context.onUnload(() => vitals.stop());
      // Getters: the kernel calls the check every few seconds only, but the health must show an alert at once.
      context.health('monitoring', () => ({
        get status() { return alerts().length > 0 ? 'degraded' : 'healthy'; },
        get alerts() { return names(); },
      }));
      context.metrics(() => {
        const reading = recent.read();
        const seconds = (quantile: number): number => reading.quantile(quantile) / 1_000;
        const active = new Map(alarms.map((alarm) => [alarm.name, alarm.active ? 1 : 0]));
        const raised = new Map(alarms.map((alarm) => [alarm.name, alarm.raised]));
        return {
          message_duration_seconds: histogram(durations, 'Seconds from the arrival of a message to its answer.'),
          message_duration_p50_seconds: gauge(seconds(0.5), 'Seconds to answer, median of recent messages.'),
          message_duration_p95_seconds: gauge(seconds(0.95), 'Seconds to answer, 95th percentile of recent messages.'),
          message_duration_p99_seconds: gauge(seconds(0.99), 'Seconds to answer, 99th percentile of recent messages.'),
          messages_failed_total: counter(failures, 'Number of messages whose answer was a failure.'),
          message_failures_ratio: gauge(reading.errorRate, 'Failures per message, of recent messages.'),
          connections_closed_total: counter(labelled('code', closed), 'Number of closed connections, by close code.'),
          connection_lifetime_seconds: histogram(lifetimes, 'Time that connections were open, in seconds.'),
          connections_backlogged: gauge(backlog.connections, 'Number of connections with bytes to be written.'),
          connections_paused: gauge(backlog.paused, 'Number of connections that are not read: too many messages wait.'),
          waiting_bytes: gauge(backlog.bytes, 'Bytes that wait to be written, to all connections.'),
          highest_waiting_bytes: gauge(backlog.highest, 'Most bytes that wait to be written to one connection.'),
          event_loop_lag_seconds: gauge(reading.lag / 1_000, 'Longest recent block of the event loop, in seconds.'),
          event_loop_lag_p99_seconds: gauge(vitals.lagP99 / 1_000, 'Seconds of event loop lag, 99th percentile.'),
          event_loop_utilization_ratio: gauge(vitals.utilization, 'Share of time that the event loop was busy.'),
          heap_used_bytes: gauge(vitals.heapUsed, 'Bytes of heap in use.'),
          heap_limit_bytes: gauge(vitals.heapLimit, 'Maximum size of the heap, in bytes.'),
          external_memory_bytes: gauge(vitals.external, 'Bytes of buffers and other memory outside the heap.'),
          resident_memory_bytes: gauge(vitals.resident, 'Resident memory of the process, in bytes.'),
          memory_used_ratio: gauge(vitals.memory, 'Highest share in use, of heap limit or machine memory.'),
          alert_active: gauge(labelled('alert', active), 'Whether an alert is active (1), by name.'),
          alerts_total: counter(labelled('alert', raised), 'Number of alerts, by name.'),
        };
      });
      return { alerts };
    },
  });
}

/** Whether an error is a failure of the server: those that clients cause have a status below 500, or none. */
function isServerFault({ code, status = 400 }: ModuleError): boolean {
  return status >= 500 || code === 'HANDLER_TIMEOUT';
}

/** Counts bytes that wait to be written, and connections that are not read. */
function backlogOf({ connections }: Node): { connections: number; paused: number; bytes: number; highest: number } {
  const backlog = { connections: 0, paused: 0, bytes: 0, highest: 0 };
  for (const { isPaused, waitingBytes: bytes } of connections.values()) {
    if (isPaused) backlog.paused++;
    if (bytes === 0) continue;
    backlog.connections++;
    backlog.bytes += bytes;
    if (bytes > backlog.highest) backlog.highest = bytes;
  }
  return backlog;
}

/** A close code as a label. Clients can choose from 2,000 codes, so other than known codes are counted as `other`. */
function labelOf(code: number): string { return code < 3_000 || OWN_CODES.has(code) ? String(code) : 'other'; }

const histogram = ({ value }: Histogram, help: string): Metric => ({ type: 'histogram', help, value });
const gauge = (value: Metric['value'], help: string): Metric => ({ type: 'gauge', help, value });
const counter = (value: Metric['value'], help: string): Metric => ({ type: 'counter', help, value });

function labelled(label: string, values: ReadonlyMap<string, number>): LabelledValue[] {
  return [...values].map(([name, value]) => ({ labels: { [label]: name }, value }));
}

monitoring.monitoring = monitoring;
export { monitoring as default, monitoring as 'module.exports' };
