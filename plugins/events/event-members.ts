import { canonical, closeCodes, isConnectionId, ModuleError, newId } from '../../src/index.ts';
import type { Connection, Message, Outgoing, Route } from '../../src/index.ts';
import type { Selection } from './broadcast.ts';
import type { EventNamespace, Socket } from './event-contracts.ts';
import type { Handshake } from './event-handshake.ts';
import { runLayers, type Layer } from './event-layers.ts';
import { EventListeners } from './event-listeners.ts';
import { EventSocket, type SocketParent } from './event-socket.ts';
import { isReserved, toFields } from './event-wire.ts';
import type { EventsRuntime } from './events-runtime.ts';
import type { DisconnectReason } from './typed-events.ts';

/** Connects a namespace to the kernel while the plugin is loaded. */
export interface NamespaceBinding {
  readonly runtime: EventsRuntime;
  /** Clients enter after it resolves, so that the application can add layers first. */
  readonly opened: Promise<void>;
  /** Removes a connection from the namespace and notifies it. */
  disconnect(connection: Connection, reason: DisconnectReason): void;
  /** Whether a handler outside of `events` exists for a type. */
  isHandled?(type: string): boolean;
}

/** Maximum remembered event names. Servers that listen to more of them generate the names. */
const MAX_NAMES = 1_000;

/** The sockets of a namespace. They enter and leave here, and their events pass through here. */
export class EventMembers implements SocketParent {
  readonly name: string;
  readonly topic: string;
  readonly fields: Partial<Outgoing>;
  readonly sockets = new Map<string, EventSocket>();
  /** Ids of sockets by room, on this node. Every socket is in the room of its own id. */
  readonly rooms = new Map<string, Set<string>>();
  readonly layers: Layer<Socket>[] = [];
  readonly listeners = new EventListeners();
  /** Entering connections, by id. Their events wait for the promise. */
  readonly arriving = new Map<string, Promise<void>>();
  /** The public object of the namespace. Its constructor sets it. */
  namespace!: EventNamespace;
  /** Set while the plugin is loaded. */
  binding: NamespaceBinding | undefined;
  /** Events to which sockets have listened, in canonical spelling. */
  readonly #knownEvents = new Set<string>();
  /** Routes by event name. Cached, so that no route is allocated per message. */
  readonly #routes = new Map<string, Route>();

  constructor(name: string) {
    this.name = name;
    this.topic = `ns:${name}`;
    this.fields = name === '/' ? {} : { namespace: name };
  }

  // A prefix different from that of the rooms of the plugin `namespaces`.
  topicOf(room: string): string { return `io:${this.name}#${room}`; }

  notJoined(): ModuleError { return new ModuleError('NAMESPACE_NOT_JOINED', { namespace: this.name }); }

  report(error: unknown, connection?: Connection): void {
    this.binding?.runtime.report(error, connection ? 'connection' : 'plugin', connection);
  }

  // Entering and leaving

  /**
   * Creates a socket and runs the layers.
   * @throws the error of a layer, HANDSHAKE_TIMEOUT, CONNECTION_CLOSED, CONNECTION_REFUSED
   */
  async prepare(connection: Connection, handshake: Handshake): Promise<EventSocket> {
    const { binding } = this;
    if (!binding) throw this.notJoined();
    await binding.opened;
    if (this.binding !== binding) throw new ModuleError('CONNECTION_REFUSED');
    const socket = new EventSocket(connection, this, binding.runtime, handshake);
    try {
      await this.#ask(binding.runtime, socket, connection);
      // A client that disconnects meanwhile is not a server error.
      const { id, isOpen } = connection;
      if (!isOpen) throw new ModuleError('CONNECTION_CLOSED', { connection: id }, { expose: true });
      if (EventSocket.hasLeft(socket)) throw new ModuleError('CONNECTION_REFUSED');
      return socket;
    } catch (error) {
      EventSocket.end(socket, 'server namespace disconnect');
      throw error;
    }
  }

