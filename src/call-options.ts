// The options of the functions of a manager and of a plugin's context.

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
