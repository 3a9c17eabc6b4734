import type { ClientError } from './client-error.ts';
import type { ConnectionState } from './connection-state.ts';
import type { Missed } from './missed.ts';
import type { OutboxChange } from './outbox-change.ts';
import type { SendOptions } from './send-queue.ts';
import type { Position } from './topic-positions.ts';

/** A message from the server. `data` is another name of `content`. */
export interface ServerMessage {
  readonly type: string;
  readonly id?: string | undefined;
  readonly content?: any;
  readonly data?: any;
  readonly replyTo?: string | undefined;
  readonly [field: string]: any;
}

export type RequestOptions = Omit<SendOptions, 'ack' | 'retry'>;

/** Which messages of a history: of a topic or a room, between two offsets. */
export interface HistoryRange {
  readonly topic?: string | undefined;
  readonly roomId?: string | undefined;
  readonly limit?: number | undefined;
  readonly before?: number | undefined;
  readonly after?: number | undefined;
  readonly reverse?: boolean | undefined;
}

export interface SubscribeOptions {
  /** What the application knows of the topic, for example from its own storage. */
  readonly position?: Position | undefined;
}

/** The events of the client itself. Every other name is a type of messages. */
export interface ClientEvents {
  open: [];
  close: [code: number, reason: string];
  error: [error: ClientError];
  /** The next attempt starts after `delay` milliseconds. */
  reconnecting: [attempt: number, delay: number];
  reconnected: [];
  /** Every message, except acknowledgements and replies to `request()`. */
  message: [message: ServerMessage];
  /** Messages of a topic that the application did not get, and why. */
  missed: [missed: Missed];
  state: [state: ConnectionState];
  /** A message of the outbox is in another state. */
  outbox: [change: OutboxChange];
}
