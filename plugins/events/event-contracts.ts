import type { Connection } from '../../src/index.ts';
import type { Handshake } from './event-handshake.ts';
import type { Layer } from './event-layers.ts';
import type {
  Answer, AnyEvents, Arguments, ArgumentsBeforeAck, EventName, ListenerOf, SocketEvents, WithErrors, WithManyAnswers,
} from './typed-events.ts';

/**
 * An event on its way to its listeners: the name to which the socket listens, the arguments, and the acknowledgement
 * when the client asked for one. Layers may change it.
 */
export type Packet = [event: string, ...args: any[]];
export type RoomList = string | number | readonly (string | number)[];
/** A socket entered. While a promise that the listener returns is pending, the client's events wait. */
export type ConnectionListener<Listen extends object, Emit extends object, Data> =
  (socket: Socket<Listen, Emit, Data>) => unknown;

/** Some of a namespace's sockets. `to`, `in` and `except` return others and do not change it. */
export interface Broadcaster<Listen extends object = AnyEvents, Emit extends object = AnyEvents, Data = any> {
  /** Sockets in these rooms; called again, in the new rooms too. A socket's id is a room. @throws ROOM_INVALID */
  to(rooms: RoomList): Broadcaster<Listen, Emit, Data>;
  in(rooms: RoomList): Broadcaster<Listen, Emit, Data>;
  /** Without the sockets in these rooms. @throws ROOM_INVALID */
  except(rooms: RoomList): Broadcaster<Listen, Emit, Data>;
  /** Milliseconds in which all sockets must acknowledge. @throws OPTION_INVALID */
  timeout(milliseconds: number): Broadcaster<Listen, WithManyAnswers<Emit>, Data>;
  /**
   * Sends an event, encoded once for all recipients. A function as the last argument is called with `null` or an
   * AcknowledgementsMissing, and with the answers. Connections that have yet to authenticate get nothing. `false`: it
   * is queued for no socket of this node.
   * @throws EVENT_INVALID
   */
  emit<Name extends EventName<Emit>>(event: Name, ...args: Arguments<Emit, Name>): boolean;
  /**
   * Sends an event to the sockets of this node, and resolves to their acknowledgements, in the order of their arrival.
   * @throws AcknowledgementsMissing once each socket has answered, left or timed out; EVENT_INVALID
   */
  emitWithAck<Name extends EventName<Emit>>(
    event: Name, ...args: ArgumentsBeforeAck<Emit, Name>
  ): Promise<Answer<Emit, Name>[]>;
  /** The sockets of this node. */
  fetchSockets(): Promise<Socket<Listen, Emit, Data>[]>;
  /** Puts the sockets of this node into rooms. @throws ROOM_INVALID, TOO_MANY_ROOMS */
  socketsJoin(rooms: RoomList): void;
  socketsLeave(rooms: RoomList): void;
  /** Puts the sockets of this node out of the namespace; with `true`, their connections are closed. */
  disconnectSockets(close?: boolean): void;
}

/** Where layers and listeners for new sockets are added. */
export interface Entrance<Listen extends object = AnyEvents, Emit extends object = AnyEvents, Data = any>
  extends Broadcaster<Listen, Emit, Data> {
  /**
   * A layer before entering: `(socket, next)`. It goes on by calling `next()`, once. What is passed to `next` refuses
   * and reaches the client; what is thrown refuses too and does not.
   */
  use(layer: Layer<Socket<Listen, Emit, Data>>): this;
  on(event: 'connection' | 'connect', listener: ConnectionListener<Listen, Emit, Data>): this;
  once(event: 'connection' | 'connect', listener: ConnectionListener<Listen, Emit, Data>): this;
  off(event: 'connection' | 'connect', listener: ConnectionListener<Listen, Emit, Data>): this;
}

/** The rooms of a namespace on this node, which Socket.IO calls its adapter. */
export interface Rooms {
  /** Ids of sockets by room. Every socket is in the room of its own id. */
  readonly rooms: ReadonlyMap<string, ReadonlySet<string>>;
}

/** A namespace, and the sockets in it. */
export interface EventNamespace<Listen extends object = AnyEvents, Emit extends object = AnyEvents, Data = any>
  extends Entrance<Listen, Emit, Data> {
  readonly name: string;
  /** The sockets on this node, by id. */
  readonly sockets: ReadonlyMap<string, Socket<Listen, Emit, Data>>;
  /** Its rooms on this node: `adapter.rooms` has the ids of sockets by room. */
  readonly adapter: Rooms;
}

/** The main namespace, and the way to the others. Layers and listeners may be added before the plugin is loaded. */
export interface Server<Listen extends object = AnyEvents, Emit extends object = AnyEvents, Data = any>
  extends Entrance<Listen, Emit, Data> {
  /** The main namespace. */
  readonly sockets: EventNamespace<Listen, Emit, Data>;
  /** The number of clients of this node, in whichever namespaces. */
  readonly engine: { readonly clientsCount: number };
  /** The namespace of this name, which is created when it is missing. @throws NAMESPACE_NAME_INVALID */
  of<L extends object = Listen, E extends object = Emit, D = Data>(name: string): EventNamespace<L, E, D>;
  /** The rooms of the main namespace. An adapter that is given is not used, and a warning says so. */
  adapter(given?: unknown): Rooms;
}

