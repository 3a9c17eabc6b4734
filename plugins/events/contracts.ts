import type { Connection } from '../../src/index.ts';
import type { Handshake } from './handshake.ts';
import type { Layer } from './layers.ts';
import type { Rooms } from './rooms.ts';
import type {
  Answer, AnyEvents, Arguments, ArgumentsBeforeAck, EventName, ListenerOf, SocketEvents, WithErrors, WithManyAnswers,
} from './typed-events.ts';

/** An event on its way to its listeners: its name, its arguments, and the acknowledgement where one was asked for. Layers may change it. */
export type Packet = [event: string, ...args: any[]];
export type RoomList = string | number | readonly (string | number)[];
/** Somebody came in. While a promise that it returns is pending, the client's events wait for the listeners that it adds. */
export type ConnectionListener<Listen extends object, Emit extends object, Data> = (socket: Socket<Listen, Emit, Data>) => unknown;

/** Some of a namespace's sockets. `to`, `in` and `except` give others, and leave these as they are. */
export interface Broadcaster<Listen extends object = AnyEvents, Emit extends object = AnyEvents, Data = any> {
  /** Who is in these rooms; called again, who is in those, too. A socket's id is a room. @throws ROOM_INVALID */
  to(rooms: RoomList): Broadcaster<Listen, Emit, Data>;
  in(rooms: RoomList): Broadcaster<Listen, Emit, Data>;
  /** But not who is in these rooms. @throws ROOM_INVALID */
  except(rooms: RoomList): Broadcaster<Listen, Emit, Data>;
  /** Milliseconds in which all are to acknowledge. @throws OPTION_INVALID */
  timeout(milliseconds: number): Broadcaster<Listen, WithManyAnswers<Emit>, Data>;
  /**
   * Sends an event, framed once however many get it. With a function as the last argument, that is called with `null` or an
   * AcknowledgementsMissing, and with what did come. `false`: it is queued for nobody on this node.
   * @throws EVENT_INVALID
   */
  emit<Name extends EventName<Emit>>(event: Name, ...args: Arguments<Emit, Name>): boolean;
  /**
   * Sends an event to the sockets of this node, and resolves to what they acknowledge it with, in the order in which they do.
   * @throws AcknowledgementsMissing as soon as everybody has answered, left, or failed to in time; EVENT_INVALID
   */
  emitWithAck<Name extends EventName<Emit>>(event: Name, ...args: ArgumentsBeforeAck<Emit, Name>): Promise<Answer<Emit, Name>[]>;
  /** Those of this node. */
  fetchSockets(): Promise<Socket<Listen, Emit, Data>[]>;
  /** Lets those of this node join rooms. @throws ROOM_INVALID, TOO_MANY_ROOMS */
  socketsJoin(rooms: RoomList): void;
  socketsLeave(rooms: RoomList): void;
  /** Puts those of this node out of the namespace; with `true`, their connections are closed. */
  disconnectSockets(close?: boolean): void;
}

/** What everybody passes who comes in, and who hears of them. */
export interface Entrance<Listen extends object = AnyEvents, Emit extends object = AnyEvents, Data = any> extends Broadcaster<Listen, Emit, Data> {
  /**
   * A layer that everybody passes who wants in: `(socket, next)`. It goes on by calling `next()`, once. What is passed to `next`
   * refuses, and reaches the client; what is thrown refuses too, and does not.
   */
  use(layer: Layer<Socket<Listen, Emit, Data>>): this;
  on(event: 'connection' | 'connect', listener: ConnectionListener<Listen, Emit, Data>): this;
  once(event: 'connection' | 'connect', listener: ConnectionListener<Listen, Emit, Data>): this;
  off(event: 'connection' | 'connect', listener: ConnectionListener<Listen, Emit, Data>): this;
}

/** A namespace, and the sockets in it. */
export interface EventNamespace<Listen extends object = AnyEvents, Emit extends object = AnyEvents, Data = any> extends Entrance<Listen, Emit, Data> {
  readonly name: string;
  /** Who is in it on this node, by id. */
  readonly sockets: ReadonlyMap<string, Socket<Listen, Emit, Data>>;
  /** Its rooms on this node: `adapter.rooms` gives the ids of sockets by room. */
  readonly adapter: Rooms;
}

/** The main namespace, and the way to the others. It may be given layers and listeners before the plugin is in place. */
export interface Server<Listen extends object = AnyEvents, Emit extends object = AnyEvents, Data = any> extends Entrance<Listen, Emit, Data> {
  /** The main namespace. */
  readonly sockets: EventNamespace<Listen, Emit, Data>;
  /** How many clients this node has, in whichever namespaces. */
  readonly engine: { readonly clientsCount: number };
  /** The namespace of this name, made where there is none. @throws NAMESPACE_NAME_INVALID */
  of<L extends object = Listen, E extends object = Emit, D = Data>(name: string): EventNamespace<L, E, D>;
  /** The rooms of the main namespace. Nodes are connected by the manager's option `adapter`: what is given here is not used, and a warning says so. */
  adapter(given?: unknown): Rooms;
}

