// What a node says of its state in figures: alerts, health, metrics.

type Figures<Name extends string> = Readonly<Record<Name, number>>;
/** A figure crossed its threshold, at `since` in milliseconds since the epoch, or is well under it again. */
export interface Alert extends Figures<'value' | 'threshold' | 'since'> { readonly name: string; readonly level: 'warning' | 'cleared' }
export type HealthStatus = 'healthy' | 'degraded' | 'unhealthy';
export type HealthReport = Readonly<Record<string, unknown>> & { readonly status: HealthStatus };
export type HealthCheck = () => HealthReport | Promise<HealthReport>;

/** `uptime` in milliseconds, `memory` in megabytes of heap; of each check its last answer, and how many milliseconds old that is. */
export interface Health {
  readonly status: HealthStatus;
  readonly uptime: number; readonly connections: Figures<'active' | 'total'>; readonly memory: Figures<'used' | 'total'>;
  readonly checks: Readonly<Record<string, HealthReport & { readonly age: number }>>;
}
export interface Metrics {
  readonly connections: Figures<'activeConnections' | 'totalConnections' | 'peakConnections' | 'refusedConnections'>;
  /** `totalMessages` came; the rate is that of the last ten to fifteen seconds; the response time is in ms; each recipient of what was sent counts. */
  readonly messages: Figures<'totalMessages' | 'messagesPerSecond' | 'avgResponseTime' | 'sentMessages' | 'droppedMessages'>;
  readonly bytes: Figures<'received' | 'sent'>;
  /** The rate is errors per message that came. */
  readonly errors: Figures<'totalErrors' | 'errorRate'> & { readonly byCode: Readonly<Record<string, number>> };
  /** What plugins measure, by plugin and figure. */
  readonly plugins: Readonly<Record<string, Readonly<Record<string, unknown>>>>;
}
/** A figure, with what Prometheus wants to know of it: `help` is one sentence, with the unit. */
export interface Measure {
  readonly type: 'counter' | 'gauge' | 'histogram';
  readonly help: string;
  readonly value: number | readonly LabelledValue[] | HistogramValue;
}
export interface LabelledValue { readonly labels: Readonly<Record<string, string>>; readonly value: number }
/** Buckets are upper bounds, ascending, and how many values are at or under each. */
export interface HistogramValue extends Figures<'sum' | 'count'> { readonly buckets: readonly (readonly [bound: number, count: number])[] }
/** Gives figures when asked. A bare number is a gauge. */
export type Collector = () => Readonly<Record<string, number | Measure>>;
