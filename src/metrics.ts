// Health and metrics: the types.

type Numbers<Name extends string> = Readonly<Record<Name, number>>;
export type HealthStatus = 'healthy' | 'degraded' | 'unhealthy';
export type HealthReport = Readonly<Record<string, unknown>> & { readonly status: HealthStatus };
export type HealthCheck = () => HealthReport | Promise<HealthReport>;

/**
 * `uptime` in milliseconds, `memory` in megabytes of heap. `checks` has the last report of each health check, and the
 * `age` of that report in milliseconds.
 */
export interface Health {
  readonly status: HealthStatus;
  readonly uptime: number;
  readonly connections: Numbers<'active' | 'total'>;
  readonly memory: Numbers<'used' | 'total'>;
  readonly checks: Readonly<Record<string, HealthReport & { readonly age: number }>>;
}
export interface Metrics {
  readonly connections: Numbers<'activeConnections' | 'totalConnections' | 'peakConnections' | 'refusedConnections'>;
  /**
   * `totalMessages`: received messages. `messagesPerSecond`: received in the last 10 to 15 seconds. `avgResponseTime`:
   * in milliseconds. `sentMessages`: counted per recipient.
   */
  readonly messages: Numbers<
    'totalMessages' | 'messagesPerSecond' | 'avgResponseTime' | 'sentMessages' | 'droppedMessages'
  >;
  readonly bytes: Numbers<'received' | 'sent'>;
  /** `errorRate`: errors per received message. */
  readonly errors: Numbers<'totalErrors' | 'errorRate'> & { readonly byCode: Readonly<Record<string, number>> };
  /** The metrics of plugins, by plugin and name. */
  readonly plugins: Readonly<Record<string, Readonly<Record<string, unknown>>>>;
}
/** A metric with the type and the help text that Prometheus needs. `help` is one sentence, with the unit. */
export interface Metric {
  readonly type: 'counter' | 'gauge' | 'histogram';
  readonly help: string;
  readonly value: number | readonly LabelledValue[] | HistogramValue;
}
export interface LabelledValue { readonly labels: Readonly<Record<string, string>>; readonly value: number }
/** `buckets`: ascending upper bounds, each with the number of values at or below it. */
export interface HistogramValue extends Numbers<'sum' | 'count'> {
  readonly buckets: readonly (readonly [bound: number, count: number])[];
}
/** Returns the current metrics. A plain number is a gauge. */
export type Collector = () => Readonly<Record<string, number | Metric>>;
