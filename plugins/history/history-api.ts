import type { Connection, Outgoing, Position, PublishOptions } from '../../src/index.ts';
import type { CatchUp } from './catch-up.ts';
import type { Handles } from './handles.ts';

export interface AppendMessageOptions extends Pick<PublishOptions, 'except'> {
  /** If the topic got a message with this key within the journal's `keyWindow`, nothing is appended. */
  readonly idempotencyKey?: string | undefined;
}

/** Which messages of a topic are read. `after` and `before` are offsets, and are not part of the range. */
export interface HistoryRange {
  /** Maximum number of messages: 1 to 500. @default 50 */
  readonly limit?: number | undefined;
  readonly before?: number | undefined;
  /** With it, and without `reverse`, the page has the first messages of the range; otherwise the last ones. */
  readonly after?: number | undefined;
  /** Whether the newest message comes first. @default false */
  readonly reverse?: boolean | undefined;
}

/** A message of a topic with a history. */
export interface HistoryMessage extends Outgoing {
  readonly id: string;
  readonly topic: string;
  readonly epoch: string;
  readonly offset: number;
}

/** Some messages of a topic, and the position of its last message. */
export interface HistoryPage extends Position {
  readonly topic: string;
  readonly messages: readonly HistoryMessage[];
  /** Whether the range has more messages. */
  readonly more: boolean;
}

/** The API of history: `manager.api('history')`, or for plugins that require `history`. */
export interface HistoryApi {
  /**
   * Sends a message to a topic through its history, on all nodes. Resolves with its position when the journal has kept
   * it. `duplicate`: a message with this idempotency key was kept before.
   * @throws HISTORY_UNKNOWN, JOURNAL_FULL, UNSENDABLE_MESSAGE, SEND_LAYER_DROPPED, and what the journal throws
   */
  append(
    topic: string,
    message: Outgoing,
    options?: AppendMessageOptions,
  ): Promise<Position & { readonly duplicate: boolean }>;
  /** Reads messages of a topic: by default the last 50, oldest first. @throws HISTORY_UNKNOWN, OPTION_INVALID */
  history(topic: string, range?: HistoryRange): Promise<HistoryPage>;
  /** The position of the last message of a topic. @throws HISTORY_UNKNOWN */
  position(topic: string): Promise<Position>;
  /**
   * Deletes the content of a message. A `message-redacted` takes its place, and another one tells the subscribers.
   * Resolves to `false` if the topic has no such message.
   * @param position that of a received message: its `epoch`, `offset` and `id`
   * @throws HISTORY_UNKNOWN
   */
  redact(topic: string, position: Position): Promise<boolean>;
  /** Deletes the history of a topic. */
  drop(topic: string): Promise<void>;
  /** Whether a topic has a history. */
  has(topic: string): boolean;
  /** The topics to which a connection subscribed with `subscribe`. */
  subscriptions(connection: Connection): ReadonlySet<string>;
  /** Subscribes a connection like `subscribe`, without an answer. @throws HISTORY_UNKNOWN if `canRead` refuses */
  subscribe(connection: Connection, topic: string): Promise<void>;
  /**
   * Holds back the messages of a topic from a connection, until finish() or abort() of the result. Before the
   * connection subscribes to the topic.
   * @throws HISTORY_UNKNOWN
   */
  catchUp(topic: string, connection: Connection): CatchUp;
  /**
   * Runs work whose appended messages get idempotency keys, which are derived from this one, if they have none. So work
   * that runs again appends them once.
   */
  withKey<T>(key: string, work: () => T): T;
  /** The names of connections in the history. */
  readonly handles: Handles;
}
