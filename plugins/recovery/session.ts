import type { Connection, Metadata } from '../../src/index.ts';
import type { Answers } from './answers.ts';

/** What a session keeps while its client is away, as JSON can represent it. */
export interface SessionData {
  readonly id: string;
  readonly userId: string | undefined;
  /** The name of its connections in the history: the id of the first one. */
  readonly handle: string;
  /** The rooms of the client, each with the time of its creation: another room may get the same id. */
  readonly rooms: readonly (readonly [roomId: string, createdAt: number])[];
  /** The topics to which the client subscribed. */
  readonly topics: readonly string[];
  readonly metadata: Readonly<Record<string, unknown>>;
}

/** What the client had when its last connection was closed. */
export type LeftData = Pick<SessionData, 'userId' | 'topics' | 'metadata'>;

/** The session of one client, with the connection that owns it now. */
export class Session {
  readonly id: string;
  readonly handle: string;
  readonly rooms = new Map<string, number>();
  /** The only connection that may use the session. `undefined` while the client is away. */
  owner: Connection | undefined;
  leftAt = 0;
  answers: Answers;
  /** The version of its document in the shared store. `undefined` if it is not known. */
  version: string | undefined;
  /** Settles when the document is written. */
  writing: Promise<void> | undefined;
  /** Whether the session has changed since the running write began. */
  isChanged = false;
  #left: LeftData | undefined;

  /** @param left what the client had when it left, for a session that was read from the store */
  constructor({ id, handle }: Pick<SessionData, 'id' | 'handle'>, answers: Answers, left?: LeftData) {
    this.id = id;
    this.handle = handle;
    this.answers = answers;
    this.#left = left;
  }

  get userId(): string | undefined { return this.owner ? this.owner.user?.id : this.#left?.userId; }

  /**
   * The data of the session if this connection owns it.
   * @param subscribed the topics to which the connection has subscribed
   */
  dataOf(owner: Connection | undefined, subscribed: Iterable<string>): SessionData {
    const { id, handle, rooms } = this;
    const { userId, topics = [], metadata = {} } = this.#left ?? {};
    const data = { id, handle, rooms: [...rooms] };
    if (!owner) return { ...data, userId, topics, metadata };
    return {
      ...data, userId: owner.user?.id,
      // While the session is restored, the connection does not have all of it yet.
      topics: [...new Set([...topics, ...subscribed])],
      metadata: { ...metadata, ...ownMetadata(owner.metadata) },
    };
  }

  /** Keeps what the client had, after its connection was closed. */
  leave(subscribed: Iterable<string>): void {
    const { userId, topics, metadata } = this.dataOf(this.owner, subscribed);
    this.#left = { userId, topics, metadata: structuredClone(metadata) };
    this.owner = undefined;
    this.leftAt = performance.now();
  }

  /** Gives the session to a connection. */
  take(owner: Connection): void {
    for (const [key, value] of Object.entries(this.#left?.metadata ?? {})) {
      // What the layers have set for the new connection is newer.
      if (!Object.hasOwn(owner.metadata, key)) owner.metadata[key] = value;
    }
    this.owner = owner;
  }

  /** Called when the connection has all rooms and topics of the session that it may have. */
  restored(): void { this.#left = undefined; }
}

/** The metadata that belongs to the client, not to one connection. */
function ownMetadata({ ip: _, headers: __, ...metadata }: Metadata): Record<string, unknown> { return metadata; }