  async #ask(runtime: EventsRuntime, socket: EventSocket, connection: Connection): Promise<void> {
    if (this.layers.length === 0) return;
    await runtime.withTimeout('the layers before entering', runLayers([...this.layers], socket, {
      self: socket,
      code: 'CONNECTION_REFUSED',
      isWanted: () => connection.isOpen && !EventSocket.hasLeft(socket),
      report: (error) => this.report(error, connection),
    }));
  }

  enter(socket: EventSocket): void {
    if (!this.binding) throw this.notJoined();
    this.sockets.set(socket.connection.id, socket);
    EventSocket.enter(socket, [...this.listeners.take('connect'), ...this.listeners.take('connection')]);
  }

  leave(id: string, reason: DisconnectReason): void {
    const socket = this.sockets.get(id);
    // A listener of `disconnecting` may call disconnect() again; that is ignored.
    if (!socket || !EventSocket.isIn(socket)) return;
    EventSocket.startLeaving(socket, reason);
    this.sockets.delete(id);
    EventSocket.end(socket, reason);
  }

  disconnect(socket: EventSocket, close: boolean): void {
    const { connection } = socket;
    const reason = 'server namespace disconnect';
    if (EventSocket.isIn(socket)) this.binding?.disconnect(connection, reason);
    // A socket that is still entering is rejected.
    else if (this.sockets.get(connection.id) !== socket) EventSocket.end(socket, reason);
    if (close && connection.isOpen) connection.close(closeCodes.kicked, reason);
  }

  // Rooms

  addToRoom(id: string, room: string): void {
    const members = this.rooms.get(room);
    if (members) members.add(id);
    else this.rooms.set(room, new Set([id]));
  }

  removeFromRoom(id: string, room: string): void {
    const members = this.rooms.get(room);
    members?.delete(id);
    if (members?.size === 0) this.rooms.delete(room);
  }

  // Events in

  listenerAdded(event: string): void {
    if (!isReserved(event) && this.#knownEvents.size < MAX_NAMES) this.#knownEvents.add(canonical(event));
  }

  /** The route of an event, if the socket of the connection listens to it. */
  find({ type }: Message, { id }: Connection): Route | undefined {
    if (isReserved(type)) return undefined;
    const socket = this.sockets.get(id);
    const until = this.arriving.get(id) ?? (socket && EventSocket.opening(socket));
    if (until) return this.#mayHaveListener(type) ? { type: '*', handler: this.#receive, until } : undefined;
    const name = socket && EventSocket.nameOf(socket, type);
    return name === undefined ? undefined : this.#routeOf(name);
  }

  /** Whether an entering socket may listen to a type: other sockets have listened to it, or it has no other handler. */
  #mayHaveListener(type: string): boolean {
    return this.#knownEvents.has(canonical(type)) || !this.binding?.isHandled?.(type);
  }

  #routeOf(name: string): Route {
    const present = this.#routes.get(name);
    if (present) return present;
    // Raw, because layers of the socket read unescaped input. The arguments are escaped before the listeners.
    const route: Route = { type: name, handler: this.#receive, raw: true };
    if (this.#routes.size < MAX_NAMES) this.#routes.set(name, route);
    return route;
  }

  readonly #receive = (message: Message, connection: Connection): unknown => this.receive(message, connection);

  receive(message: Message, connection: Connection): unknown {
    const arrival = this.arriving.get(connection.id);
    if (arrival) return arrival.then(() => this.receive(message, connection));
    const socket = this.sockets.get(connection.id);
    if (!socket || !EventSocket.isIn(socket)) throw this.notJoined();
    return EventSocket.receive(socket, message);
  }

  // Events out

  ask(socket: EventSocket, event: string, args: readonly unknown[], timeout: number | undefined): Promise<unknown[]> {
    return EventSocket.ask(socket, event, args, timeout);
  }

  select({ rooms, except }: Selection): EventSocket[] {
    const excluded = this.#in(except);
    const ids = rooms ? this.#in(rooms) : this.sockets.keys();
    return [...ids].flatMap((id) => {
      const socket = excluded.has(id) ? undefined : this.sockets.get(id);
      return socket && EventSocket.isIn(socket) ? socket : [];
    });
  }

  #in(rooms: ReadonlySet<string>): Set<string> {
    const ids = new Set<string>();
    for (const room of rooms) for (const id of this.rooms.get(room) ?? []) ids.add(id);
    return ids;
  }

  publish(event: string, args: readonly unknown[], { rooms, except }: Selection): number {
    const node = this.binding?.runtime.context.node;
    if (!node) return 0;
    // The same id for all rooms, so that clients can detect a message that another node delivers twice.
    const message = { id: newId(), type: event, ...this.fields, ...toFields(args) };
    const excluded = this.#in(except);
    // Members of rooms on other nodes are unknown here. Only ids of connections can be excluded there.
    for (const room of except) if (isConnectionId(room)) excluded.add(room);
    const publish = (topic: string): number =>
      node.publish(topic, message, excluded.size > 0 ? { except: [...excluded] } : {});
    if (!rooms) return publish(this.topic);
    let count = 0;
    for (const room of rooms) {
      const members = this.rooms.get(room);
      if (room.startsWith(`${node.id}.`)) {
        // The room of a socket's own id: send to the connection. Other sockets may have joined it, also on other nodes.
        if (!excluded.has(room) && members?.has(room) && !this.#isHeld(room) && node.send(room, message)) count++;
        excluded.add(room);
        if (node.isAlone && !(members && members.size > Number(members.has(room)))) continue;
      } else if (!node.isAlone && isConnectionId(room) && !excluded.has(room)) {
        // A connection of another node. Only that node knows whether it is in the namespace.
        count++;
      }
      count += publish(this.topicOf(room));
      // A socket in several of the rooms gets the message once.
      if (rooms.size > 1) for (const id of members ?? []) excluded.add(id);
    }
    return count;
  }

  /** Held connections are unauthenticated and get no broadcasts, as with topics of the kernel. */
  #isHeld(id: string): boolean { return this.sockets.get(id)?.connection.isHeld === true; }
}
