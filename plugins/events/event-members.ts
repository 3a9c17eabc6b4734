import { canonical, closeCodes, isConnectionId, ModuleError, newId } from '../../src/index.ts';
import type { Connection, Message, Outgoing, Route } from '../../src/index.ts';
import { targetOf, type Selection } from './broadcast.ts';
import type { EventNamespace, Socket } from './event-contracts.ts';
import type { Handshake } from './event-handshake.ts';
import { runLayers, type Layer } from './event-layers.ts';
import { EventListeners } from './event-listeners.ts';
import type { EventNodes } from './event-nodes.ts';
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

  /** The socket of an id, if it is in the namespace. */
  socket(id: string): readonly EventSocket[] {
    const socket = this.sockets.get(id);
    return socket && EventSocket.isIn(socket) ? [socket] : [];
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

  get nodes(): EventNodes | undefined { return this.binding?.runtime.nodes; }

  publish(event: string, args: readonly unknown[], selection: Selection): number {
    const id = newId();
    const message = { id, type: event, ...this.fields, ...toFields(args) };
    const { nodes } = this;
    if (!nodes || selection.isLocal) return this.deliver(message, selection);
    const { rooms, except, sender } = selection;
    const isOneTopic = (!rooms || rooms.size < 2) && (except.size === 0 || (except.size === 1 && except.has(sender!)));
    // One packet, so that no socket gets it twice. Each node knows which of its sockets are in an excepted room.
    if (!isOneTopic && rooms?.size !== 0) {
      const now = nodes.emit(this.name, targetOf(selection), { id, event, args });
      return this.deliver({ ...message, timestamp: now }, selection);
    }
    // The id of a socket on another node. Only that node knows whether it is in the namespace.
    const [room] = rooms ?? [];
    const elsewhere = room !== undefined && isConnectionId(room) ? nodes.nodeOf(room) : undefined;
    if (elsewhere !== undefined) nodes.emit(this.name, { socket: room }, { id, event, args }, elsewhere);
    // A topic reaches only nodes with members.
    return this.#send(message, selection, false) + Number(elsewhere !== undefined);
  }

  /** Sends a message to sockets of this node. Returns the number of sockets for which it is queued. */
  deliver(message: Outgoing, selection: Selection): number { return this.#send(message, selection, true); }

  /** Sends a message to the socket of an id, if it is in the room of its own id. */
  deliverTo(id: string, message: Outgoing): boolean {
    const node = this.binding?.runtime.context.node;
    return node !== undefined && this.rooms.get(id)?.has(id) === true && !this.#isHeld(id) && node.send(id, message);
  }

  /** @param local only to sockets of this node. Otherwise the message has one topic, and excepts only its sender */
  #send(message: Outgoing, { rooms, except }: Selection, local: boolean): number {
    const node = this.binding?.runtime.context.node;
    if (!node) return 0;
    const excluded = this.#in(except);
    // The id of a socket excludes the socket, even if it left the room of its id.
    for (const room of except) if (isConnectionId(room)) excluded.add(room);
    const publish = (topic: string): number =>
      node.publish(topic, message, excluded.size > 0 ? { except: [...excluded], local } : { local });
    if (!rooms) return publish(this.topic);
    let count = 0;
    for (const room of rooms) {
      const members = this.rooms.get(room);
      if (room.startsWith(`${node.id}.`)) {
        // The room of a socket's own id: send to the connection. Other sockets may have joined it, also on other nodes.
        if (!excluded.has(room) && this.deliverTo(room, message)) count++;
        excluded.add(room);
        if (local && !(members && members.size > Number(members.has(room)))) continue;
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
