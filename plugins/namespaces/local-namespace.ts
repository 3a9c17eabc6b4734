import {
  canonical, describe, isRecord, isThenable, ModuleError, UndoList,
  type Connection, type Escape, type Handler, type Message, type MessageLayer, type Node, type Outgoing, type PublishOptions,
} from '../../src/index.ts';
import { Admission } from './admission.ts';
import type { AdmissionCheck, Handshake, Namespace, NamespaceEvents, NamespaceOptions } from './contracts.ts';
import { Gate } from './gate.ts';
import { Meter } from './meter.ts';
import { checkName, checkOptions } from './namespace-options.ts';
import { payload } from './payload.ts';
import { Pipeline } from './pipeline.ts';
import { refusals } from './refusals.ts';
import { Rooms } from './rooms.ts';

/** What a namespace needs of the server that it is open on. */
export interface Host {
  readonly node: Node;
  named(type: string): string;
  readonly escape: Escape;
  /** What the work gives, unless it takes too long. @throws NAMESPACE_TIMEOUT */
  within<T>(work: Promise<T>, namespace: string, connection: Connection): Promise<T>;
  /** Tells of a listener's failure. */
  report(error: unknown, connection: Connection): void;
  /** The handler of a type that has none in the namespace itself. */
  route(namespace: string, type: string): Handler | undefined;
  joined(namespace: LocalNamespace, connection: Connection): void;
  left(namespace: LocalNamespace, connection: Connection, reason: string): void;
}

/** A namespace on this node. What is not in the contract `Namespace` is the plugin's own. */
export class LocalNamespace implements Namespace {
  readonly name: string;
  readonly features: readonly string[];
  readonly connections = new Map<string, Connection>();
  readonly #topic: string;
  readonly #checks = new UndoList<AdmissionCheck>();
  readonly #listeners = { connect: new UndoList<NamespaceEvents['connect']>(), disconnect: new UndoList<NamespaceEvents['disconnect']>() };
  readonly #pipeline: Pipeline;
  readonly #gate: Gate;
  readonly #rooms: Rooms;
  readonly #messages: Meter | undefined;
  readonly #attempts: Meter | undefined;
  /** Connections that are being let in. */
  readonly #entering = new Map<string, Promise<void>>();
  #host: Host | undefined;

  /** @throws NAMESPACE_NAME_INVALID, OPTION_INVALID, OPTION_UNKNOWN */
  constructor(name: string, options: NamespaceOptions = {}) {
    checkName(name);
    const checked = checkOptions(name, options);
    const { rateLimit: { messagesPerMinute } = {}, features = [], maxRooms = 1_000 } = checked;
    this.name = name;
    this.features = features;
    this.#topic = `ns:${name}`;
    this.#pipeline = new Pipeline(name, (type) => this.#host?.route(name, type), (value) => this.#host?.escape(value) ?? value);
    this.#gate = new Gate(checked);
    this.#rooms = new Rooms(name, maxRooms);
    // Apart, so that who has entered may send as many as is said.
    this.#messages = messagesPerMinute === undefined ? undefined : new Meter(messagesPerMinute);
    this.#attempts = messagesPerMinute === undefined ? undefined : new Meter(messagesPerMinute);
  }

