/** What the store uses of the two connections that the adapter holds. */
export interface RedisCommands {
  /** What the names of all keys and channels begin with. Keys are in the selected database; channels name it. */
  readonly keyPrefix: string;
  readonly database: number;
  /**
   * Sends one command on the command link. The commands of one turn go out together, and are answered in order.
   * Strings of replies are strings, in the shapes of RESP2.
   * @throws ADAPTER_REFUSED with Redis' reply, ADAPTER_TIMEOUT, ADAPTER_UNAVAILABLE, ADAPTER_BACKLOG_FULL
   */
  command(args: readonly (string | Buffer)[]): Promise<unknown>;
  /**
   * Receives what is published to a channel, until the adapter stops.
   * @returns a promise that resolves when everything published from then on is received
   */
  listen(channel: string, listener: (message: Buffer) => void): Promise<void>;
  /** Tells when the subscription link was replaced, so that notices may have been missed. Returns its undo. */
  onInterrupted(listener: () => void): () => void;
}
