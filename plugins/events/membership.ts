import { setMaxListeners } from 'node:events';
import { ModuleError, type Connection, type Message, type Outgoing } from '../../src/index.ts';
import { Acknowledgement, Acknowledgements } from './acknowledgements.ts';
import { toArguments, toFields } from './arguments.ts';
import type { Packet, Socket } from './contracts.ts';
import type { DisconnectReason } from './disconnect-reason.ts';
import { report, within, type Host } from './host.ts';
import { runLayers, type Layer } from './layers.ts';
import { callAll, Listeners, type Listener } from './listeners.ts';
import { isReserved, roomNames } from './names.ts';
import type { Rooms } from './rooms.ts';

/** What a membership needs of the namespace it is of. */
export interface Place {
  readonly rooms: Rooms;
  /** What every message carries. */
  readonly fields: Partial<Outgoing>;
  topicOf(room: string): string;
  notJoined(): ModuleError;
  /** Somebody listens to an event of the client's. */
  listens(event: string): void;
  disconnect(membership: Membership, close: boolean): void;
}

/** One connection in one namespace. What applications hold of it is its socket. */
export class Membership {
  readonly connection: Connection;
  readonly socket: Socket;
  readonly listeners = new Listeners();
  readonly catchAll: Listener[] = [];
  readonly layers: Layer<Packet>[] = [];
  /** Its own id's among them. */
  readonly rooms: Set<string>;
  readonly #place: Place;
  readonly #host: Host;
  #state: 'arriving' | 'connected' | 'left' = 'arriving';
  /** While the listeners of `connection` run: what comes meanwhile waits for the listeners that they add. */
  #opening: Promise<void> | undefined;
  /** What the client waits for. Made when it does, as is the next. */
  #answers: Acknowledgements | undefined;
  /** Ends what waits for the client's answer. */
  #leaving: AbortController | undefined;

  constructor(connection: Connection, place: Place, host: Host, makeSocket: (membership: Membership) => Socket) {
    this.connection = connection;
    this.rooms = new Set([connection.id]);
    this.#place = place;
    this.#host = host;
    this.socket = makeSocket(this);
  }

