import { setMaxListeners } from 'node:events';
import { ModuleError, type Connection, type Message } from '../../src/index.ts';
import { allBut, Broadcast, type BroadcastTransport } from './broadcast.ts';
import type { EventNamespace, Packet, RoomList, Socket, TimedEmitter } from './event-contracts.ts';
import type { Handshake } from './event-handshake.ts';
import type { Layer } from './event-layers.ts';
import type { Listener } from './event-listeners.ts';
import {
  assertDelay, assertEvent, assertFunction, roomNames, splitArguments, toArguments, toFields,
} from './event-wire.ts';
import type { EventsRuntime } from './events-runtime.ts';
import { IncomingEvents, type EventParent } from './incoming-events.ts';
import type { DisconnectReason } from './typed-events.ts';

/** The parts of a namespace that its sockets use. */
export interface SocketParent extends EventParent, BroadcastTransport {
  readonly namespace: EventNamespace;
  topicOf(room: string): string;
  addToRoom(id: string, room: string): void;
  removeFromRoom(id: string, room: string): void;
  /** Called when a socket starts to listen to an event. */
  listenerAdded(event: string): void;
  disconnect(socket: EventSocket, close: boolean): void;
}

/**
 * One connection in one namespace. Applications may add properties and replace methods, so the plugin itself uses only
 * private members and static methods.
 */
export class EventSocket implements Socket {
  readonly id: string;
  readonly nsp: EventNamespace;
  readonly handshake: Handshake;
  data: any = {};
  readonly #connection: Connection;
  readonly #parent: SocketParent;
  readonly #events: IncomingEvents;
  readonly #rooms: Set<string>;
  /** Rejects pending acknowledgements of the client when the socket leaves. */
  #leaving: AbortController | undefined;

  constructor(connection: Connection, parent: SocketParent, runtime: EventsRuntime, handshake: Handshake) {
    this.id = connection.id;
    this.nsp = parent.namespace;
    this.handshake = handshake;
    this.#connection = connection;
    this.#parent = parent;
    this.#events = new IncomingEvents(this, connection, parent, runtime);
    this.#rooms = new Set([connection.id]);
  }

