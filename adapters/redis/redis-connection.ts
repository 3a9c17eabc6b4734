/** One argument of a command. */
export type Argument = string | Buffer;

export interface ConnectionEvents {
  /** Called with each message of a subscribed channel. */
  message(channel: string, message: Buffer): void;
  /** Called when the connection is lost. Not called after destroy(). */
  closed(reason: Error): void;
  /** Called when the server has ended the subscription of a channel, because another server has its slot now. */
  moved?(): void;
}

/**
 * One connection to Redis, through one client object. It never reconnects, and sends no command twice. When it is lost,
 * a new RedisConnection replaces it.
 */
export interface RedisConnection {
  /** Resolves when commands can be sent. */
  readonly ready: Promise<void>;
  command(args: readonly Argument[]): Promise<unknown>;
  /**
   * Sends one SUBSCRIBE, and resolves when Redis has confirmed each channel.
   * @param isSharded whether to send SSUBSCRIBE. The channels must have the same slot
   */
  subscribe(channels: readonly string[], isSharded: boolean): Promise<void>;
  unsubscribe(channels: readonly string[], isSharded: boolean): Promise<void>;
  /** Closes the connection at once. Commands without an answer are rejected. */
  destroy(): void;
}

/** Opens a connection. The package and its options are part of the function. */
export type OpenConnection = (events: ConnectionEvents) => RedisConnection;

/** Milliseconds within which a connection must be ready. */
export const CONNECT_TIMEOUT = 2_000;

/** The code at the beginning of an error reply of Redis, such as `READONLY` or `ERR`. */
export const replyCode = (error: Error): string | undefined => /^[A-Z]{2,}[A-Z0-9_]*(?= )/.exec(error.message)?.[0];
