import { actorKey, ModuleError, type Connection, type Message, type Outgoing } from '../../src/index.ts';
import { Acknowledgement, OwedAcknowledgements } from './acknowledgement.ts';
import type { Packet, Socket } from './event-contracts.ts';
import { runLayers, type Layer } from './event-layers.ts';
import { callAll, EventListeners, type Listener } from './event-listeners.ts';
import { isReserved, toArguments } from './event-wire.ts';
import type { EventsHost } from './events-host.ts';

/** What the events of a socket need of its namespace. */
export interface EventPlace {
  /** What every message of the namespace carries. */
  readonly fields: Partial<Outgoing>;
  notJoined(): ModuleError;
}

/** The events of one socket: from its client through its layers to its listeners, and those that it raises itself. */
export class IncomingEvents {
  readonly listeners = new EventListeners();
  readonly catchAll: Listener[] = [];
  readonly layers: Layer<Packet>[] = [];
  readonly host: EventsHost;
  /** While it is leaving, it is still in its rooms and hears nothing more of its client. */
  state: 'arriving' | 'connected' | 'leaving' | 'left' = 'arriving';
  readonly #socket: Socket;
  readonly #connection: Connection;
  readonly #place: EventPlace;
  #owner: string | undefined;
  /** While the listeners of `connection` run. The client's events wait for the listeners that they add. */
  #opening: Promise<void> | undefined;
  // Made when it is needed.
  #owed: OwedAcknowledgements | undefined;

  /** @param socket the listeners' `this` */
  constructor(socket: Socket, connection: Connection, place: EventPlace, host: EventsHost) {
    this.host = host;
    this.#socket = socket;
    this.#connection = connection;
    this.#place = place;
  }

  get isConnected(): boolean { return this.state === 'connected' || this.state === 'leaving'; }

  /** The owner under which quotas count the socket. It stays the same when the connection authenticates later. */
  get owner(): string { return (this.#owner ??= actorKey(this.#connection)); }

  get opening(): Promise<void> | undefined { return this.#opening; }

  /** Tells the listeners of `connection` of the socket. @param namespace the listeners' `this` */
  open(listeners: readonly Listener[], namespace: unknown): void {
    const { host } = this;
    const failures = callAll(namespace, [listeners, [this.#socket]]);
    if (!(failures instanceof Promise)) return this.report(failures, 'connection');
    const settled = failures.then((late) => this.report(late, 'connection'));
    this.#opening = host.inTime('the listeners of "connection"', settled)
      // After an unload no events wait any more.
      .catch((error: unknown) => { if (!host.context.signal.aborted) this.report([error], 'connection'); })
      .finally(() => (this.#opening = undefined));
  }

  /** The socket left: gives the acknowledgements that it owes. */
  close(): void { this.#owed?.close(); }

  /** Tells the socket's own listeners what happens to it. */
  raise(event: 'disconnecting' | 'disconnect' | 'error', detail: unknown): void {
    const failures = callAll(this.#socket, [this.listeners.take(event), [detail]]);
    if (failures instanceof Promise) void failures.then((late) => this.report(late, 'listener'));
    else this.report(failures, 'listener');
  }

  report(failures: readonly unknown[], phase: 'connection' | 'listener' | 'message'): void {
    for (const failure of failures) this.host.report(failure, phase, this.#connection);
  }

  /** @throws UNKNOWN_TYPE, and what listeners and layers throw */
  receive(message: Message): unknown {
    const opening = this.#opening;
    return opening ? opening.then(() => this.#handle(message)) : this.#handle(message);
  }

  #handle(message: Message): unknown {
    const packet: Packet = [message.type, ...toArguments(message)];
    const answer = message.ack ? new Acknowledgement(message, this.#connection, this.#place.fields) : undefined;
    if (answer) packet.push(answer.give);
    return this.layers.length === 0 ? this.#deliver(packet, message, answer) : this.#pass(packet, message, answer);
  }

  /** Through the layers. A layer that acknowledges and does not go on ends it; what fails later is reported. */
  #pass(packet: Packet, message: Message, answer: Acknowledgement | undefined): Promise<unknown> {
    return new Promise((resolve, reject) => {
      let isOver = false;
      const report = (error: unknown): void => this.report([error], 'message');
      const end = (): void => {
        isOver = true;
        resolve(undefined);
      };
      const run = {
        self: this.#socket, code: 'EVENT_REFUSED', isWanted: () => this.state === 'connected', report,
        ...(answer && { answered: answer.given(), end }),
      };
      runLayers([...this.layers], packet, run)
        .then(() => this.#deliver(packet, message, answer), (error: unknown) => this.#fail(error, answer))
        .then(resolve, (error: unknown) => (isOver ? report(error) : reject(error as Error)));
    });
  }

  #deliver([event, ...args]: Packet, message: Message, answer: Acknowledgement | undefined): unknown {
    const isConnected = this.state === 'connected';
    const listeners = this.#listenersOf(event, message);
    const catchAll = isReserved(event) ? [] : [...this.catchAll];
    const isUnheard = listeners.length + catchAll.length === 0;
    // Layers have answered instead.
    if ((!isConnected || isUnheard) && answer?.isGiven) return undefined;
    if (!isConnected) throw this.#place.notJoined();
    if (isUnheard) {
      throw message.type === 'binary'
        ? new ModuleError('BINARY_UNSUPPORTED')
        : new ModuleError('UNKNOWN_TYPE', { type: event });
    }
    const { escape } = this.host.context;
    for (const [index, arg] of args.entries()) if (typeof arg !== 'function') args[index] = escape(arg as unknown);
    const failures = callAll(this.#socket, [catchAll, [event, ...args]], [listeners, args]);
    if (failures instanceof Promise) return failures.then((late) => this.#finish(late, answer, true));
    return this.#finish(failures, answer, false);
  }

  /**
   * Listeners hear an event by the name that the layers before them saw, and by no other spelling: a listener may have
   * been added after the name was settled. What a layer of the socket made of the event may have any spelling.
   */
  #listenersOf(event: string, message: Message): readonly Listener[] {
    if (isReserved(event)) return [];
    const isSettled = event !== message.type || this.listeners.nameOf(event) === event;
    return isSettled ? this.listeners.take(event) : [];
  }

  #finish(failures: readonly unknown[], answer: Acknowledgement | undefined, isDone: boolean): void {
    const { host, owner, state } = this;
    this.report(failures.slice(1), 'message');
    if (failures.length > 0) return this.#fail(failures[0], answer);
    if (!answer || answer.isGiven) return;
    // A listener that returned no promise may be waiting for something else to call back.
    if (isDone || state !== 'connected') return answer.give();
    this.#owed ??= new OwedAcknowledgements(host.acknowledgements, owner);
    this.#owed.add(answer, (expire) => host.context.after(host.settings.ackTimeout, expire));
  }

  /** @throws the failure, which the kernel answers, unless the event is already answered */
  #fail(error: unknown, answer: Acknowledgement | undefined): void {
    this.raise('error', error);
    if (answer?.isGiven) return this.report([error], 'message');
    answer?.fail();
    throw error;
  }
}
