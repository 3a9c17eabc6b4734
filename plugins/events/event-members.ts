import { canonical, closeCodes, isConnectionId, ModuleError, newId } from '../../src/index.ts';
import type { Connection, Message, Outgoing, Route } from '../../src/index.ts';
import type { Selection } from './broadcast.ts';
import type { EventNamespace, Socket } from './event-contracts.ts';
import type { Handshake } from './event-handshake.ts';
import { runLayers, type Layer } from './event-layers.ts';
import { EventListeners } from './event-listeners.ts';
import { EventSocket, type SocketPlace } from './event-socket.ts';
import { isReserved, toFields } from './event-wire.ts';
import type { EventsHost } from './events-host.ts';
import type { DisconnectReason } from './typed-events.ts';

/** Where a namespace is open. */
export interface Door {
  readonly host: EventsHost;
  /** Before it, no client is let in: the namespace's layers are added after it is opened. */
  readonly opened: Promise<void>;
  /** Puts a connection out of the namespace, and tells it. */
  expel(connection: Connection, reason: DisconnectReason): void;
  /** Whether a handler beside the sockets takes messages of a type. */
  isHandled?(type: string): boolean;
}

/** Names of events that are remembered. A server that listens to more of them makes them up. */
const MAX_NAMES = 1_000;

/** The sockets of a namespace: how they enter and leave, and how events reach them. */
export class EventMembers implements SocketPlace {
  readonly name: string;
  readonly topic: string;
  readonly fields: Partial<Outgoing>;
  readonly sockets = new Map<string, EventSocket>();
  /** Ids of sockets by room, on this node. Every socket is in the room of its own id. */
  readonly rooms = new Map<string, Set<string>>();
  readonly layers: Layer<Socket>[] = [];
  readonly listeners = new EventListeners();
  /** Connections that are asked for by the layers. Their events wait. */
  readonly arriving = new Map<string, Promise<void>>();
  /** What applications hold of it. Set by the namespace itself. */
  namespace!: EventNamespace;
  /** While the plugin is loaded. */
  door: Door | undefined;
  /** Events to which sockets have listened, in canonical form. */
  readonly #heard = new Set<string>();
  /** Routes by the name of the event, made once and not for each message. */
  readonly #routes = new Map<string, Route>();

  constructor(name: string) {
    this.name = name;
    this.topic = `ns:${name}`;
    this.fields = name === '/' ? {} : { namespace: name };
  }

  // Not the namespace's own rooms, which `namespaces` joins and leaves.
  topicOf(room: string): string { return `io:${this.name}#${room}`; }

  notJoined(): ModuleError { return new ModuleError('NAMESPACE_NOT_JOINED', { namespace: this.name }); }

  report(error: unknown, connection?: Connection): void {
    this.door?.host.report(error, connection ? 'connection' : 'plugin', connection);
  }

  // Entering and leaving

  /** Asks the layers. @throws the refusal, HANDSHAKE_TIMEOUT, CONNECTION_CLOSED, CONNECTION_REFUSED */
  async prepare(connection: Connection, handshake: Handshake): Promise<EventSocket> {
    const { door } = this;
    if (!door) throw this.notJoined();
    await door.opened;
    if (this.door !== door) throw new ModuleError('CONNECTION_REFUSED');
    const socket = new EventSocket(connection, this, door.host, handshake);
    try {
      await this.#ask(door.host, socket, connection);
      // That a client closed its connection meanwhile is no failure of the server.
      const { id, isOpen } = connection;
      if (!isOpen) throw new ModuleError('CONNECTION_CLOSED', { connection: id }, { expose: true });
      if (EventSocket.hasLeft(socket)) throw new ModuleError('CONNECTION_REFUSED');
      return socket;
    } catch (error) {
      EventSocket.end(socket, 'server namespace disconnect');
      throw error;
    }
  }