  get isConnected(): boolean { return this.#state === 'connected'; }

  get hasLeft(): boolean { return this.#state === 'left'; }

  get isReachable(): boolean { return !this.hasLeft && this.connection.isOpen; }

  // Coming and going

  /** @param listeners those of `connection` */
  enter(listeners: readonly Listener[]): void {
    this.#state = 'connected';
    // Those, too, that layers put it into.
    for (const room of this.rooms) this.#admit(room);
    const failures = callAll(listeners, [this.socket]);
    if (!(failures instanceof Promise)) return this.#tell(failures, 'connection');
    const settled = failures.then((late) => this.#tell(late, 'connection'));
    this.#opening = within(this.#host, 'what listens to "connection"', settled, () => undefined)
      // Unloaded, nobody's events wait any more.
      .catch((error: unknown) => { if (!this.#host.context.signal.aborted) this.#tell([error], 'connection'); })
      .finally(() => (this.#opening = undefined));
  }

  /** Out of the namespace, for good. */
  end(reason: DisconnectReason): void {
    if (this.hasLeft) return;
    const wasConnected = this.isConnected;
    this.#state = 'left';
    this.leave([...this.rooms]);
    this.#answers?.close();
    this.#leaving?.abort(new Error(reason));
    if (wasConnected) this.raise('disconnect', reason);
  }

  /** Tells the socket's own listeners of what happens to it. */
  raise(event: 'disconnecting' | 'disconnect' | 'error', detail: unknown): void {
    const failures = callAll(this.listeners.take(event), [detail]);
    if (failures instanceof Promise) void failures.then((late) => this.#tell(late, 'listener'));
    else this.#tell(failures, 'listener');
  }

  /** What came of an acknowledgement that the server waited for: for the listeners of `error`, or who hears of everything that fails. */
  complain(error: unknown): void {
    if (this.listeners.of('error').length > 0) return this.raise('error', error);
    // That nobody answers who has left is no failure.
    const isFarewell = !this.isReachable && error instanceof ModuleError && (error.code === 'CONNECTION_CLOSED' || error.code === 'REQUEST_ABORTED');
    if (!isFarewell) this.#tell([error], 'listener');
  }

  #tell(failures: readonly unknown[], phase: 'connection' | 'listener' | 'message'): void {
    for (const failure of failures) report(this.#host, failure, phase, this.connection);
  }

  // Rooms

  /** All of them or none. @throws ROOM_INVALID, TOO_MANY_ROOMS */
  join(rooms: unknown): void {
    const { maxRooms } = this.#host.settings;
    const names = new Set(roomNames(rooms).filter((name) => !this.rooms.has(name)));
    // Who left while somebody awaited something has no rooms any more.
    if (this.hasLeft) return;
    const own = Number(this.rooms.has(this.connection.id));
    if (this.rooms.size + names.size - own > maxRooms) {
      throw new ModuleError('TOO_MANY_ROOMS', { limit: maxRooms }, { message: `a socket may be in ${maxRooms} rooms` });
    }
    for (const name of names) {
      if (this.isConnected) this.#admit(name);
      else this.rooms.add(name);
    }
  }

  #admit(room: string): void {
    const { connection } = this;
    const { node } = this.#host.context;
    // The room of its own id is a topic for other nodes only: on this one, what is sent there goes to the connection.
    if ((room !== connection.id || !node.isAlone) && node.connections.has(connection.id)) node.subscribe(connection, this.#place.topicOf(room));
    this.rooms.add(room);
    this.#place.rooms.add(connection.id, room);
  }

  /** @throws ROOM_INVALID */
  leave(rooms: unknown): void {
    for (const name of roomNames(rooms)) {
      if (!this.rooms.delete(name)) continue;
      this.#place.rooms.remove(this.connection.id, name);
      this.#host.context.node.unsubscribe(this.connection, this.#place.topicOf(name));
    }
  }

  // Events out

  /** `false`: it is not queued. */
  send(event: string, args: readonly unknown[]): boolean {
    return !this.hasLeft && this.connection.send({ type: event, ...this.#place.fields, ...toFields(args) });
  }

  /**
   * Sends an event, and waits for what the client acknowledges it with.
   * @throws CONNECTION_CLOSED, REQUEST_TIMEOUT, REQUEST_ABORTED, TOO_MANY_REQUESTS, PEER_ERROR
   */
  async ask(event: string, args: readonly unknown[], timeout: number | undefined): Promise<unknown[]> {
    const { id } = this.connection;
    if (this.hasLeft) throw new ModuleError('CONNECTION_CLOSED', { connection: id });
    const { signal } = (this.#leaving ??= newController());
    const message = { type: event, ...this.#place.fields, ...toFields(args) };
    const answer = await this.connection.request(message, { retries: 0, signal, ...(timeout === undefined ? {} : { timeout }) });
    try {
      if (answer.type !== 'error') return toArguments(answer);
    } catch (cause) {
      throw new ModuleError('PEER_ERROR', { event, connection: id }, { message: `the answer to "${event}" cannot be read`, expose: false, cause });
    }
    const content: unknown = answer.content;
    throw new ModuleError('PEER_ERROR', { event, connection: id, content }, { message: `the client answered "${event}" with an error`, expose: false });
  }

  disconnect(close: boolean): void { this.#place.disconnect(this, close); }

  // Events in

  listen(event: string, listener: Listener, once: boolean): void {
    this.listeners.add(event, listener, once);
    if (!isReserved(event)) this.#place.listens(event);
  }

  /** What a message of this client comes to: nothing, where it was acknowledged. @throws UNKNOWN_TYPE, and whatever its listeners and layers throw */
  receive(message: Message): unknown {
    return this.#opening ? this.#opening.then(() => this.#handle(message)) : this.#handle(message);
  }

  #handle(message: Message): unknown {
    const packet: Packet = [message.type, ...(toArguments(message) as any[])];
    const answer = message.ack ? new Acknowledgement(message, this.connection, this.#place.fields) : undefined;
    if (answer) packet.push(answer.give);
    return this.layers.length === 0 ? this.#deliver(packet, message, answer) : this.#pass(packet, message, answer);
  }

  /** Through the layers. One that acknowledges and does not go on ends the handling; what fails where it goes on after all is told. */
  #pass(packet: Packet, message: Message, answer: Acknowledgement | undefined): Promise<unknown> {
    return new Promise((resolve, reject) => {
      let isOver = false;
      const tell = (error: unknown): void => this.#tell([error], 'message');
      const end = (): void => {
        isOver = true;
        resolve(undefined);
      };
      const run = { code: 'EVENT_REFUSED', isWanted: () => this.isConnected, report: tell, ...(answer && { answered: answer.given(), end }) };
      runLayers([...this.layers], packet, run)
        .then(() => this.#deliver(packet, message, answer), (error: unknown) => this.#fail(error, answer))
        .then(resolve, (error: unknown) => (isOver ? tell(error) : reject(error as Error)));
    });
  }

  #deliver([event, ...args]: Packet, message: Message, answer: Acknowledgement | undefined): unknown {
    const listeners = isReserved(event) ? [] : this.listeners.take(event);
    const isUnheard = listeners.length === 0 && (this.catchAll.length === 0 || isReserved(event));
    // Layers have answered it in the place of those.
    if ((!this.isConnected || isUnheard) && answer?.isGiven) return undefined;
    if (!this.isConnected) throw this.#place.notJoined();
    if (isUnheard) {
      throw message.type === 'binary' ? new ModuleError('BINARY_UNSUPPORTED') : new ModuleError('UNKNOWN_TYPE', { type: event });
    }
    const called = [...this.catchAll.map((listener): Listener => (...given) => listener(event, ...given)), ...listeners];
    const failures = callAll(called, args);
    if (failures instanceof Promise) return failures.then((late) => this.#finish(late, answer, true));
    return this.#finish(failures, answer, false);
  }

  #finish(failures: readonly unknown[], answer: Acknowledgement | undefined, isDone: boolean): void {
    this.#tell(failures.slice(1), 'message');
    if (failures.length > 0) return this.#fail(failures[0], answer);
    if (!answer || answer.isGiven) return;
    // Who returned no promise may be waiting for something else to call back.
    if (isDone || !this.isConnected) answer.give();
    else (this.#answers ??= new Acknowledgements()).await(answer, this.#host);
  }

  /** @throws the failure, which the kernel answers; unless the event is answered already */
  #fail(error: unknown, answer: Acknowledgement | undefined): void {
    this.raise('error', error);
    if (answer?.isGiven) return this.#tell([error], 'message');
    answer?.fail();
    throw error;
  }
}

/** As many may wait for its signal as the kernel lets wait for one client's answers; Node warns from the eleventh. */
function newController(): AbortController {
  const controller = new AbortController();
  setMaxListeners(0, controller.signal);
  return controller;
}
