import { actorKey, ModuleError, type Connection, type Message, type Outgoing } from '../../src/index.ts';
import { Acknowledgement, PendingAcknowledgements } from './acknowledgement.ts';
import type { Packet, Socket } from './event-contracts.ts';
import { runLayers, type Layer } from './event-layers.ts';
import { callAll, EventListeners, type Listener } from './event-listeners.ts';
import { isReserved, toArguments } from './event-wire.ts';
import type { EventsRuntime } from './events-runtime.ts';

/** The parts of a namespace that incoming events use. */
export interface EventParent {
  /** Fields of every message of the namespace. */
  readonly fields: Partial<Outgoing>;
  notJoined(): ModuleError;
}

/** Passes events of a client through the layers of a socket to its listeners, and raises the socket's own events. */
export class IncomingEvents {
  readonly listeners = new EventListeners();
  readonly catchAll: Listener[] = [];
  readonly layers: Layer<Packet>[] = [];
  readonly runtime: EventsRuntime;
  /** A leaving socket is still in its rooms, but gets no more events of its client. */
  state: 'arriving' | 'connected' | 'leaving' | 'left' = 'arriving';
  readonly #socket: Socket;
  readonly #connection: Connection;
  readonly #parent: EventParent;
  #owner: string | undefined;
  /** Pending while listeners of `connection` run. The client's events wait, because these listeners add listeners. */
  #opening: Promise<void> | undefined;
  // Created on first use.
  #pending: PendingAcknowledgements | undefined;

  /** @param socket the `this` of the listeners */
  constructor(socket: Socket, connection: Connection, parent: EventParent, runtime: EventsRuntime) {
    this.runtime = runtime;
    this.#socket = socket;
    this.#connection = connection;
    this.#parent = parent;
  }

  get isConnected(): boolean { return this.state === 'connected' || this.state === 'leaving'; }

  /** The owner in quotas. It does not change when the connection authenticates later. */
  get owner(): string { return (this.#owner ??= actorKey(this.#connection)); }

  get opening(): Promise<void> | undefined { return this.#opening; }

  /** Calls the listeners of `connection`. @param namespace the `this` of the listeners */
  open(listeners: readonly Listener[], namespace: unknown): void {
    const { runtime } = this;
    const failures = callAll(namespace, [listeners, [this.#socket]]);
    if (!(failures instanceof Promise)) return this.report(failures, 'connection');
    const settled = failures.then((late) => this.report(late, 'connection'));
    this.#opening = runtime.withTimeout('the listeners of "connection"', settled)
      // After an unload, the timeout is expected.
      .catch((error: unknown) => { if (!runtime.context.signal.aborted) this.report([error], 'connection'); })
      .finally(() => (this.#opening = undefined));
  }

  /** Sends the pending acknowledgements when the socket leaves. */
  close(): void { this.#pending?.close(); }

  /** Calls the listeners of the socket's own events. */
  raise(event: 'disconnecting' | 'disconnect' | 'error', detail: unknown): void {
    const failures = callAll(this.#socket, [this.listeners.take(event), [detail]]);
    if (failures instanceof Promise) void failures.then((late) => this.report(late, 'listener'));
    else this.report(failures, 'listener');
  }

  report(failures: readonly unknown[], phase: 'connection' | 'listener' | 'message'): void {
    for (const failure of failures) this.runtime.report(failure, phase, this.#connection);
  }

  /** @throws UNKNOWN_TYPE, and what listeners and layers throw */
  receive(message: Message): unknown {
    const opening = this.#opening;
    return opening ? opening.then(() => this.#handle(message)) : this.#handle(message);
  }

  #handle(message: Message): unknown {
    const packet: Packet = [message.type, ...toArguments(message)];
    const answer = message.ack ? new Acknowledgement(message, this.#connection, this.#parent.fields) : undefined;
    if (answer) packet.push(answer.give);
    return this.layers.length === 0 ? this.#deliver(packet, message, answer) : this.#pass(packet, message, answer);
  }

  /** Runs the layers. If a layer acknowledges without calling `next`, the event ends; later errors are reported. */
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
    const hasNoListener = listeners.length + catchAll.length === 0;
    // A layer has acknowledged already.
    if ((!isConnected || hasNoListener) && answer?.isGiven) return undefined;
    if (!isConnected) throw this.#parent.notJoined();
    if (hasNoListener) {
      throw message.type === 'binary'
        ? new ModuleError('BINARY_UNSUPPORTED')
        : new ModuleError('UNKNOWN_TYPE', { type: event });
    }
    const { escape } = this.runtime.context;
    for (const [index, arg] of args.entries()) if (typeof arg !== 'function') args[index] = escape(arg as unknown);
    const failures = callAll(this.#socket, [catchAll, [event, ...args]], [listeners, args]);
    if (failures instanceof Promise) return failures.then((late) => this.#finish(late, answer, true));
    return this.#finish(failures, answer, false);
  }

  /**
   * Returns the listeners only if the layers before them saw the event under the same name. A listener that was added
   * meanwhile in another spelling would bypass guards. A layer of the socket may change the event to any spelling.
   */
  #listenersOf(event: string, message: Message): readonly Listener[] {
    if (isReserved(event)) return [];
    const isSettled = event !== message.type || this.listeners.nameOf(event) === event;
    return isSettled ? this.listeners.take(event) : [];
  }

  #finish(failures: readonly unknown[], answer: Acknowledgement | undefined, isDone: boolean): void {
    const { runtime, owner, state } = this;
    this.report(failures.slice(1), 'message');
    if (failures.length > 0) return this.#fail(failures[0], answer);
    if (!answer || answer.isGiven) return;
    // A listener without a promise may still acknowledge later, from a callback.
    if (isDone || state !== 'connected') return answer.give();
    this.#pending ??= new PendingAcknowledgements(runtime.acknowledgements, owner);
    this.#pending.add(answer, (expire) => runtime.context.after(runtime.settings.ackTimeout, expire));
  }

  /** @throws the error, so that the kernel replies with it, unless the event is acknowledged already */
  #fail(error: unknown, answer: Acknowledgement | undefined): void {
    this.raise('error', error);
    if (answer?.isGiven) return this.report([error], 'message');
    answer?.fail();
    throw error;
  }
}
