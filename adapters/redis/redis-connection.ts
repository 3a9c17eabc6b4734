/** One argument of a command. */
export type Argument = string | Buffer;

export interface ConnectionEvents {
  /** A message came on a channel that is subscribed. */
  message(channel: string, message: Buffer): void;
  /** The connection is lost. Not called after destroy(). */
  closed(reason: Error): void;
}

/**
 * One connection to a Redis, over one client object. It never reconnects and sends nothing twice: a lost one is
 * replaced by a new one.
 */
export interface RedisConnection {
  /** Resolves when commands can be sent. */
  readonly ready: Promise<void>;
  command(args: readonly Argument[]): Promise<unknown>;
  /** Sends one SUBSCRIBE, and resolves when Redis has confirmed each channel. */
  subscribe(channels: readonly string[]): Promise<void>;
  unsubscribe(channels: readonly string[]): Promise<void>;
  /** Ends it at once. What is not answered is rejected. */
  destroy(): void;
}

/** Opens connections: one way for each package, and for each set of options. */
export type OpenConnection = (events: ConnectionEvents) => RedisConnection;

/** Milliseconds that a connection may take until it is ready. */
export const CONNECT_TIMEOUT = 2_000;

/** The reply of a Redis that refuses a command begins with a word in capitals, as `READONLY` or `ERR`. */
export const replyCode = (error: Error): string | undefined => /^[A-Z]{2,}[A-Z0-9_]*(?= )/.exec(error.message)?.[0];
