import type { OutgoingMessage } from './frames.ts';
import type { OutboxState } from './outbox-change.ts';

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
