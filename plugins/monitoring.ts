import {
  check, closeCodes, connectionAges, definePlugin, rules,
  type Alert, type LabelledValue, type Measure, type ModuleError, type Node, type Plugin,
} from '../src/index.ts';
import { Alarm } from './monitoring/alarm.ts';
import { Histogram } from './monitoring/histogram.ts';
import { Vitals } from './monitoring/vitals.ts';
import { Window } from './monitoring/window.ts';

export interface AlertThresholds {
  /** Failures per message handled within the window, 0 to 1. @default 0.05 */
  readonly errorRate?: number | false;
  /** Milliseconds that 95 of 100 messages within the window did not exceed. @default 5_000 */
  readonly responseTime?: number | false;
  /** Open connections. @default false */
  readonly connectionCount?: number | false;
  /** The highest share within the window of the memory this process may have, 0 to 1: of its heap or of the machine, whichever is nearer. @default 0.9 */
  readonly memory?: number | false;
  /** Milliseconds: the longest that the event loop stood still within the window. @default 1_000 */
  readonly eventLoopLag?: number | false;
}

export interface MonitoringOptions {
  /** From where figures alert; `false` for never. */
  readonly alertThresholds?: AlertThresholds;
  /** Milliseconds between two looks at the figures. @default 1_000 */
  readonly interval?: number;
  /** Milliseconds over which figures are rated. @default 60_000 */
  readonly window?: number;
  /** Messages that must have been handled within the window before `errorRate` and `responseTime` alert. @default 10 */
  readonly minimum?: number;
  /** The share of its threshold by which a figure must be under it to clear. @default 0.1 */
  readonly hysteresis?: number;
  /** Whether an error that a message was answered with is a failure. @default every error */
  readonly isFailure?: (error: ModuleError) => boolean;
}

export interface MonitoringApi {
  /** The alerts that stand, with their values at the last look. */
  alerts(): readonly Alert[];
}
declare module '../src/index.ts' { interface PluginApis { monitoring: MonitoringApi } }

const THRESHOLDS = { errorRate: 0.05, responseTime: 5_000, connectionCount: false, memory: 0.9, eventLoopLag: 1_000 } as const;
/** Parts in which a window is forgotten. */
const SLOTS = 12;
/** Upper bounds in seconds: below a millisecond a handler waits for nothing, and 30 s is the kernel's patience. */
const DURATIONS = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30];
const LIFETIMES = [1, 10, 60, 300, 1_800, 3_600, 21_600, 86_400];
const OWN_CODES: ReadonlySet<number> = new Set(Object.values(closeCodes));

const { either, number, duration, integer, group, rule } = rules;
const off = rule('false', (value) => value === false);
const share = either(rule('a number above 0, up to 1', (value) => typeof value === 'number' && value > 0 && value <= 1), off);
const positive = either(rule('a number above 0', (value) => typeof value === 'number' && value > 0 && value < Infinity), off);

/**
 * Watches connections, messages, backpressure, the event loop and memory: its figures stand in `getMetrics().plugins.monitoring`
 * and among the measures, it emits `alert` when one of them reaches its threshold and when it is well under it again, and its
 * health check is degraded in between.
 *
 * @throws OPTION_INVALID, OPTION_UNKNOWN
 * @example manager.use(monitoring({ alertThresholds: { errorRate: 0.05, responseTime: 5000, connectionCount: 900 } }))
 */