/** A client in a namespace. `Listen` is what it sends, `Emit` what it gets, `Data` what the application keeps of it. */
export interface Socket<Listen extends object = AnyEvents, Emit extends object = AnyEvents, Data = any> {
  /** The connection's id, the same in every namespace. */
  readonly id: string;
  readonly nsp: EventNamespace<Listen, Emit, Data>;
  /** The kernel's connection, with `user` and `metadata`. */
  readonly connection: Connection;
  /** How the client connected: credentials, headers, address. */
  readonly handshake: Handshake;
  readonly connected: boolean;
  readonly disconnected: boolean;
  /** The rooms it is in, including the room of its own id. */
  readonly rooms: ReadonlySet<string>;
  /** What the application knows of the client. */
  data: Data;

  // Listeners are called with the socket as `this`.
  on<Name extends EventName<Listen> | EventName<SocketEvents>>(event: Name, listener: ListenerOf<Listen, Name>): this;
  once<Name extends EventName<Listen> | EventName<SocketEvents>>(event: Name, listener: ListenerOf<Listen, Name>): this;
  off<Name extends EventName<Listen> | EventName<SocketEvents>>(event: Name, listener: ListenerOf<Listen, Name>): this;
  /** The other name of `off`. */
  removeListener<Name extends EventName<Listen> | EventName<SocketEvents>>(
    event: Name, listener: ListenerOf<Listen, Name>
  ): this;
  /** Removes the listeners of one event, or of all. */
  removeAllListeners(event?: EventName<Listen> | EventName<SocketEvents>): this;
  listeners(event: EventName<Listen> | EventName<SocketEvents>): ((...args: any[]) => unknown)[];
  /** Listens to all events of the client, before their own listeners. An event that it alone hears is handled. */
  onAny(listener: (event: string, ...args: any[]) => unknown): this;
  /** Removes one catch-all listener, or all. */
  offAny(listener?: (event: string, ...args: any[]) => unknown): this;
  /** A layer before the listeners: `([event, ...args], next)`. An error passed to `next` reaches the client. */
  use(layer: Layer<Packet>): this;

  /**
   * Sends an event. A function as the last argument is called with the client's acknowledgement. A failure goes to the
   * listeners of `error`, or without one to the manager's event `error`, so `timeout()` and `emitWithAck()` are better.
   * `false`: it is not queued.
   * @throws EVENT_INVALID
   */
  emit<Name extends EventName<Emit>>(event: Name, ...args: Arguments<Emit, Name>): boolean;
  /**
   * Sends an event, and resolves to the client's acknowledgement.
   * @throws REQUEST_TIMEOUT, CONNECTION_CLOSED, PEER_ERROR, EVENT_INVALID
   */
  emitWithAck<Name extends EventName<Emit>>(
    event: Name, ...args: ArgumentsBeforeAck<Emit, Name>
  ): Promise<Answer<Emit, Name>>;
  /**
   * Events that must be acknowledged in these milliseconds:
   * `socket.timeout(5_000).emit('question', (error, answer) => …)`.
   * @throws OPTION_INVALID
   */
  timeout(milliseconds: number): TimedEmitter<Emit>;

  /** Joins a room, or several; harmless after the socket has left. @throws ROOM_INVALID, TOO_MANY_ROOMS */
  join(rooms: RoomList): void;
  /** @throws ROOM_INVALID */
  leave(room: string | number): void;
  /** All sockets in the rooms but this one. @throws ROOM_INVALID */
  to(rooms: RoomList): Broadcaster<Listen, Emit, Data>;
  in(rooms: RoomList): Broadcaster<Listen, Emit, Data>;
  /** All sockets but this one and those in the rooms. @throws ROOM_INVALID */
  except(rooms: RoomList): Broadcaster<Listen, Emit, Data>;
  /** All sockets of the namespace but this one. */
  readonly broadcast: Broadcaster<Listen, Emit, Data>;
  /** Leaves the namespace; with `true`, the connection is closed, with 4010. */
  disconnect(close?: boolean): this;
}

/** Emits events to one socket, with a time limit for their acknowledgements. */
export interface TimedEmitter<Emit extends object = AnyEvents> {
  /** As the socket's own, but the callback gets a failure first: `(error, answer) => …`. */
  emit<Name extends EventName<WithErrors<Emit>>>(event: Name, ...args: Arguments<WithErrors<Emit>, Name>): boolean;
  /** As the socket's own. */
  emitWithAck<Name extends EventName<Emit>>(
    event: Name, ...args: ArgumentsBeforeAck<Emit, Name>
  ): Promise<Answer<Emit, Name>>;
}