  get connection(): Connection { return this.#connection; }

  get connected(): boolean { return this.#events.isConnected; }

  get disconnected(): boolean { return !this.#events.isConnected; }

  get rooms(): ReadonlySet<string> { return this.#rooms; }

  // Events of the client

  on(event: string, listener: Listener): this { return this.#listen(event, listener, false); }

  once(event: string, listener: Listener): this { return this.#listen(event, listener, true); }

  #listen(event: string, listener: Listener, once: boolean): this {
    this.#events.listeners.add(event, listener, once);
    this.#parent.listenerAdded(event);
    return this;
  }

  off(event: string, listener: Listener): this {
    this.#events.listeners.remove(event, listener);
    return this;
  }

  removeListener(event: string, listener: Listener): this { return this.off(event, listener); }

  removeAllListeners(event?: string): this {
    this.#events.listeners.remove(event);
    return this;
  }

  listeners(event: string): Listener[] { return this.#events.listeners.of(event); }

  onAny(listener: Listener): this {
    assertFunction(listener, 'a listener');
    this.#events.catchAll.push(listener);
    return this;
  }

  offAny(listener?: Listener): this {
    const { catchAll } = this.#events;
    const index = listener ? catchAll.lastIndexOf(listener) : 0;
    if (index >= 0) catchAll.splice(index, listener ? 1 : catchAll.length);
    return this;
  }

  use(layer: Layer<Packet>): this {
    assertFunction(layer, 'a layer');
    this.#events.layers.push(layer);
    return this;
  }

  // Events to the client

  emit(event: string, ...args: unknown[]): boolean {
    assertEvent(event);
    const [given, acknowledge] = splitArguments(args);
    if (!acknowledge) return this.#send(event, given);
    this.#ask(event, given, undefined)
      .then((answer) => Reflect.apply(acknowledge, this, answer))
      .catch((error: unknown) => this.#reportFailedAck(error));
    return this.#isReachable;
  }

  async emitWithAck(event: string, ...args: unknown[]): Promise<any> {
    assertEvent(event);
    const [answer] = await this.#ask(event, args, undefined);
    return answer;
  }

  timeout(milliseconds: number): TimedEmitter {
    assertDelay(milliseconds);
    return {
      emit: (event: string, ...args: unknown[]) => {
        assertEvent(event);
        const [given, acknowledge] = splitArguments(args);
        if (!acknowledge) return this.#send(event, given);
        const succeed = (answer: unknown[]): unknown => Reflect.apply(acknowledge, this, [null, ...answer]);
        this.#ask(event, given, milliseconds)
          .then(succeed, (error: unknown) => acknowledge.call(this, error))
          .catch((error: unknown) => this.#reportFailedAck(error));
        return this.#isReachable;
      },
      emitWithAck: async (event: string, ...args: unknown[]): Promise<any> => {
        assertEvent(event);
        const [answer] = await this.#ask(event, args, milliseconds);
        return answer;
      },
    };
  }

  get #isReachable(): boolean { return this.#events.state !== 'left' && this.#connection.isOpen; }

  /** `false`: the event was not queued. */
  #send(event: string, args: readonly unknown[]): boolean {
    if (this.#events.state === 'left') return false;
    return this.#connection.send({ type: event, ...this.#parent.fields, ...toFields(args) });
  }

  /** @throws CONNECTION_CLOSED, REQUEST_TIMEOUT, REQUEST_ABORTED, TOO_MANY_REQUESTS, PEER_ERROR */
  async #ask(event: string, args: readonly unknown[], timeout: number | undefined): Promise<unknown[]> {
    const { id: connection } = this.#connection;
    if (this.#events.state === 'left') throw new ModuleError('CONNECTION_CLOSED', { connection });
    const { signal } = (this.#leaving ??= newController());
    const message = { type: event, ...this.#parent.fields, ...toFields(args) };
    const limit = timeout === undefined ? {} : { timeout };
    const answer = await this.#connection.request(message, { retries: 0, signal, ...limit });
    const content: unknown = answer.content;
    if (answer.type === 'error') throw new ModuleError('PEER_ERROR', { event, connection, content });
    try {
      return toArguments(answer);
    } catch (cause) {
      throw new ModuleError('PEER_ERROR', { event, connection }, { cause });
    }
  }

  /** Reports a failed acknowledgement or callback to the listeners of `error` or, without one, to the manager. */
  #reportFailedAck(error: unknown): void {
    if (this.#events.listeners.of('error').length > 0) return this.#events.raise('error', error);
    // A missing answer of a client that left is not an error.
    const isExpected = !this.#isReachable && error instanceof ModuleError
      && ['CONNECTION_CLOSED', 'REQUEST_ABORTED'].includes(error.code);
    if (!isExpected) this.#events.report([error], 'listener');
  }

  // Rooms

  join(rooms: RoomList): Promise<void> | void {
    const all = roomNames(rooms);
    const names = new Set(all.filter((name) => !this.#rooms.has(name)));
    // The socket may have left during an await of the application.
    if (this.#events.state === 'left') return undefined;
    this.#reserve(names);
    for (const name of names) {
      if (this.#events.isConnected) this.#enterRoom(name);
      else this.#rooms.add(name);
    }
    return this.#whenJoined(all);
  }

  /** Resolves when messages of other nodes to the rooms arrive. `undefined`: they already do. */
  #whenJoined(rooms: readonly string[]): Promise<void> | undefined {
    const { node } = this.#events.runtime.context;
    if (node.isAlone) return undefined;
    const pending = rooms.flatMap((room) => node.whenSubscribed(this.#parent.topicOf(room)) ?? []);
    if (pending.length === 0) return undefined;
    const joined = Promise.all(pending).then(() => undefined);
    // The kernel reports a failure, also if the application does not await the promise.
    joined.catch(() => undefined);
    return joined;
  }

  /** Counts all of the rooms or none. @throws TOO_MANY_ROOMS */
  #reserve(names: ReadonlySet<string>): void {
    const { runtime: { rooms, settings: { maxRooms: limit } }, owner } = this.#events;
    // The room of its own id does not count.
    const joined = this.#rooms.size - Number(this.#rooms.has(this.#connection.id));
    const more = names.size - Number(names.has(this.#connection.id));
    if (joined + more > limit) throw new ModuleError('TOO_MANY_ROOMS', { of: 'connection', limit });
    const full = rooms.take(owner, more);
    if (!full) return;
    throw new ModuleError('TOO_MANY_ROOMS', { of: full.of === 'owner' ? 'client' : 'server', limit: full.limit });
  }

  #enterRoom(room: string): void {
    const { id } = this.#connection;
    const { node } = this.#events.runtime.context;
    // The room of its own id needs no topic: messages to it go to the connection; see EventMembers.publish().
    if (room !== id && node.connections.has(id)) node.subscribe(this.#connection, this.#parent.topicOf(room));
    this.#rooms.add(room);
    this.#parent.addToRoom(id, room);
  }

  leave(rooms: RoomList): void { for (const name of roomNames(rooms)) this.#leaveRoom(name); }

  #leaveRoom(room: string): void {
    const { runtime, owner } = this.#events;
    const { id } = this.#connection;
    if (!this.#rooms.delete(room)) return;
    if (room !== id) runtime.rooms.give(owner);
    this.#parent.removeFromRoom(id, room);
    runtime.context.node.unsubscribe(this.#connection, this.#parent.topicOf(room));
  }

  to(rooms: RoomList): Broadcast { return this.#others.to(rooms); }

  in(rooms: RoomList): Broadcast { return this.#others.to(rooms); }

  except(rooms: RoomList): Broadcast { return this.#others.except(rooms); }

  get broadcast(): Broadcast { return this.#others; }

  get local(): Broadcast { return this.#others.local; }

  get #others(): Broadcast { return new Broadcast(this.#parent, allBut(this.#connection.id)); }

  disconnect(close = false): this {
    this.#parent.disconnect(this, close);
    return this;
  }

  // For the plugin itself

  static isIn(socket: EventSocket): boolean { return socket.#events.state === 'connected'; }

  static hasLeft(socket: EventSocket): boolean { return socket.#events.state === 'left'; }

  /** Pending while the listeners of `connection` run. */
  static opening(socket: EventSocket): Promise<void> | undefined { return socket.#events.opening; }

  /** The name of an event in the spelling to which the socket listens. */
  static nameOf(socket: EventSocket, event: string): string | undefined {
    return socket.#events.listeners.nameOf(event);
  }

  static receive(socket: EventSocket, message: Message): unknown { return socket.#events.receive(message); }

  static ask(socket: EventSocket, event: string, args: readonly unknown[], timeout?: number): Promise<unknown[]> {
    return socket.#ask(event, args, timeout);
  }

  /** The socket enters its namespace. @param listeners the listeners of `connection` */
  static enter(socket: EventSocket, listeners: readonly Listener[]): void {
    const events = socket.#events;
    events.state = 'connected';
    // Layers may have joined rooms already.
    for (const room of socket.#rooms) socket.#enterRoom(room);
    events.open(listeners, socket.#parent.namespace);
  }

  /** The socket is leaving, but still in its rooms. */
  static startLeaving(socket: EventSocket, reason: DisconnectReason): void {
    socket.#events.state = 'leaving';
    socket.#events.raise('disconnecting', reason);
  }

  /** The socket has left its namespace for good. */
  static end(socket: EventSocket, reason: DisconnectReason): void {
    const events = socket.#events;
    if (events.state === 'left') return;
    const wasConnected = events.isConnected;
    events.state = 'left';
    for (const room of [...socket.#rooms]) socket.#leaveRoom(room);
    events.close();
    socket.#leaving?.abort(new Error(reason));
    if (wasConnected) events.raise('disconnect', reason);
  }
}

/** Without a listener limit: the kernel limits pending requests, and Node warns when there are more than ten. */
function newController(): AbortController {
  const controller = new AbortController();
  setMaxListeners(0, controller.signal);
  return controller;
}