export function monitoring(options: MonitoringOptions = {}): Plugin<'monitoring', never, MonitoringApi> {
  const { alertThresholds, interval = 1_000, window: length = 60_000, minimum = 10, hysteresis = 0.1, isFailure = () => true } = check(options, {
    alertThresholds: group({ fields: { errorRate: share, responseTime: positive, connectionCount: positive, memory: share, eventLoopLag: positive } }),
    interval: integer(10, 3_600_000),
    window: duration,
    minimum: integer(1, 1_000_000_000),
    hysteresis: number(0, 0.99),
    isFailure: rules.callback,
  }, 'monitoring');
  const thresholds: Required<AlertThresholds> = { ...THRESHOLDS, ...alertThresholds };
  const looksPerSlot = Math.ceil(length / SLOTS / interval);
  // What is rated is no shorter than the window.
  const slots = Math.ceil(length / looksPerSlot / interval);

  return definePlugin({
    name: 'monitoring',
    setup(context): MonitoringApi {
      const { node, log } = context;
      const recent = new Window(slots);
      const durations = new Histogram(DURATIONS);
      const lifetimes = new Histogram(LIFETIMES);
      const closed = new Map<string, number>();
      const vitals = new Vitals(interval);
      const alarms = Object.entries(thresholds).flatMap(([name, threshold]) => (threshold === false ? [] : [new Alarm(name, threshold, hysteresis)]));
      let backlog = sample(node);
      let failures = 0;
      let looks = 0;

      // Once per message, so nothing here depends on how many there were: 0.1 µs.
      context.on('message:handled', ({ duration: taken, error }) => {
        const failed = error !== undefined && isFailure(error);
        if (failed) failures++;
        recent.record(taken, failed);
        durations.record(taken / 1_000);
      });
      const ageOf = connectionAges(context);
      context.on('connection:removed', (connection, { code }) => {
        lifetimes.record(ageOf(connection) / 1_000);
        const label = labelOf(code);
        closed.set(label, (closed.get(label) ?? 0) + 1);
      });

      const look = (): void => {
        vitals.look();
        backlog = sample(node);
        recent.peak(vitals.lag, vitals.memory);
        const reading = recent.read();
        const enough = reading.count >= minimum;
        const figures: Record<string, [value: number, certain?: boolean]> = {
          errorRate: [reading.errorRate, enough],
          responseTime: [reading.quantile(0.95), enough],
          connectionCount: [node.connections.size],
          memory: [reading.memory],
          eventLoopLag: [reading.lag],
        };
        if (++looks % looksPerSlot === 0) recent.advance();
        for (const alarm of alarms) {
          const [value, certain = true] = figures[alarm.name]!;
          const alert = alarm.judge(value, certain);
          if (!alert) continue;
          // An alert that nobody listens to must not go unseen.
          if (alert.level === 'warning') log.warn(`alert: ${alert.name}`, { value, threshold: alert.threshold });
          else log.info(`cleared: ${alert.name}`, { value, threshold: alert.threshold });
          context.emit('alert', alert);
        }
      };

      const alerts = (): Alert[] => alarms.flatMap(({ standing }) => standing ?? []);
      const names = (): string[] => alerts().map(({ name }) => name);

      context.every(interval, look);
      context.onUnload(() => vitals.stop());
      // Getters, because the kernel asks every few seconds only, and a load balancer is to learn of an alert when its listeners do.
      context.health('monitoring', () => ({
        get status() { return alerts().length > 0 ? 'degraded' : 'healthy'; },
        get alerts() { return names(); },
      }));
      context.metrics(() => {
        const reading = recent.read();
        return {
          message_duration_seconds: { type: 'histogram', help: 'Seconds from a message\'s arrival to its answer, since start.', value: durations.value },
          message_duration_p50_seconds: gauge(reading.quantile(0.5) / 1_000, 'Seconds that half of the recent messages did not exceed.'),
          message_duration_p95_seconds: gauge(reading.quantile(0.95) / 1_000, 'Seconds that 95 of 100 recent messages did not exceed.'),
          message_duration_p99_seconds: gauge(reading.quantile(0.99) / 1_000, 'Seconds that 99 of 100 recent messages did not exceed.'),
          messages_failed_total: counter(failures, 'Messages whose answer was an error, since start.'),
          message_failures_ratio: gauge(reading.errorRate, 'Failures per message, of the recent messages.'),
          connections_closed_total: counter(labelled('code', closed), 'Connections closed since start, by close code.'),
          connection_lifetime_seconds: { type: 'histogram', help: 'Seconds that connections were open, since start.', value: lifetimes.value },
          connections_backlogged: gauge(backlog.connections, 'Connections for which something waits to be written.'),
          connections_paused: gauge(backlog.paused, 'Connections not read from, because too many of their messages wait.'),
          waiting_bytes: gauge(backlog.bytes, 'Bytes that wait to be written, to all connections together.'),
          highest_waiting_bytes: gauge(backlog.highest, 'Bytes that wait to be written to the connection for which most do.'),
          event_loop_lag_seconds: gauge(reading.lag / 1_000, 'The longest that the event loop stood still recently, in seconds.'),
          event_loop_lag_p99_seconds: gauge(vitals.lagP99 / 1_000, 'Seconds of lag that 99 of 100 samples of the event loop did not exceed.'),
          event_loop_utilization_ratio: gauge(vitals.utilization, 'The share of time in which the event loop was busy.'),
          heap_used_bytes: gauge(vitals.heapUsed, 'Bytes of heap in use.'),
          heap_limit_bytes: gauge(vitals.heapLimit, 'Bytes that the heap may grow to.'),
          external_memory_bytes: gauge(vitals.external, 'Bytes of buffers and other memory outside the heap.'),
          resident_memory_bytes: gauge(vitals.resident, 'Bytes of memory that the process holds.'),
          memory_used_ratio: gauge(vitals.memory, 'The share of the memory it may have that the process has, of heap or machine, whichever is nearer.'),
          alert_active: gauge(labelled('alert', new Map(alarms.map(({ name, standing }) => [name, standing ? 1 : 0]))), 'Whether an alert stands, by its name.'),
          alerts_total: counter(labelled('alert', new Map(alarms.map(({ name, raised }) => [name, raised]))), 'Alerts since start, by name.'),
        };
      });
      return { alerts };
    },
  });
}

/** What waits to be written, and who is not read from. */
function sample({ connections }: Node): { connections: number; paused: number; bytes: number; highest: number } {
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

/** A close code as a label. Clients choose from 2,000 codes as they like: only the standard's and our own stay apart. */
function labelOf(code: number): string {
  return code < 3_000 || OWN_CODES.has(code) ? String(code) : 'other';
}

const gauge = (value: Measure['value'], help: string): Measure => ({ type: 'gauge', help, value });
const counter = (value: Measure['value'], help: string): Measure => ({ type: 'counter', help, value });

function labelled(label: string, values: ReadonlyMap<string, number>): LabelledValue[] {
  return [...values].map(([name, value]) => ({ labels: { [label]: name }, value }));
}

monitoring.monitoring = monitoring;
export { monitoring as default, monitoring as 'module.exports' };
