import type { ClientError } from './client-error.ts';

/**
 * What became of a message: it waits; it was written, and not answered yet; the server acknowledged it; it is unknown
 * whether the server handled it; or it failed, with an error.
 */
export type OutboxState = 'queued' | 'sent' | 'delivered' | 'unknown' | 'failed';

/** A message of the outbox is in another state. */
export interface OutboxChange {
  readonly id: string;
  readonly type: string;
  readonly state: OutboxState;
  /** Why it failed, or is unknown. */
  readonly error?: ClientError | undefined;
}
