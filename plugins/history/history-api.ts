import type { Connection, Outgoing, Position, PublishOptions } from '../../src/index.ts';
import type { CatchUp } from './catch-up.ts';
import type { Handles } from './handles.ts';

export interface AppendMessageOptions extends Pick<PublishOptions, 'except'> {
  /** If the topic got a message with this key within the journal's `keyWindow`, nothing is appended. */
  readonly idempotencyKey?: string | undefined;
}

/** The messages of a topic that are read. `after` and `before` are offsets; the range does not include them. */
export interface HistoryRange {
  /** Maximum number of messages: 1 to 500. @default 50 */
  readonly limit?: number | undefined;
  readonly before?: number | undefined;
  /** If it is given, and `reverse` is not, the page has the first messages of the range; otherwise the last ones. */
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
   * Keeps a message in the history of a topic, and sends it, on all nodes. Resolves with its position when the journal
   * has kept it. `duplicate`: a message with this idempotency key was kept before, and nothing is sent.
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
  /** Like the message `subscribe`, but sends no answer. @throws HISTORY_UNKNOWN if `canRead` refuses */
  subscribe(connection: Connection, topic: string): Promise<void>;
  /**
   * Holds back the messages of a topic from a connection, until finish() or abort() of the result. Call it before the
   * connection subscribes to the topic.
   * @throws HISTORY_UNKNOWN
   */
  catchUp(topic: string, connection: Connection): CatchUp;
  /**
   * Calls `work`. Messages that it appends without an idempotency key get one that is derived from `key`. If the same
   * work runs again, it does not append them twice.
   */
  withKey<T>(key: string, work: () => T): T;
  /** The names of connections in the history: see {@link Handles}. */
  readonly handles: Handles;
}
