import type { Connection, Handler, MessageLayer, Outgoing, PublishOptions } from '../../src/index.ts';

export interface NamespaceAuth {
  /** Whether only users may enter, and no anonymous client. @default false */
  readonly required?: boolean;
  /** Roles, one of which a user must have to enter and to stay. They imply `required`. @default [] */
  readonly roles?: readonly string[];
}

export interface NamespaceRateLimit {
  /** Messages a minute that a connection may send to the namespace; as many at once after a pause. @default no limit */
  readonly messagesPerMinute?: number;
  /** Connections of one address that may be in it at a time. An IPv6 address counts as its /64 network. @default no limit */
  readonly connectionsPerIP?: number;
}

export interface NamespaceOptions {
  /** Who may enter. */
  readonly auth?: NamespaceAuth;
  /** How many may come, and how fast. */
  readonly rateLimit?: NamespaceRateLimit;
  /** What the namespace offers; a client is told when it enters. @default [] */
  readonly features?: readonly string[];
  /** Rooms of the namespace that one connection may be in. @default 1_000 */
  readonly maxRooms?: number;
}

/** What is known of somebody who enters. */
export interface Handshake {
  /** What the client sent to be let in. */
  readonly credentials: unknown;
  /** The headers named in `keepHeaders`. */
  readonly headers: Readonly<Record<string, string>>;
  /** The client's address, by the trusted proxies. */
  readonly address: string;
  /** When the client asked to enter, in milliseconds since the epoch. */
  readonly issued: number;
}

/**
 * What a check says: `false` refuses with FORBIDDEN. A function is called where the connection is not let in after all: another check
 * refuses, it takes too long, or the connection goes.
 */
export type Verdict = void | boolean | (() => void);
/** Asked before a connection enters. Throw to refuse. */
export type AdmissionCheck = (connection: Connection, credentials: any, handshake: Handshake) => Verdict | Promise<Verdict>;

export interface NamespaceEvents {
  /** Somebody entered. What it returns is awaited before the next message of that connection is handled. */
  connect: (connection: Connection, handshake: Handshake) => unknown;
  /** Somebody is gone: `left` by its own message, `closed` with its connection, `deleted` with the namespace, or why it was put out. */
  disconnect: (connection: Connection, reason: string) => unknown;
}

/** A part of the server with members, layers and handlers of its own. */
export interface Namespace {
  readonly name: string;
  readonly features: readonly string[];
  /** Who is in it, by connection id. */
  readonly connections: ReadonlyMap<string, Connection>;
  /** Its rooms on this node, and who is in each. */
  readonly rooms: ReadonlyMap<string, ReadonlySet<Connection>>;
  /** Adds a check that is asked before somebody enters, in order of addition. Returns its undo. */
  admit(check: AdmissionCheck): () => void;
  /** Adds a layer around the namespace's own handlers. Returns its undo. */
  use(layer: MessageLayer): () => void;
  /** Handles messages of a type; `*` catches what has no handler. Returns its undo. @throws DUPLICATE, HANDLER_INVALID */
  registerHandler(type: string, handler: Handler): () => void;
  /** Hears of who enters and leaves. A listener that fails is reported, and changes nothing. Returns its undo. */
  on<E extends keyof NamespaceEvents>(event: E, listener: NamespaceEvents[E]): () => void;
  /** Sends to everybody in it, on all nodes. Returns how many are on this one. */
  publish(message: Outgoing, options?: PublishOptions): number;
  /** Sends to one who is in it. `false`: it is not in it, or the message is not queued. */
  send(connection: Connection, message: Outgoing): boolean;
  /** Those in a room. */
  to(room: string): { publish(message: Outgoing, options?: PublishOptions): number };
  /** Puts a member into a room; twice is once. @throws NAMESPACE_NOT_JOINED, ROOM_INVALID, TOO_MANY_ROOMS */
  join(connection: Connection, room: string): void;
  /** Takes a member out of a room; harmless where it is not in it. */
  leave(connection: Connection, room: string): void;
  /** The rooms that a connection is in. */
  roomsOf(connection: Connection): ReadonlySet<string>;
  /** Puts a member out, and tells it why; harmless where it is not in it. */
  disconnect(connection: Connection, reason?: string): void;
}
