import type {
  Connection, FindRoute, Handler, HandlerOptions, MessageLayer, Outgoing, PublishOptions,
} from '../../src/index.ts';

export interface NamespaceAuth {
  /** Whether anonymous connections are rejected. @default false */
  readonly required?: boolean | undefined;
  /** The user must have at least one of these roles to enter and to stay. Implies `required`. @default [] */
  readonly roles?: readonly string[] | undefined;
}

export interface NamespaceRateLimit {
  /** Maximum messages of one connection per minute. After a pause, all may be sent at once. @default no limit */
  readonly messagesPerMinute?: number | undefined;
  /** Maximum connections of one address. IPv6 addresses of one /64 network count as one. @default no limit */
  readonly connectionsPerIP?: number | undefined;
}

export interface NamespaceOptions {
  /** Requirements for users who enter. */
  readonly auth?: NamespaceAuth | undefined;
  /** Limits for connections and messages. */
  readonly rateLimit?: NamespaceRateLimit | undefined;
  /** Names of features, sent to clients when they enter. @default [] */
  readonly features?: readonly string[] | undefined;
  /** Maximum rooms of one connection in this namespace. @default 1_000 */
  readonly maxRooms?: number | undefined;
}

/** Data about an entering connection. */
export interface Handshake {
  /** The payload of the client's `connect`. */
  readonly credentials: unknown;
  /** The headers named in the option `keepHeaders`. */
  readonly headers: Readonly<Record<string, string>>;
  /** The client's address. Behind trusted proxies, the address that they report. */
  readonly address: string;
  /** When the client asked to enter, in milliseconds since the epoch. */
  readonly issued: number;
}

/**
 * The result of a check. `false` rejects with FORBIDDEN. A function is an undo: it is called if the connection does not
 * enter after all, because another check rejects, the checks take too long, or the connection closes.
 */
export type AdmissionResult = void | boolean | (() => void);
/** Called before a connection enters. Throws to reject. */
export type AdmissionCheck = (
  connection: Connection, credentials: any, handshake: Handshake,
) => AdmissionResult | Promise<AdmissionResult>;

export interface NamespaceEvents {
  /** A connection entered. Its next message waits until the returned promise settles. */
  connect: (connection: Connection, handshake: Handshake) => unknown;
  /**
   * A connection left. The reason is `left` (the client sent `disconnect`), `closed` (the connection closed), `deleted`
   * (the namespace was deleted), the error code of a requirement that is no longer met, or the one given to
   * `disconnect()`.
   */
  disconnect: (connection: Connection, reason: string) => unknown;
}

/** A part of the server with members, layers and handlers of its own. */
export interface Namespace {
  readonly name: string;
  readonly features: readonly string[];
  /** The connections in the namespace on this node, by id. */
  readonly connections: ReadonlyMap<string, Connection>;
  /** The rooms on this node, with their connections. */
  readonly rooms: ReadonlyMap<string, ReadonlySet<Connection>>;
  /** Adds a check for entering connections. Checks run in the order in which they were added. Returns its undo. */
  admit(check: AdmissionCheck): () => void;
  /** Adds a layer. It runs after the layers of the manager, before the handlers. Returns its undo. */
  use(layer: MessageLayer): () => void;
  /**
   * Handles messages of a type; `*` handles all other types. With `raw`, the handler reads unescaped input even if the
   * application sanitizes. Returns its undo.
   * @throws DUPLICATE, HANDLER_INVALID
   */
  registerHandler(type: string, handler: Handler, options?: Pick<HandlerOptions, 'raw'>): () => void;
  /** Adds a function that finds routes for messages without a handler, before `*` is used. Returns its undo. */
  route(find: FindRoute): () => void;
  /** Adds a listener for connections that enter or leave. Its errors are reported. Returns its undo. */
  on<E extends keyof NamespaceEvents>(event: E, listener: NamespaceEvents[E]): () => void;
  /** Sends to all connections in the namespace, on all nodes. Returns the number of recipients on this node. */
  publish(message: Outgoing, options?: PublishOptions): number;
  /** Sends to one connection. `false`: the connection is not in the namespace, or the message was not queued. */
  send(connection: Connection, message: Outgoing): boolean;
  /** Selects a room. `publish` sends to its connections on all nodes. */
  to(room: string): { publish(message: Outgoing, options?: PublishOptions): number };
  /** Adds a connection to a room, unless it is there. @throws NAMESPACE_NOT_JOINED, ROOM_INVALID, TOO_MANY_ROOMS */
  join(connection: Connection, room: string): void;
  /** Removes a connection from a room, if it is there. */
  leave(connection: Connection, room: string): void;
  /** The rooms of a connection. */
  roomsOf(connection: Connection): ReadonlySet<string>;
  /** Removes a connection from the namespace, if it is there, and sends it the reason. */
  disconnect(connection: Connection, reason?: string): void;
}
