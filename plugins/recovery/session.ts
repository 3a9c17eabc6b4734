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

/** A session, with the connection that owns it now. */
export class Session {
  readonly id: string;
  readonly handle: string;
  readonly rooms = new Map<string, number>();
  readonly answers: Answers;
  /** The only connection that may use the session. `undefined` while the client is away. */
  owner: Connection | undefined;
  leftAt = 0;
  #left: Pick<SessionData, 'userId' | 'topics' | 'metadata'> | undefined;

  constructor(owner: Connection, answers: Answers) {
    this.id = owner.sessionId;
    this.handle = owner.id;
    this.owner = owner;
    this.answers = answers;
  }

  get userId(): string | undefined { return this.owner ? this.owner.user?.id : this.#left?.userId; }

  get data(): SessionData {
    const { id, handle, rooms } = this;
    const { userId, topics = [], metadata = {} } = this.#left ?? {};
    return { id, userId, handle, rooms: [...rooms], topics, metadata };
  }

  /** Keeps what the client had, after its connection was closed. */
  leave(topics: Iterable<string>): void {
    const { user, metadata } = this.owner!;
    this.#left = { userId: user?.id, topics: [...topics], metadata: ownMetadata(metadata) };
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
}

/** The metadata that belongs to the client, not to one connection. */
function ownMetadata({ ip: _, headers: __, ...metadata }: Metadata): Record<string, unknown> {
  return structuredClone(metadata);
}
