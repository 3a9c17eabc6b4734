import type { HealthReport } from '../../src/index.ts';

/** What a store and a journal use of the adapter's connections, to one server or to a cluster. */
export interface RedisCommands {
  /** The beginning of all keys and channels. Keys are in the selected database; names of channels have its number. */
  readonly keyPrefix: string;
  readonly database: number;
  /**
   * Whether each channel belongs to one server, like each key: in a cluster. Then scripts publish with SPUBLISH, and
   * only to channels whose hash tag is that of their keys.
   */
  readonly isSharded: boolean;
  /**
   * Sends one command to the server that has a key. All keys of the command must have the hash tag of this key. The
   * commands of one turn to one server are sent in one write, and those for one key run in order. Replies have the
   * form of RESP2, with strings instead of buffers.
   * @param key a key of the command, or the beginning of one with its hash tag
   * @throws ADAPTER_REFUSED with Redis' reply, ADAPTER_TIMEOUT, ADAPTER_UNAVAILABLE, ADAPTER_BACKLOG_FULL
   */
  command(args: readonly (string | Buffer)[], key: string): Promise<unknown>;
  /** @returns a promise that resolves when later messages to the channel are received; undefined if they already are */
  subscribe(channel: string, receive: (message: Buffer) => void): Promise<void> | undefined;
  /** Calls the listener when the receiving connection was replaced, so that messages may be lost. Returns the undo. */
  onInterrupted(listener: () => void): () => void;
  /** Runs a step on each new connection for commands, before all other commands. Redis may refuse it. */
  onConnected(step: ConnectionStep): void;
  /**
   * Resolves when replicas have all writes that the server of a key has answered until now. Undefined if the adapter
   * does not wait for replicas.
   * @param base the beginning of keys, with a hash tag. The key `<base>wait` is written
   * @throws REPLICAS_MISSING
   */
  readonly replicated: ((base: string) => Promise<void>) | undefined;
}

export interface RedisBusEvents {
  /** Called when the health has changed. */
  changed(): void;
  /** Called when a connection that receives was replaced. */
  interrupted(reason: string): void;
}

/** All that the adapter uses: the connections of a node to one server, or to a cluster. */
export interface RedisBus extends RedisCommands {
  /** @throws REDIS_UNREACHABLE, REDIS_PACKAGE_MISSING */
  start(): Promise<void>;
  stop(): Promise<void>;
  /** @throws ADAPTER_UNAVAILABLE, ADAPTER_TIMEOUT, ADAPTER_REFUSED, ADAPTER_BACKLOG_FULL */
  publish(channel: string, message: Buffer): Promise<void>;
  unsubscribe(channel: string): void;
  report(): HealthReport;
}

/** A step of a new connection, such as loading a script. */
export type ConnectionStep = (send: (args: readonly (string | Buffer)[]) => Promise<unknown>) => Promise<unknown>;

/**
 * The beginning of all keys with this prefix: a hash tag, so that a cluster keeps them in one slot. A tag ends at the
 * first `}`.
 */
export const hashTag = (keyPrefix: string): string => `{${keyPrefix.replace(/[%}]/g, encodeURIComponent)}}`;
