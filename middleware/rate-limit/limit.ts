import type { RateMeter } from '../../src/index.ts';

/** Which messages are counted together. An IPv6 address counts as its /64 network. */
export type RateLimitScope = 'connection' | 'user' | 'ip';

/** One bucket that a message takes from. */
export interface Limit {
  readonly meter: RateMeter;
  /** The index of its number in the states of an actor. */
  readonly slot: number;
  readonly unit: 'messages' | 'bytes';
  /** What an error names after the scope. */
  readonly label: string;
}
