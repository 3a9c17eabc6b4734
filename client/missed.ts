import type { Position } from './topic-positions.ts';

/**
 * Why messages of a topic are missing: `epoch`, `too-old` and `too-many` are reasons of the server's history;
 * `unknown`: the topic is gone, or may not be read now; `failed`: a listener failed, and too many messages came after.
 */
export type MissedReason = 'epoch' | 'too-old' | 'too-many' | 'unknown' | 'failed';

/** Messages of a topic that the application did not get. */
export interface Missed {
  readonly topic: string;
  readonly reason: MissedReason;
  /** The last message that was handled. */
  readonly from: Position | undefined;
  /** All later messages follow. `undefined` if the topic is gone. */
  readonly to: Position | undefined;
}
