import type {
  Connection, FindRoute, Handler, HandlerOptions, MessageLayer, Outgoing, PublishOptions,
} from '../../src/index.ts';

export interface NamespaceAuth {
  /** Whether only users may enter, and no anonymous client. @default false */
  readonly required?: boolean | undefined;
  /** Roles, one of which a user must have to enter and to stay. They imply `required`. @default [] */
  readonly roles?: readonly string[] | undefined;
}

export interface NamespaceRateLimit {
  /** Messages that a connection may send to it in a minute; as many at once after a pause. @default no limit */
  readonly messagesPerMinute?: number | undefined;
  /** Connections of one address in it at a time. An IPv6 address counts as its /64 network. @default no limit */
  readonly connectionsPerIP?: number | undefined;
}

export interface NamespaceOptions {
  /** Which users may enter. */
  readonly auth?: NamespaceAuth | undefined;
  /** How many connections may enter, and how fast they may send. */
  readonly rateLimit?: NamespaceRateLimit | undefined;
  /** What the namespace offers. A client is told when it enters. @default [] */
  readonly features?: readonly string[] | undefined;
  /** Rooms of the namespace that one connection may be in. @default 1_000 */
  readonly maxRooms?: number | undefined;
}

/** What is known of a connection that enters. */
export interface Handshake {
  /** The payload of the client's `connect`. */
  readonly credentials: unknown;
  /** The headers named in `keepHeaders`. */
  readonly headers: Readonly<Record<string, string>>;
  /** The client's address, by the trusted proxies. */
  readonly address: string;
  /** When the client asked to enter, in milliseconds since the epoch. */
  readonly issued: number;
}

/**
 * The result of a check: `false` refuses with FORBIDDEN. A function is called when the connection does not enter after
 * all: another check refuses, the checks take too long, or the connection closes.
 */
export type Verdict = void | boolean | (() => void);
/** Asked before a connection enters. Throw to refuse. */
export type AdmissionCheck = (
  connection: Connection, credentials: any, handshake: Handshake,
) => Verdict | Promise<Verdict>;

export interface NamespaceEvents {
  /** A connection entered. What the listener returns is awaited before the connection's next message is handled. */
  connect: (connection: Connection, handshake: Handshake) => unknown;
  /**
   * A connection left: `left` by its own message, `closed` with the connection, `deleted` with the namespace, the code
   * of the requirement that it no longer meets, or the reason given to `disconnect()`.
   */
  disconnect: (connection: Connection, reason: string) => unknown;
}

/** A part of the server with members, layers and handlers of its own. */
export interface Namespace {
  readonly name: string;
  readonly features: readonly string[];
  /** The connections in it on this node, by id. */
  readonly connections: ReadonlyMap<string, Connection>;
  /** Its rooms on this node, each with the connections in it. */
  readonly rooms: ReadonlyMap<string, ReadonlySet<Connection>>;
  /** Adds a check that is asked before a connection enters, in order of addition. Returns its undo. */
  admit(check: AdmissionCheck): () => void;
  /** Adds a layer around the namespace's own handlers, inside the manager's layers. Returns its undo. */
  use(layer: MessageLayer): () => void;
  /**
   * Handles messages of a type; `*` handles all other types. With `raw`, the handler reads what the client sent, also
   * when the application sanitizes. Returns its undo.
   * @throws DUPLICATE, HANDLER_INVALID
   */
  registerHandler(type: string, handler: Handler, options?: Pick<HandlerOptions, 'raw'>): () => void;
  /** Hands messages without a handler of their type on to another table, before `*` is asked. Returns its undo. */
  route(find: FindRoute): () => void;
  /** Listens to connections that enter or leave. A listener that fails is reported. Returns its undo. */
  on<E extends keyof NamespaceEvents>(event: E, listener: NamespaceEvents[E]): () => void;
  /** Sends to all connections in it, on all nodes. Returns how many are on this node. */
  publish(message: Outgoing, options?: PublishOptions): number;
  /** Sends to one connection in it. `false`: the connection is not in it, or the message is not queued. */
  send(connection: Connection, message: Outgoing): boolean;
  /** The connections in a room. */
  to(room: string): { publish(message: Outgoing, options?: PublishOptions): number };
  /** Puts a connection into a room; twice is once. @throws NAMESPACE_NOT_JOINED, ROOM_INVALID, TOO_MANY_ROOMS */
  join(connection: Connection, room: string): void;
  /** Takes a connection out of a room; harmless when it is not in the room. */
  leave(connection: Connection, room: string): void;
  /** The rooms that a connection is in. */
  roomsOf(connection: Connection): ReadonlySet<string>;
  /** Puts a connection out of the namespace and tells it the reason; harmless when it is not in. */
  disconnect(connection: Connection, reason?: string): void;
}
