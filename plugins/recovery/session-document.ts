import { isRecord, type Connection, type Json } from '../../src/index.ts';
import type { LeftData, Session, SessionData } from './session.ts';

/** A session as the shared store keeps it. */
export interface SessionDocument {
  readonly handle: string;
  readonly left: LeftData;
  readonly rooms: SessionData['rooms'];
  /** The node that has written the document. */
  readonly node: string;
  /** The connection that owns the session; `null` while the client is away. */
  readonly connection: string | null;
  /** The user and the scope of the client's outbox, if it has one. */
  readonly outbox: readonly [userId: string, scope: string] | null;
  /** The messages whose handlers are running on `node`. */
  readonly running: readonly { readonly id: string; readonly type: string }[];
  /** Messages that arrived up to this time may have been forgotten, by the clock of the store; `null` for none. */
  readonly forgottenUntil: number | null;
}

export interface DocumentContext {
  readonly node: string;
  /** Milliseconds since the epoch, by the clock of the store. */
  readonly now: number;
  /** Called if JSON cannot represent the metadata. The document then has none. */
  readonly report: (error: unknown) => void;
}

/** The document of a session whose owner is this connection, or, with `undefined`, whose client is away. */
export function toDocument(
  session: Session, owner: Connection | undefined, subscribed: Iterable<string>, context: DocumentContext,
): Json {
  const { node, now } = context;
  const { handle, rooms, userId = null, topics, metadata } = session.dataOf(owner, subscribed);
  const { answers, answers: { forgottenUntil, outboxOf, scope } } = session;
  const age = performance.now() - forgottenUntil;
  return {
    handle, rooms, node, connection: owner?.id ?? null, userId, topics,
    metadata: toJson(metadata, context),
    outbox: outboxOf === undefined ? null : [outboxOf, scope],
    running: answers.running.map(({ id, type }) => ({ id, type })),
    forgottenUntil: Number.isFinite(age) ? Math.round(now - age) : null,
  };
}

function toJson(metadata: SessionData['metadata'], { report }: DocumentContext): Json {
  try {
    return JSON.parse(JSON.stringify(metadata)) as Json;
  } catch (error) {
    report(error);
    return {};
  }
}

/** Reads a document. `undefined` if the value is not the document of a session. */
export function fromDocument(value: Json | undefined): SessionDocument | undefined {
  if (!isRecord(value) || typeof value.handle !== 'string' || typeof value.node !== 'string') return undefined;
  const { userId, topics, metadata, ...rest } = value as unknown as SessionDocument & Omit<LeftData, 'userId'> & {
    readonly userId: string | null;
  };
  return { ...rest, left: { userId: userId ?? undefined, topics, metadata } };
}
