import type { Connection } from '../../src/index.ts';
import type { Handshake } from './event-handshake.ts';
import type { Layer } from './event-layers.ts';
import type {
  Answer, AnyEvents, Arguments, ArgumentsBeforeAck, EventName, ListenerOf, NodeEventName, SocketEvents, WithErrors,
  WithManyAnswers,
} from './typed-events.ts';

/**
 * An event of a client: the name to which the socket listens, the arguments, and the acknowledgement if the client
 * asked for one. Layers may change it.
 */
export type Packet = [event: string, ...args: any[]];
export type RoomList = string | number | readonly (string | number)[];
/** Called when a socket entered. If it returns a promise, the client's events wait for it. */
export type ConnectionListener<Listen extends object, Emit extends object, Data> =
  (socket: Socket<Listen, Emit, Data>) => unknown;

/** A selection of a namespace's sockets, on all nodes. `to`, `in` and `except` return a new selection. */
export interface Broadcaster<Listen extends object = AnyEvents, Emit extends object = AnyEvents, Data = any> {
  /** Adds the sockets in these rooms. Each socket is in the room of its own id. @throws ROOM_INVALID */
  to(rooms: RoomList): Broadcaster<Listen, Emit, Data>;
  in(rooms: RoomList): Broadcaster<Listen, Emit, Data>;
  /** Removes the sockets in these rooms. @throws ROOM_INVALID */
  except(rooms: RoomList): Broadcaster<Listen, Emit, Data>;
  /** Selects only sockets of this node. */
  readonly local: Broadcaster<Listen, Emit, Data>;
  /** Sets the time limit for acknowledgements and `fetchSockets`, in milliseconds. @throws OPTION_INVALID */
  timeout(milliseconds: number): Broadcaster<Listen, WithManyAnswers<Emit>, Data>;
  /**
   * Sends an event, encoded once for all recipients. If the last argument is a function, it is called with `null` or an
   * AcknowledgementsMissing, and the answers. Unauthenticated connections get nothing. `false`: the event is queued for
   * no socket of this node.
   * @throws EVENT_INVALID
   */
  emit<Name extends EventName<Emit>>(event: Name, ...args: Arguments<Emit, Name>): boolean;
  /**
   * Sends an event. Resolves to the acknowledgements: first of this node, in order of arrival, then of the others.
   * @throws AcknowledgementsMissing when each socket has answered, left or timed out; EVENT_INVALID
   */
  emitWithAck<Name extends EventName<Emit>>(
    event: Name, ...args: ArgumentsBeforeAck<Emit, Name>
  ): Promise<Answer<Emit, Name>[]>;
  /**
   * Resolves to the selected sockets. Those of other nodes are descriptions.
   * @throws NodesMissing if nodes do not answer in time; `responses` has the sockets of the others
   */
  fetchSockets(): Promise<RemoteSocket<Emit, Data>[]>;
  /** Adds the selected sockets to rooms. Other nodes report their errors. @throws ROOM_INVALID, TOO_MANY_ROOMS */
  socketsJoin(rooms: RoomList): void;
  socketsLeave(rooms: RoomList): void;
  /** Disconnects the selected sockets from the namespace; `true` also closes their connections. */
  disconnectSockets(close?: boolean): void;
}

/** What the server and its namespaces have in common: layers and listeners for new sockets, and events of nodes. */
export interface BaseNamespace<
  Listen extends object = AnyEvents, Emit extends object = AnyEvents, Data = any, Nodes extends object = AnyEvents,
> extends Broadcaster<Listen, Emit, Data> {
  /**
   * Adds a layer for entering sockets: `(socket, next)`. It calls `next()` once to continue. An error passed to `next`
   * rejects the socket and is sent to the client. A thrown error rejects it, too, but the client gets INTERNAL_ERROR.
   */
  use(layer: Layer<Socket<Listen, Emit, Data>>): this;
  on(event: 'connection' | 'connect', listener: ConnectionListener<Listen, Emit, Data>): this;
  /** Adds a listener for an event that other nodes send by `serverSideEmit`. */
  on<Name extends EventName<Nodes>>(event: NodeEventName<Name>, listener: Nodes[Name]): this;
  once(event: 'connection' | 'connect', listener: ConnectionListener<Listen, Emit, Data>): this;
  once<Name extends EventName<Nodes>>(event: NodeEventName<Name>, listener: Nodes[Name]): this;
  off(event: 'connection' | 'connect', listener: ConnectionListener<Listen, Emit, Data>): this;
  off<Name extends EventName<Nodes>>(event: NodeEventName<Name>, listener: Nodes[Name]): this;
  /**
   * Sends an event to the listeners of this namespace on all other nodes. If the last argument is a function, it is
   * called with `null` or a NodesMissing, and one answer of each node.
   * @throws EVENT_INVALID
   */
  serverSideEmit<Name extends EventName<Nodes>>(
    event: NodeEventName<Name>, ...args: Arguments<WithManyAnswers<Nodes>, Name>
  ): boolean;
  /** Like `serverSideEmit`. Resolves to the answers. @throws NodesMissing, EVENT_INVALID */
  serverSideEmitWithAck<Name extends EventName<Nodes>>(
    event: NodeEventName<Name>, ...args: ArgumentsBeforeAck<Nodes, Name>
  ): Promise<Answer<Nodes, Name>[]>;
}