/** A client in a namespace. `Listen` is what it sends, `Emit` what it gets, `Data` what the application keeps of it. */
export interface Socket<Listen extends object = AnyEvents, Emit extends object = AnyEvents, Data = any> {
  /** The connection's id, the same in every namespace. */
  readonly id: string;
  readonly nsp: EventNamespace<Listen, Emit, Data>;
  /** What it stands on, with `user` and `metadata`. */
  readonly connection: Connection;
  /** How it came: credentials, headers, address. */
  readonly handshake: Handshake;
  readonly connected: boolean;
  readonly disconnected: boolean;
  /** The rooms it is in, its own id's among them. */
  readonly rooms: ReadonlySet<string>;
  /** What the application knows of it. */
  data: Data;

  on<Name extends EventName<Listen> | EventName<SocketEvents>>(event: Name, listener: ListenerOf<Listen, Name>): this;
  once<Name extends EventName<Listen> | EventName<SocketEvents>>(event: Name, listener: ListenerOf<Listen, Name>): this;
  off<Name extends EventName<Listen> | EventName<SocketEvents>>(event: Name, listener: ListenerOf<Listen, Name>): this;
  /** As `off`, by its other name. */
  removeListener<Name extends EventName<Listen> | EventName<SocketEvents>>(event: Name, listener: ListenerOf<Listen, Name>): this;
  /** Takes away the listeners of an event, or of all. */
  removeAllListeners(event?: EventName<Listen> | EventName<SocketEvents>): this;
  listeners(event: EventName<Listen> | EventName<SocketEvents>): ((...args: any[]) => unknown)[];
  /** Hears every event of the client, before the event's own listeners. An event that only this one hears is handled. */
  onAny(listener: (event: string, ...args: any[]) => unknown): this;
  /** Takes one catch-all listener away, or all. */
  offAny(listener?: (event: string, ...args: any[]) => unknown): this;
  /** A layer before the listeners of every event: `([event, ...args], next)`. What is passed to `next` is what the client is told. */
  use(layer: Layer<Packet>): this;

  /**
   * Sends an event. With a function as the last argument, that is called with what the client acknowledges it with; a failure goes to
   * the listeners of `error`, or where there are none to the manager's event `error`, so `timeout()` or `emitWithAck()` are better.
   * `false`: it is not queued.
   * @throws EVENT_INVALID
   */
  emit<Name extends EventName<Emit>>(event: Name, ...args: Arguments<Emit, Name>): boolean;
  /** Sends an event, and resolves to what the client acknowledges it with. @throws REQUEST_TIMEOUT, CONNECTION_CLOSED, PEER_ERROR, EVENT_INVALID */
  emitWithAck<Name extends EventName<Emit>>(event: Name, ...args: ArgumentsBeforeAck<Emit, Name>): Promise<Answer<Emit, Name>>;
  /**
   * Events whose acknowledgements come in these milliseconds, or give an error: `socket.timeout(5_000).emit('question', (error, answer) => …)`.
   * @throws OPTION_INVALID
   */
  timeout(milliseconds: number): TimedEmitter<Emit>;

  /** Joins a room, or several; harmless once it has left. @throws ROOM_INVALID, TOO_MANY_ROOMS */
  join(rooms: RoomList): void;
  /** @throws ROOM_INVALID */
  leave(room: string | number): void;
  /** Everybody in the rooms but this one. @throws ROOM_INVALID */
  to(rooms: RoomList): Broadcaster<Listen, Emit, Data>;
  in(rooms: RoomList): Broadcaster<Listen, Emit, Data>;
  /** Everybody but this one and who is in the rooms. @throws ROOM_INVALID */
  except(rooms: RoomList): Broadcaster<Listen, Emit, Data>;
  /** Everybody in the namespace but this one. */
  readonly broadcast: Broadcaster<Listen, Emit, Data>;
  /** Leaves the namespace; with `true`, the connection is closed, with 4010. */
  disconnect(close?: boolean): this;
}

/** Emits to one socket events whose acknowledgements have a time limit. */
export interface TimedEmitter<Emit extends object = AnyEvents> {
  /** As the socket's own, but that the acknowledgement hears of a failure first: `(error, answer) => …`. */
  emit<Name extends EventName<WithErrors<Emit>>>(event: Name, ...args: Arguments<WithErrors<Emit>, Name>): boolean;
  /** As the socket's own. */
  emitWithAck<Name extends EventName<Emit>>(event: Name, ...args: ArgumentsBeforeAck<Emit, Name>): Promise<Answer<Emit, Name>>;
}
