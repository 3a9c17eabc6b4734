import { closeCodes, isConnectionId, ModuleError, newId, type Connection, type Message, type Outgoing } from '../../src/index.ts';
import { toFields } from './arguments.ts';
import type { Carrier, Selection } from './broadcast.ts';
import type { EventNamespace, Socket } from './contracts.ts';
import type { DisconnectReason } from './disconnect-reason.ts';
import type { Handshake } from './handshake.ts';
import { report, within, type Host } from './host.ts';
import { runLayers, type Layer } from './layers.ts';
import { Listeners } from './listeners.ts';
import { LocalSocket } from './local-socket.ts';
import { Membership, type Place } from './membership.ts';
import { Rooms } from './rooms.ts';

/** Where a namespace is open. */
export interface Door {
  readonly host: Host;
  /** When it is asked who may enter: its layers are added after it is opened. */
  readonly opened: Promise<void>;
  /** Puts out, and tells, somebody who is in it. */
  expel(connection: Connection, reason: DisconnectReason): void;
  /** Somebody listens to an event of the client's. */
  listens?(event: string): void;
}

/** Who is in a namespace, how they come and go, and how events reach them. */
export class Members implements Place, Carrier {
  readonly name: string;
  readonly topic: string;
  readonly fields: Partial<Outgoing>;
  readonly sockets = new Map<string, Socket>();
  readonly rooms = new Rooms();
  readonly layers: Layer<Socket>[] = [];
  readonly listeners = new Listeners();
  /** What applications hold of it, which says so when it is made. */
  namespace!: EventNamespace;
  /** While the plugin is loaded. */
  door: Door | undefined;
  readonly #byId = new Map<string, Membership>();

  constructor(name: string) {
    this.name = name;
    this.topic = `ns:${name}`;
    this.fields = name === '/' ? {} : { namespace: name };
  }

  // Not the namespace's own rooms, which it joins and leaves by itself.
  topicOf(room: string): string { return `io:${this.name}#${room}`; }

  notJoined(): ModuleError {
    return new ModuleError('NAMESPACE_NOT_JOINED', { namespace: this.name }, { message: `the connection is not in "${this.name}"; send "connect" first` });
  }

  listens(event: string): void { this.door?.listens?.(event); }

  report(error: unknown, connection?: Connection): void { report(this.door?.host, error, connection ? 'connection' : 'plugin', connection); }

  // Coming and going

  /** Asks the layers. @throws what they refuse with, HANDSHAKE_TIMEOUT, CONNECTION_CLOSED */
  async prepare(connection: Connection, handshake: Handshake): Promise<Membership> {
    const { door } = this;
    if (!door) throw this.notJoined();
    const { host, opened } = door;
    await opened;
    if (this.door !== door) throw new ModuleError('CONNECTION_REFUSED');
    const membership = new Membership(connection, this, host, (made) => new LocalSocket(made, this.namespace, handshake, this));
    const tell = (error: unknown): void => this.report(error, connection);
    const run = { code: 'CONNECTION_REFUSED', isWanted: () => connection.isOpen && !membership.hasLeft, report: tell };
    try {
      if (this.layers.length > 0) await within(host, 'what lets somebody in', runLayers([...this.layers], membership.socket, run), tell);
      // Who left while it was asked about is no failure of ours.
      if (!connection.isOpen) throw new ModuleError('CONNECTION_CLOSED', { connection: connection.id }, { expose: true });
      if (membership.hasLeft) throw new ModuleError('CONNECTION_REFUSED');
      return membership;
    } catch (error) {
      membership.end('server namespace disconnect');
      throw error;
    }
  }

  enter(membership: Membership): void {
    const { connection, socket } = membership;
    if (!this.door) throw this.notJoined();
    this.#byId.set(connection.id, membership);
    this.sockets.set(connection.id, socket);
    membership.enter([...this.listeners.take('connect'), ...this.listeners.take('connection')]);
  }

  leave(id: string, reason: DisconnectReason): void {
    const membership = this.#byId.get(id);
    if (!membership) return;
    // First, so that who hears of it may disconnect it again, and nothing comes of that.
    this.#byId.delete(id);
    membership.raise('disconnecting', reason);
    this.sockets.delete(id);
    membership.end(reason);
  }

  disconnect(membership: Membership, close: boolean): void {
    const { connection } = membership;
    const reason = 'server namespace disconnect';
    // Who is still asked for by layers is refused.
    if (this.#byId.get(connection.id) !== membership) membership.end(reason);
    else this.door?.expel(connection, reason);
    if (close && connection.isOpen) connection.close(closeCodes.kicked, reason);
  }

  // Events in

  receive(message: Message, connection: Connection): unknown {
    const membership = this.#byId.get(connection.id);
    if (!membership) throw this.notJoined();
    return membership.receive(message);
  }

  // Events out

  /** Those of this node whom a selection is for. */
  select({ rooms, except }: Selection): Membership[] {
    const excluded = this.#in(except);
    const ids = rooms ? this.#in(rooms) : this.#byId.keys();
    return [...ids].flatMap((id) => (excluded.has(id) ? [] : (this.#byId.get(id) ?? [])));
  }

  #in(rooms: ReadonlySet<string>): Set<string> {
    const ids = new Set<string>();
    for (const room of rooms) for (const id of this.rooms.rooms.get(room) ?? []) ids.add(id);
    return ids;
  }

  /** Sends an event. Returns for how many sockets of this node it is queued. */
  publish(event: string, args: readonly unknown[], { rooms, except }: Selection): number {
    const node = this.door?.host.context.node;
    if (!node) return 0;
    // One id however many rooms it is for, so that who gets it twice from another node can tell.
    const message = { id: newId(), type: event, ...this.fields, ...toFields(args) };
    const excluded = this.#in(except);
    // Of other nodes we know nobody's rooms, but for those that are connections.
    for (const room of except) if (isConnectionId(room)) excluded.add(room);
    const publish = (topic: string): number => node.publish(topic, message, excluded.size > 0 ? { except: [...excluded] } : {});
    if (!rooms) return publish(this.topic);
    let count = 0;
    for (const room of rooms) {
      const members = this.rooms.rooms.get(room);
      if (room.startsWith(`${node.id}.`)) {
        // The room of a socket's own id is its connection. Others may have joined it, too, and of those on other nodes we know nothing.
        if (!excluded.has(room) && members?.has(room) && node.send(room, message)) count++;
        excluded.add(room);
        if (node.isAlone && !(members && members.size > Number(members.has(room)))) continue;
      } else if (!node.isAlone && isConnectionId(room) && !excluded.has(room)) {
        // Of another node, which knows whether it is in the namespace.
        count++;
      }
      count += publish(this.topicOf(room));
      // Who is in several of the rooms gets it once.
      if (rooms.size > 1) for (const id of members ?? []) excluded.add(id);
    }
    return count;
  }
}