  async #ask(host: EventsHost, socket: EventSocket, connection: Connection): Promise<void> {
    if (this.layers.length === 0) return;
    await host.inTime('the layers before entering', runLayers([...this.layers], socket, {
      self: socket,
      code: 'CONNECTION_REFUSED',
      isWanted: () => connection.isOpen && !EventSocket.hasLeft(socket),
      report: (error) => this.report(error, connection),
    }));
  }

  enter(socket: EventSocket): void {
    if (!this.door) throw this.notJoined();
    this.sockets.set(socket.connection.id, socket);
    EventSocket.enter(socket, [...this.listeners.take('connect'), ...this.listeners.take('connection')]);
  }

  leave(id: string, reason: DisconnectReason): void {
    const socket = this.sockets.get(id);
    // A listener of `disconnecting` may disconnect it again, and nothing comes of that.
    if (!socket || !EventSocket.isIn(socket)) return;
    EventSocket.startLeaving(socket, reason);
    this.sockets.delete(id);
    EventSocket.end(socket, reason);
  }

  disconnect(socket: EventSocket, close: boolean): void {
    const { connection } = socket;
    const reason = 'server namespace disconnect';
    if (EventSocket.isIn(socket)) this.door?.expel(connection, reason);
    // A socket that layers are asked about is refused.
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

  listens(event: string): void {
    if (!isReserved(event) && this.#heard.size < MAX_NAMES) this.#heard.add(canonical(event));
  }

  /** The route of an event to which the connection's socket listens, under the name to which it listens. */
  find({ type }: Message, { id }: Connection): Route | undefined {
    if (isReserved(type)) return undefined;
    const socket = this.sockets.get(id);
    const until = this.arriving.get(id) ?? (socket && EventSocket.opening(socket));
    if (until) return this.#mayHear(type) ? { type: '*', handler: this.#receive, until } : undefined;
    const name = socket && EventSocket.nameOf(socket, type);
    return name === undefined ? undefined : this.#routeOf(name);
  }

  /** Whether a socket whose listeners are not known yet may listen to a type: others did, or it has no handler. */
  #mayHear(type: string): boolean { return this.#heard.has(canonical(type)) || !this.door?.isHandled?.(type); }

  #routeOf(name: string): Route {
    const present = this.#routes.get(name);
    if (present) return present;
    // Raw: the layers of the socket read what the client sent. It is escaped before the listeners.
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
    const node = this.door?.host.context.node;
    if (!node) return 0;
    // One id however many rooms it is for, so that a client that gets it twice from another node can tell.
    const message = { id: newId(), type: event, ...this.fields, ...toFields(args) };
    const excluded = this.#in(except);
    // The rooms of other nodes are not known here, but for those that are connections.
    for (const room of except) if (isConnectionId(room)) excluded.add(room);
    const publish = (topic: string): number =>
      node.publish(topic, message, excluded.size > 0 ? { except: [...excluded] } : {});
    if (!rooms) return publish(this.topic);
    let count = 0;
    for (const room of rooms) {
      const members = this.rooms.get(room);
      if (room.startsWith(`${node.id}.`)) {
        // The room of a socket's own id is its connection. Other sockets may have joined it too, also on other nodes.
        if (!excluded.has(room) && members?.has(room) && !this.#isHeld(room) && node.send(room, message)) count++;
        excluded.add(room);
        if (node.isAlone && !(members && members.size > Number(members.has(room)))) continue;
      } else if (!node.isAlone && isConnectionId(room) && !excluded.has(room)) {
        // A connection of another node, which knows whether it is in the namespace.
        count++;
      }
      count += publish(this.topicOf(room));
      // A socket that is in several of the rooms gets it once.
      if (rooms.size > 1) for (const id of members ?? []) excluded.add(id);
    }
    return count;
  }

  /** A broadcast to a connection that has yet to authenticate passes it by, as the kernel's own topics do. */
  #isHeld(id: string): boolean { return this.sockets.get(id)?.connection.isHeld === true; }
}
