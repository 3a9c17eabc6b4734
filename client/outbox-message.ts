import type { ClientError } from './client-error.ts';
import type { OutgoingMessage } from './frames.ts';

/**
 * What became of a message: it waits; it was written, and not answered yet; the server acknowledged it; it is unknown
 * whether the server handled it; or it failed, with an error.
 */
export type OutboxState = 'queued' | 'sent' | 'delivered' | 'unknown' | 'failed';

/** A message of the outbox, as the application sees it. */
export interface OutboxMessage {
  readonly id: string;
  readonly type: string;
  readonly state: OutboxState;
  readonly message: OutgoingMessage;
  readonly bytes: number;
  /** Milliseconds since the epoch. */
  readonly queuedAt: number;
}

/** A message of the outbox is in another state. */
export interface OutboxChange {
  readonly id: string;
  readonly type: string;
  readonly state: OutboxState;
  /** Why it failed, or is unknown. */
  readonly error?: ClientError | undefined;
}
