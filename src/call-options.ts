// The options and results of the functions of a manager and of a plugin's context.

import type { Outgoing } from './protocol.ts';

/** How a handler is registered. */
export interface HandlerOptions {
  /** Whether another handler for the same type replaces this one. */
  readonly yields?: boolean | undefined;
  /** Whether the handler reads messages as they were sent, and applies `context.escape()` to text that it passes on. */
  readonly raw?: boolean | undefined;
}

export interface RequestOptions {
  /** Milliseconds that each attempt waits for a reply. @default message.timeout */
  readonly timeout?: number | undefined;
  /** How often the message is sent again. @default message.maxRetries */
  readonly retries?: number | undefined;
  readonly signal?: AbortSignal | undefined;
}

export interface PublishOptions {
  /** Ids of connections that do not get it. */
  readonly except?: string | readonly string[] | undefined;
  /** Only to subscribers on this node. @default false */
  readonly local?: boolean | undefined;
}

/**
 * Takes over a message to a topic. Returns `false` to leave it to the kernel; `publish` returns 0 otherwise.
 * @param message as it was given, without id and timestamp
 */
export type Publisher = (topic: string, message: Outgoing, options: PublishOptions) => boolean;

export interface DeliverOptions {
  /** Ids of connections that do not get it. */
  readonly except?: readonly string[] | undefined;
  /** The only connection that gets it, if it is open. @default the subscribers of the topic */
  readonly to?: { readonly id: string } | undefined;
}

/** Items that expire in the order in which they started. `startedAt` of an item is `performance.now()`. */
export interface TimeoutQueue<T> {
  readonly items: Set<T>;
  add(item: T): void;
}
