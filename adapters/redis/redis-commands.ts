/** What a store uses of the adapter's two connections. */
export interface RedisCommands {
  /** The beginning of all keys and channels. Keys are in the selected database; channels have its number. */
  readonly keyPrefix: string;
  readonly database: number;
  /**
   * Sends one command. The commands of one turn are sent in one write, and answered in order. Replies have the form of
   * RESP2, with strings instead of buffers.
   * @throws ADAPTER_REFUSED with Redis' reply, ADAPTER_TIMEOUT, ADAPTER_UNAVAILABLE, ADAPTER_BACKLOG_FULL
   */
  command(args: readonly (string | Buffer)[]): Promise<unknown>;
  /**
   * Subscribes to a channel until the adapter stops.
   * @returns a promise that resolves when later messages to the channel are received
   */
  listen(channel: string, listener: (message: Buffer) => void): Promise<void>;
  /** Calls the listener when the receiving connection was replaced, so that messages may be lost. Returns the undo. */
  onInterrupted(listener: () => void): () => void;
  /** Runs a step on each new connection for commands, before all other commands. Redis may refuse it. */
  onConnected(step: (command: RedisCommands['command']) => Promise<unknown>): void;
  /**
   * Resolves when replicas have all writes that are answered now. Undefined if none are required.
   * @throws REPLICAS_MISSING
   */
  readonly replicated: (() => Promise<void>) | undefined;
}

/**
 * The beginning of all keys with this prefix: a hash tag, so that a cluster keeps them in one slot. A tag ends at the
 * first `}`.
 */
export const hashTag = (keyPrefix: string): string => `{${keyPrefix.replace(/[%}]/g, encodeURIComponent)}}`;