/** The rooms of a namespace on this node. Socket.IO calls this the adapter. */
export interface Rooms {
  /** Ids of sockets by room. Every socket is in the room of its own id. */
  readonly rooms: ReadonlyMap<string, ReadonlySet<string>>;
}

/** A namespace, and the sockets in it. */
export interface EventNamespace<
  Listen extends object = AnyEvents, Emit extends object = AnyEvents, Data = any, Nodes extends object = AnyEvents,
> extends BaseNamespace<Listen, Emit, Data, Nodes> {
  readonly name: string;
  /** The sockets on this node, by id. */
  readonly sockets: ReadonlyMap<string, Socket<Listen, Emit, Data>>;
  /** The rooms on this node: `adapter.rooms` has the ids of sockets by room. */
  readonly adapter: Rooms;
}

/** The main namespace; `of` gives the others. Layers and listeners may be added before the plugin is loaded. */
export interface Server<
  Listen extends object = AnyEvents, Emit extends object = AnyEvents, Data = any, Nodes extends object = AnyEvents,
> extends BaseNamespace<Listen, Emit, Data, Nodes> {
  /** The main namespace. */
  readonly sockets: EventNamespace<Listen, Emit, Data, Nodes>;
  /** `clientsCount` is the number of connections of this node. */
  readonly engine: { readonly clientsCount: number };
  /** Returns the namespace of this name. Creates it if it is missing. @throws NAMESPACE_NAME_INVALID */
  of<L extends object = Listen, E extends object = Emit, D = Data, N extends object = Nodes>(
    name: string
  ): EventNamespace<L, E, D, N>;
  /**
   * The rooms of the main namespace. A given adapter connects the node to others, like `manager.useAdapter()`. If that
   * fails, the manager emits `error`.
   */
  adapter(given?: unknown): Rooms;
}

/** A socket of any node. `fetchSockets` returns a socket of this node itself, and a description of any other. */
export interface RemoteSocket<Emit extends object = AnyEvents, Data = any> {
  /** The connection's id, the same in every namespace. */
  readonly id: string;
  /** How the client connected: credentials, headers, address. */
  readonly handshake: Handshake;
  /** The rooms it is in, including the room of its own id. */
  readonly rooms: ReadonlySet<string>;
  /** Data of the application. A description has a copy. */
  readonly data: Data;
  /** Like `emit` of a socket. `false`: the event was not queued, or the node has stopped. @throws EVENT_INVALID */
  emit<Name extends EventName<Emit>>(event: Name, ...args: Arguments<Emit, Name>): boolean;
  /** Like `emitWithAck` of a socket. @throws REQUEST_TIMEOUT, CONNECTION_CLOSED, PEER_ERROR, EVENT_INVALID */
  emitWithAck<Name extends EventName<Emit>>(
    event: Name, ...args: ArgumentsBeforeAck<Emit, Name>
  ): Promise<Answer<Emit, Name>>;
  /** Like `timeout` of a socket. @throws OPTION_INVALID */
  timeout(milliseconds: number): TimedEmitter<Emit>;
  /** Joins rooms. Another node reports its errors. @throws ROOM_INVALID, TOO_MANY_ROOMS */
  join(rooms: RoomList): Promise<void> | void;
  /** @throws ROOM_INVALID */
  leave(room: string | number): void;
  /** Leaves the namespace; `true` also closes the connection, with code 4010. */
  disconnect(close?: boolean): this;
}

