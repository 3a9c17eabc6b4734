import {
  canonical, describe, isBinary, isRecord, isThenable, ModuleError, UndoList,
  type Connection, type FindRoute, type Handler, type HandlerOptions, type Message, type MessageLayer, type Outgoing,
  type PluginContext, type PublishOptions, type Quota, type Route,
} from '../../src/index.ts';
import type { RouterRoute } from './event-router.ts';
import type { AdmissionCheck, Handshake, Namespace, NamespaceEvents, NamespaceOptions } from './namespace-contracts.ts';
import { AdmissionRun, NamespaceGate } from './namespace-gate.ts';
import { NamespaceHandlers, type NamespaceRoute } from './namespace-handlers.ts';
import { checkFunction, checkName, checkOptions } from './namespace-options.ts';
import { NamespaceRooms } from './namespace-rooms.ts';

/** What a namespace needs of the server on which it is open. */
export interface NamespaceHost {
  readonly context: PluginContext;
  /** Milliseconds for the checks of a connection that enters, and then for the listeners to `connect`. */
  readonly admitTimeout: number;
  /** Counts the rooms of all namespaces. */
  readonly rooms: Quota;
  /** The event router's route of a type. */
  route(namespace: string, type: string): RouterRoute | undefined;
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
  readonly #listeners = {
    connect: new UndoList<NamespaceEvents['connect']>(),
    disconnect: new UndoList<NamespaceEvents['disconnect']>(),
  };

  readonly #handlers: NamespaceHandlers;
  readonly #gate: NamespaceGate;
  readonly #rooms: NamespaceRooms;
  /** Connections that are entering. */
  readonly #entering = new Map<string, Promise<void>>();
  #host: NamespaceHost | undefined;

  // Routes are made once and not for each message. What is not raw here is escaped behind the namespace's own layers.
  readonly #enterRoute: Route = {
    type: 'connect', raw: true, handler: (message, connection) => this.#enter(message, connection),
  };

  readonly #leaveRoute: Route = { type: 'disconnect', raw: true, handler: (_, connection) => this.#leave(connection) };
  readonly #unknownRoute: NamespaceRoute = {
    type: '*', raw: true, handler: (message, connection) => this.#receive(message, connection),
  };

  readonly #routes = new WeakMap<Route, NamespaceRoute>();
  readonly #routerRoutes = new WeakMap<RouterRoute, Route>();

  /** @throws NAMESPACE_NAME_INVALID, OPTION_INVALID, OPTION_UNKNOWN */
  constructor(name: string, options: NamespaceOptions = {}) {
    checkName(name);
    const checked = checkOptions(name, options);
    const { features = [], maxRooms = 1_000 } = checked;
    this.name = name;
    this.features = features;
    this.#topic = `ns:${name}`;
    this.#gate = new NamespaceGate(name, checked);
    this.#rooms = new NamespaceRooms(name, maxRooms);
    this.#handlers = new NamespaceHandlers(name, (value) => this.#host?.context.escape(value) ?? value);
    this.#handlers.route(({ type }) => this.#routed(type));
  }

  get rooms(): ReadonlyMap<string, ReadonlySet<Connection>> { return this.#rooms.members; }

  // Checks, layers, handlers

  admit(check: AdmissionCheck): () => void {
    checkFunction(check, 'admit(check)');
    return this.#checks.add(check);
  }

  use(layer: MessageLayer): () => void { return this.#handlers.use(layer); }

  registerHandler(type: string, handler: Handler, options?: Pick<HandlerOptions, 'raw'>): () => void {
    return this.#handlers.register(type, handler, options);
  }

  route(find: FindRoute): () => void { return this.#handlers.route(find); }

  on<E extends keyof NamespaceEvents>(event: E, listener: NamespaceEvents[E]): () => void {
    if (!Object.hasOwn(this.#listeners, event)) {
      const expected = '"connect" or "disconnect"';
      throw new ModuleError('OPTION_INVALID', { path: 'on(event)', given: describe(event), expected });
    }
    checkFunction(listener, 'on(listener)');
    return (this.#listeners[event] as UndoList<NamespaceEvents[E]>).add(listener);
  }

  // Messages out

  publish(message: Outgoing, options?: PublishOptions): number { return this.#publish(this.#topic, message, options); }

  send(connection: Connection, message: Outgoing): boolean {
    return this.connections.has(connection.id) && connection.send(this.#stamp(message));
  }

  to(room: string): { publish(message: Outgoing, options?: PublishOptions): number } {
    return { publish: (message, options) => this.#publish(this.#rooms.topic(room), message, options) };
  }

  #publish(topic: string, message: Outgoing, options?: PublishOptions): number {
    return this.#host?.context.node.publish(topic, this.#stamp(message), options) ?? 0;
  }

  #stamp(message: Outgoing): Outgoing {
    const { toJSON } = message;
    const plain = typeof toJSON === 'function' ? (toJSON as () => Outgoing).call(message) : message;
    return { ...plain, namespace: this.name };
  }

  // Members and rooms

  join(connection: Connection, room: string): void {
    const host = this.#host;
    if (!host || !this.connections.has(connection.id)) throw this.#notJoined();
    this.#rooms.join(host.context.node, host.rooms, connection, room);
  }

  leave(connection: Connection, room: string): void {
    if (this.#host) this.#rooms.leave(this.#host.context.node, this.#host.rooms, connection, room);
  }

  roomsOf(connection: Connection): ReadonlySet<string> { return this.#rooms.of(connection); }

  disconnect(connection: Connection, reason = 'disconnected'): void {
    const host = this.#host;
    if (host && this.remove(connection, reason)) connection.send(this.#farewell(host, reason));
  }

  /** Puts a connection out and does not tell it. `false`: it was not in. */
  remove(connection: Connection, reason: string): boolean {
    const host = this.#host;
    if (!host || !this.connections.delete(connection.id)) return false;
    this.#rooms.leaveAll(host.context.node, host.rooms, connection);
    host.context.node.unsubscribe(connection, this.#topic);
    this.#gate.release(connection);
    host.left(this, connection, reason);
    for (const listener of this.#listeners.disconnect) {
      void this.#tell(host, connection, () => listener(connection, reason));
    }
    return true;
  }

  /** Puts a connection out that no longer meets the requirements. */
  review(connection: Connection): void {
    try {
      this.#gate.require(connection);
    } catch (error) {
      this.disconnect(connection, (error as ModuleError).code);
    }
  }

  // Opening and closing

  /** @throws DUPLICATE when it is open on a server already */
  open(host: NamespaceHost): void {
    const { name } = this;
    if (this.#host) throw new ModuleError('DUPLICATE', { kind: 'namespace', name, owner: 'another manager' });
    this.#host = host;
  }

  /** Puts all connections out. */
  close(): void {
    for (const connection of [...this.connections.values()]) this.disconnect(connection, 'deleted');
    this.#host = undefined;
  }

  // Messages in

  /** What handles a message for this namespace, with the type under which it is registered here. */
  find(message: Message, connection: Connection): Route {
    const entering = this.#entering.get(connection.id);
    if (entering) return { ...this.#unknownRoute, until: entering };
    const type = canonical(message.type);
    if (type === 'connect') return this.#enterRoute;
    if (type === 'disconnect') return this.#leaveRoute;
    const inner = this.#handlers.find(message, connection);
    if (!inner) return this.#unknownRoute;
    if (inner.until) return { ...this.#unknownRoute, until: inner.until };
    let route = this.#routes.get(inner);
    if (!route) this.#routes.set(inner, (route = { ...this.#unknownRoute, type: inner.type, inner }));
    return route;
  }

  /** The event router's route of a type. */
  #routed(type: string): Route | undefined {
    const found = this.#host?.route(this.name, type);
    if (!found) return undefined;
    let route = this.#routerRoutes.get(found);
    if (!route) {
      const { escape } = this.#handlers;
      const handler: Handler = (message, connection) => found.run(message, connection, escape);
      this.#routerRoutes.set(found, (route = { type: found.type, raw: true, handler }));
    }
    return route;
  }

  /** @throws NAMESPACE_NOT_JOINED, RATE_LIMITED, and what layers and handlers throw */
  #receive(message: Message, connection: Connection): unknown {
    // Layers of the manager may have been asynchronous, and the connection may have begun to enter meanwhile.
    const entering = this.#entering.get(connection.id);
    if (entering) return entering.then(() => this.#receive(message, connection));
    if (!this.#host || !this.connections.has(connection.id)) throw this.#notJoined();
    this.#gate.chargeMessage(connection);
    const result = this.#handlers.run(message, connection);
    return isThenable(result) ? result.then((value) => this.#reply(message, value)) : this.#reply(message, result);
  }

  #reply(message: Message, result: unknown): unknown {
    if (isBinary(result) || (result === undefined && !message.ack)) return result;
    if (result === undefined) return this.#stamp({ type: 'ack' });
    const isMessage = isRecord(result) && typeof result.type === 'string';
    return this.#stamp(isMessage ? (result as Outgoing) : { type: message.typeAsSent, content: result });
  }

  #leave(connection: Connection): unknown {
    const entering = this.#entering.get(connection.id);
    if (entering) return entering.then(() => this.#leave(connection));
    const host = this.#host;
    if (!host || !this.remove(connection, 'left')) throw this.#notJoined();
    return this.#farewell(host, 'left');
  }

  #enter(message: Message, connection: Connection): Promise<void> {
    const entering = this.#entering.get(connection.id);
    if (entering) return entering.then(() => this.#enter(message, connection));
    const entered = this.#admit(message, connection).finally(() => this.#entering.delete(connection.id));
    const settled = (): void => undefined;
    this.#entering.set(connection.id, entered.then(settled, settled));
    return entered;
  }

  async #admit(message: Message, connection: Connection): Promise<void> {
    const host = this.#host;
    const { name: namespace } = this;
    if (!host) throw this.#unknown();
    if (this.connections.has(connection.id)) throw new ModuleError('NAMESPACE_ALREADY_JOINED', { namespace });
    this.#gate.chargeEntry(connection);
    this.#gate.require(connection);
    this.#gate.reserve(connection);
    // Never null, so that a check can destructure them whatever the client left out.
    const credentials: unknown = message.payload ?? {};
    const headers = connection.metadata.headers ?? {};
    const handshake: Handshake = { credentials, headers, address: connection.ip, issued: Date.now() };
    const report = (error: unknown): void => host.context.report(error, { phase: 'listener', connection });
    const run = new AdmissionRun(connection, report);
    const refuse = (): void => {
      this.#gate.release(connection);
      run.withdraw();
    };
    try {
      if (this.#checks.size > 0) await this.#inTime(host, run.ask(this.#checks, handshake));
      // During the await the namespace may have been deleted, or the user may have lost a role.
      if (this.#host !== host) throw this.#unknown();
      this.#gate.require(connection);
    } catch (error) {
      refuse();
      throw error;
    }
    // A client that was told that it took too long does not know that it is in.
    if (message.isAnswered || !connection.isOpen || !host.context.node.connections.has(connection.id)) return refuse();
    this.#welcome(host, message, connection);
    if (this.#listeners.connect.size === 0) return;
    const told = [...this.#listeners.connect]
      .map((listener) => this.#tell(host, connection, () => listener(connection, handshake)));
    await this.#inTime(host, Promise.all(told)).catch(report);
  }

  #welcome(host: NamespaceHost, message: Message, connection: Connection): void {
    this.connections.set(connection.id, connection);
    host.context.node.subscribe(connection, this.#topic);
    // Before anything that the listeners send.
    const features = this.features.length > 0 ? { features: this.features } : {};
    connection.send(this.#stamp({
      type: host.context.named('connected'),
      content: { namespace: this.name, connectionId: connection.id, ...features },
      ...(message.id === undefined ? {} : { replyTo: message.id }),
    }));
    // The kernel sends neither an acknowledgement beside it, nor an error when the listeners take too long.
    message.ack = false;
    message.isAnswered = true;
    host.joined(this, connection);
  }

  /** @throws NAMESPACE_TIMEOUT */
  #inTime<T>({ context, admitTimeout }: NamespaceHost, work: Promise<T>): Promise<T> {
    return context.within(admitTimeout, work, () => {
      throw new ModuleError('NAMESPACE_TIMEOUT', { namespace: this.name });
    });
  }

  async #tell({ context }: NamespaceHost, connection: Connection, listener: () => unknown): Promise<void> {
    try {
      await listener();
    } catch (error) {
      context.report(error, { phase: 'listener', connection });
    }
  }

  #farewell({ context }: NamespaceHost, reason: string): Outgoing {
    return this.#stamp({ type: context.named('disconnected'), content: { namespace: this.name, reason } });
  }

  #notJoined(): ModuleError { return new ModuleError('NAMESPACE_NOT_JOINED', { namespace: this.name }); }

  #unknown(): ModuleError { return new ModuleError('NAMESPACE_UNKNOWN', { namespace: this.name }); }
}
