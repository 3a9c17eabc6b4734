import type { Load, Traffic } from '../load/traffic.ts';

/** What is read off one measurement. */
export type Reading = 'cost' | 'rate' | 'p50' | 'p99' | 'heap' | 'rss';

/** A line of the table: one figure of a scenario, and how it has to compare. */
export interface Figure {
  readonly reading: Reading;
  readonly title: string;
  readonly unit: string;
  readonly better: 'lower' | 'higher';
  /** The largest allowed ratio to each other server. */
  readonly targets: { readonly ws?: number; readonly socketIo?: number };
}

/** Something that servers do, and the load that makes them do it. */
export interface Scenario {
  readonly name: string;
  readonly clients: number;
  /** When there is little time. */
  readonly clientsWhenQuick?: number;
  readonly compression?: boolean;
  /** Milliseconds until the server's code is optimised, where it takes longer because little of it runs. */
  readonly warmUp?: number;
  /** `memory` looks at the server before the clients come and after; `cpu` while there is traffic. */
  readonly measure: 'cpu' | 'memory';
  readonly figures: readonly Figure[];
  traffic(load: Load): Traffic;
}

/** The usual figure. */
export function costPerMessage(title: string, targets: Figure['targets']): Figure {
  return { reading: 'cost', title, unit: 'µs', better: 'lower', targets };
}