/** A client in a namespace. `Listen`: events of the client. `Emit`: events of the server. `Data`: type of `data`. */
export interface Socket<Listen extends object = AnyEvents, Emit extends object = AnyEvents, Data = any>
  extends RemoteSocket<Emit, Data> {
  readonly nsp: EventNamespace<Listen, Emit, Data>;
  /** The kernel's connection, with `user` and `metadata`. */
  readonly connection: Connection;
  readonly connected: boolean;
  readonly disconnected: boolean;
  /** Data of the application. */
  data: Data;

  // Listeners are called with the socket as `this`.
  on<Name extends EventName<Listen> | EventName<SocketEvents>>(event: Name, listener: ListenerOf<Listen, Name>): this;
  once<Name extends EventName<Listen> | EventName<SocketEvents>>(event: Name, listener: ListenerOf<Listen, Name>): this;
  off<Name extends EventName<Listen> | EventName<SocketEvents>>(event: Name, listener: ListenerOf<Listen, Name>): this;
  /** Alias of `off`. */
  removeListener<Name extends EventName<Listen> | EventName<SocketEvents>>(
    event: Name, listener: ListenerOf<Listen, Name>
  ): this;
  /** Removes all listeners of one event, or of all events. */
  removeAllListeners(event?: EventName<Listen> | EventName<SocketEvents>): this;
  listeners(event: EventName<Listen> | EventName<SocketEvents>): ((...args: any[]) => unknown)[];
  /** Adds a catch-all listener, called before the others. An event without other listeners counts as handled. */
  onAny(listener: (event: string, ...args: any[]) => unknown): this;
  /** Removes one catch-all listener, or all of them. */
  offAny(listener?: (event: string, ...args: any[]) => unknown): this;
  /** Adds a layer before the listeners: `([event, ...args], next)`. An error passed to `next` is sent to the client. */
  use(layer: Layer<Packet>): this;

  /**
   * Sends an event. If the last argument is a function, it is called with the client's acknowledgement. It gets no
   * errors: these go to the listeners of `error` or, without one, to the manager's `error` event. To get errors, use
   * `timeout()` or `emitWithAck()`. `false`: the event was not queued.
   * @throws EVENT_INVALID
   */
  emit<Name extends EventName<Emit>>(event: Name, ...args: Arguments<Emit, Name>): boolean;
  /**
   * Sends an event. Resolves to the client's acknowledgement.
   * @throws REQUEST_TIMEOUT, CONNECTION_CLOSED, PEER_ERROR, EVENT_INVALID
   */
  emitWithAck<Name extends EventName<Emit>>(
    event: Name, ...args: ArgumentsBeforeAck<Emit, Name>
  ): Promise<Answer<Emit, Name>>;
  /**
   * Sets a time limit for acknowledgements, in milliseconds:
   * `socket.timeout(5_000).emit('question', (error, answer) => …)`.
   * @throws OPTION_INVALID
   */
  timeout(milliseconds: number): TimedEmitter<Emit>;

  /**
   * Joins rooms: all, or none on an error. Ignored after the socket left. With an adapter it may return a promise that
   * resolves when events of other nodes to the rooms arrive.
   * @throws ROOM_INVALID, TOO_MANY_ROOMS
   */
  join(rooms: RoomList): Promise<void> | void;
  /** Selects the sockets in the rooms, except this one. @throws ROOM_INVALID */
  to(rooms: RoomList): Broadcaster<Listen, Emit, Data>;
  in(rooms: RoomList): Broadcaster<Listen, Emit, Data>;
  /** Selects all sockets, except this one and those in the rooms. @throws ROOM_INVALID */
  except(rooms: RoomList): Broadcaster<Listen, Emit, Data>;
  /** Selects all sockets of the namespace, except this one. */
  readonly broadcast: Broadcaster<Listen, Emit, Data>;
  /** Selects the sockets of this node, except this one. */
  readonly local: Broadcaster<Listen, Emit, Data>;
}

/** Emits events to one socket, with a time limit for their acknowledgements. */
export interface TimedEmitter<Emit extends object = AnyEvents> {
  /** Like `emit` of the socket, but the callback gets an error first: `(error, answer) => …`. */
  emit<Name extends EventName<WithErrors<Emit>>>(event: Name, ...args: Arguments<WithErrors<Emit>, Name>): boolean;
  /** Like `emitWithAck` of the socket. */
  emitWithAck<Name extends EventName<Emit>>(
    event: Name, ...args: ArgumentsBeforeAck<Emit, Name>
  ): Promise<Answer<Emit, Name>>;
}