  get rooms(): ReadonlyMap<string, ReadonlySet<Connection>> { return this.#rooms.members; }

  // What it is made of

  admit(check: AdmissionCheck): () => void {
    assertCallable(check, 'admit(check)');
    return this.#checks.add(check);
  }

  use(layer: MessageLayer): () => void { return this.#pipeline.use(layer); }

  registerHandler(type: string, handler: Handler): () => void { return this.#pipeline.registerHandler(type, handler); }

  on<E extends keyof NamespaceEvents>(event: E, listener: NamespaceEvents[E]): () => void {
    if (!Object.hasOwn(this.#listeners, event)) throw new ModuleError('OPTION_INVALID', { path: 'on(event)', given: describe(event), expected: '"connect" or "disconnect"' });
    assertCallable(listener, 'on(listener)');
    return (this.#listeners[event] as UndoList<NamespaceEvents[E]>).add(listener);
  }

  // Messages out

  publish(message: Outgoing, options?: PublishOptions): number { return this.#publish(this.#topic, message, options); }

  send(connection: Connection, message: Outgoing): boolean { return this.connections.has(connection.id) && connection.send(this.#stamp(message)); }

  to(room: string): { publish(message: Outgoing, options?: PublishOptions): number } {
    return { publish: (message, options) => this.#publish(this.#rooms.topic(room), message, options) };
  }

  #publish(topic: string, message: Outgoing, options?: PublishOptions): number { return this.#host?.node.publish(topic, this.#stamp(message), options) ?? 0; }

  #stamp(message: Outgoing): Outgoing {
    const { toJSON } = message;
    return { ...(typeof toJSON === 'function' ? (toJSON as () => Outgoing).call(message) : message), namespace: this.name };
  }

  // Its members

  join(connection: Connection, room: string): void {
    if (!this.#host || !this.connections.has(connection.id)) throw refusals.notJoined(this.name);
    this.#rooms.join(this.#host.node, connection, room);
  }

  leave(connection: Connection, room: string): void { if (this.#host) this.#rooms.leave(this.#host.node, connection, room); }

  roomsOf(connection: Connection): ReadonlySet<string> { return this.#rooms.of(connection); }

  disconnect(connection: Connection, reason = 'disconnected'): void {
    const host = this.#host;
    if (host && this.remove(connection, reason)) connection.send(this.#parting(host, reason));
  }

  /** Puts a connection out without a word. `false`: it was not in. */
  remove(connection: Connection, reason: string): boolean {
    const host = this.#host;
    if (!host || !this.connections.delete(connection.id)) return false;
    this.#rooms.leaveAll(host.node, connection);
    host.node.unsubscribe(connection, this.#topic);
    this.#gate.release(connection);
    host.left(this, connection, reason);
    for (const listener of this.#listeners.disconnect) void this.#tell(host, connection, () => listener(connection, reason));
    return true;
  }

  /** Puts a connection out that may no longer be in. */
  review(connection: Connection): void {
    try {
      this.#gate.require(connection);
    } catch (error) {
      this.disconnect(connection, (error as ModuleError).code);
    }
  }

  // Its life

  /** @throws DUPLICATE where it is open on a server already */
  open(host: Host): void {
    if (this.#host) throw new ModuleError('DUPLICATE', { kind: 'namespace', name: this.name, owner: 'another manager' });
    this.#host = host;
  }

  /** Puts everybody out. */
  close(): void {
    for (const connection of [...this.connections.values()]) this.disconnect(connection, 'deleted');
    this.#host = undefined;
  }

  // Messages in

  /** A message for this namespace. Gives the reply. @throws NAMESPACE_NOT_JOINED, NAMESPACE_ALREADY_JOINED, RATE_LIMITED, and whatever refuses it */
  receive(message: Message, connection: Connection): unknown {
    // Where the messages of a connection are handled side by side, those for this namespace wait until it is in.
    const entering = this.#entering.get(connection.id);
    if (entering) return entering.then(() => this.receive(message, connection));
    const type = canonical(message.type);
    if (type === 'connect') return this.#enter(message, connection);
    if (!this.#host || !this.connections.has(connection.id)) throw refusals.notJoined(this.name);
    if (type === 'disconnect') {
      const host = this.#host;
      this.remove(connection, 'left');
      return this.#parting(host, 'left');
    }
    this.#messages?.take(connection, `namespace ${this.name}`);
    const result = this.#pipeline.run(message, connection);
    return isThenable(result) ? result.then((value) => this.#reply(message, value)) : this.#reply(message, result);
  }

  #reply(message: Message, result: unknown): unknown {
    if (result instanceof Uint8Array || (result === undefined && !message.ack)) return result;
    if (result === undefined) return this.#stamp({ type: 'ack' });
    return this.#stamp(isRecord(result) && typeof result.type === 'string' ? (result as Outgoing) : { type: message.type, content: result });
  }

  #enter(message: Message, connection: Connection): Promise<void> {
    const entered = this.#admit(message, connection).finally(() => this.#entering.delete(connection.id));
    const settled = (): void => undefined;
    this.#entering.set(connection.id, entered.then(settled, settled));
    return entered;
  }

  async #admit(message: Message, connection: Connection): Promise<void> {
    const host = this.#host;
    if (!host) throw refusals.unknown(this.name);
    if (this.connections.has(connection.id)) throw refusals.alreadyJoined(this.name);
    this.#attempts?.take(connection, `entering ${this.name}`);
    this.#gate.require(connection);
    this.#gate.reserve(connection);
    // Never null: a check that takes them apart is not to fail over what a client left out.
    const credentials = payload(message) ?? {};
    const handshake: Handshake = { credentials, headers: connection.metadata.headers ?? {}, address: connection.ip, issued: Date.now() };
    const admission = new Admission(connection, (error) => host.report(error, connection));
    const refuse = (): void => {
      this.#gate.release(connection);
      admission.withdraw();
    };
    try {
      if (this.#checks.size > 0) await host.within(admission.ask(this.#checks, handshake), this.name, connection);
      // Meanwhile it may have been deleted, or the user have lost a role.
      if (this.#host !== host) throw refusals.unknown(this.name);
      this.#gate.require(connection);
    } catch (error) {
      refuse();
      throw error;
    }
    // Gone, it has nobody to tell; told that it took too long, it does not know that it is in.
    if (message.isAnswered || !connection.isOpen || !host.node.connections.has(connection.id)) return refuse();
    this.connections.set(connection.id, connection);
    host.node.subscribe(connection, this.#topic);
    // Before whatever the listeners send.
    connection.send(this.#stamp({
      type: host.named('connected'),
      content: { namespace: this.name, connectionId: connection.id, ...(this.features.length > 0 ? { features: this.features } : {}) },
      ...(message.id === undefined ? {} : { replyTo: message.id }),
    }));
    // The kernel owes neither an acknowledgement beside it, nor an error where the listeners take too long.
    message.ack = false;
    message.isAnswered = true;
    host.joined(this, connection);
    if (this.#listeners.connect.size === 0) return;
    const told = [...this.#listeners.connect].map((listener) => this.#tell(host, connection, () => listener(connection, handshake)));
    await host.within(Promise.all(told), this.name, connection).catch((error: unknown) => host.report(error, connection));
  }

  async #tell(host: Host, connection: Connection, listener: () => unknown): Promise<void> {
    try {
      await listener();
    } catch (error) {
      host.report(error, connection);
    }
  }

  #parting(host: Host, reason: string): Outgoing { return this.#stamp({ type: host.named('disconnected'), content: { namespace: this.name, reason } }); }
}

function assertCallable(value: unknown, path: string): void {
  if (typeof value !== 'function') throw new ModuleError('OPTION_INVALID', { path, given: describe(value), expected: 'a function' });
}
