import {
  canonical, describe, isBinary, isRecord, isThenable, ModuleError, UndoList,
  type Connection, type FindRoute, type Handler, type HandlerOptions, type Message, type MessageLayer, type Outgoing,
  type PluginContext, type PublishOptions, type Quota, type Route,
} from '../../src/index.ts';
import type { RouterRoute } from './event-router.ts';
import type { AdmissionCheck, Handshake, Namespace, NamespaceEvents, NamespaceOptions } from './namespace-contracts.ts';
import { AdmissionRun, NamespaceRequirements } from './namespace-requirements.ts';
import { NamespaceHandlers, type NamespaceRoute } from './namespace-handlers.ts';
import { checkFunction, checkName, checkOptions } from './namespace-options.ts';
import { NamespaceRooms } from './namespace-rooms.ts';

/** The parts of a server that its open namespaces use. */
export interface NamespaceServer {
  readonly context: PluginContext;
  /** Time limit in milliseconds for admission checks, and again for the listeners of `connect`. */
  readonly admitTimeout: number;
  /** Counts the rooms of all namespaces. */
  readonly rooms: Quota;
  /** Finds the event router's route of a type. */
  route(namespace: string, type: string): RouterRoute | undefined;
  joined(namespace: LocalNamespace, connection: Connection): void;
  left(namespace: LocalNamespace, connection: Connection, reason: string): void;
}

/** A namespace on this node. Members that are not in `Namespace` are internal to the plugin. */
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
  readonly #requirements: NamespaceRequirements;
  readonly #rooms: NamespaceRooms;
  /** Connections that are entering, by id. */
  readonly #entering = new Map<string, Promise<void>>();
  #server: NamespaceServer | undefined;

  // Routes are cached, not created per message. They are raw: the namespace escapes after its own layers.
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
    this.#requirements = new NamespaceRequirements(name, checked);
    this.#rooms = new NamespaceRooms(name, maxRooms);
    this.#handlers = new NamespaceHandlers(name, (value) => this.#server?.context.escape(value) ?? value);
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
    return this.#server?.context.node.publish(topic, this.#stamp(message), options) ?? 0;
  }

  #stamp(message: Outgoing): Outgoing {
    const { toJSON } = message;
    const plain = typeof toJSON === 'function' ? (toJSON as () => Outgoing).call(message) : message;
    return { ...plain, namespace: this.name };
  }

  // Members and rooms

  join(connection: Connection, room: string): void {
    const server = this.#server;
    if (!server || !this.connections.has(connection.id)) throw this.#notJoined();
    this.#rooms.join(server.context.node, server.rooms, connection, room);
  }

  leave(connection: Connection, room: string): void {
    if (this.#server) this.#rooms.leave(this.#server.context.node, this.#server.rooms, connection, room);
  }

  roomsOf(connection: Connection): ReadonlySet<string> { return this.#rooms.of(connection); }

  disconnect(connection: Connection, reason = 'disconnected'): void {
    const server = this.#server;
    if (server && this.remove(connection, reason)) connection.send(this.#disconnectedMessage(server, reason));
  }

  /** Removes a connection without notifying it. `false`: it was not in the namespace. */
  remove(connection: Connection, reason: string): boolean {
    const server = this.#server;
    if (!server || !this.connections.delete(connection.id)) return false;
    this.#rooms.leaveAll(server.context.node, server.rooms, connection);
    server.context.node.unsubscribe(connection, this.#topic);
    this.#requirements.release(connection);
    server.left(this, connection, reason);
    for (const listener of this.#listeners.disconnect) {
      void this.#callListener(server, connection, () => listener(connection, reason));
    }
    return true;
  }

  /** Removes a connection if it no longer meets the requirements. */
  recheck(connection: Connection): void {
    try {
      this.#requirements.require(connection);
    } catch (error) {
      this.disconnect(connection, (error as ModuleError).code);
    }
  }

  // Opening and closing

  /** @throws DUPLICATE when the namespace is open on another server */
  open(server: NamespaceServer): void {
    const { name } = this;
    if (this.#server) throw new ModuleError('DUPLICATE', { kind: 'namespace', name, owner: 'another manager' });
    this.#server = server;
  }

  /** Removes all connections. */
  close(): void {
    for (const connection of [...this.connections.values()]) this.disconnect(connection, 'deleted');
    this.#server = undefined;
  }

  // Messages in

  /** Finds the route of a message for this namespace. Its type is the registered one. */
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

  /** Converts the event router's route of a type to a route of the kernel. */
  #routed(type: string): Route | undefined {
    const found = this.#server?.route(this.name, type);
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
    // The connection may have begun to enter while layers of the manager ran.
    const entering = this.#entering.get(connection.id);
    if (entering) return entering.then(() => this.#receive(message, connection));
    if (!this.#server || !this.connections.has(connection.id)) throw this.#notJoined();
    this.#requirements.chargeMessage(connection);
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
    const server = this.#server;
    if (!server || !this.remove(connection, 'left')) throw this.#notJoined();
    return this.#disconnectedMessage(server, 'left');
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
    const server = this.#server;
    const { name: namespace } = this;
    if (!server) throw this.#unknown();
    if (this.connections.has(connection.id)) throw new ModuleError('NAMESPACE_ALREADY_JOINED', { namespace });
    this.#requirements.chargeEntry(connection);
    this.#requirements.require(connection);
    this.#requirements.reserve(connection);
    // Never null or undefined, so that checks can destructure it.
    const credentials: unknown = message.payload ?? {};
    const headers = connection.metadata.headers ?? {};
    const handshake: Handshake = { credentials, headers, address: connection.ip, issued: Date.now() };
    const report = (error: unknown): void => server.context.report(error, { phase: 'listener', connection });
    const admission = new AdmissionRun(connection, report);
    const refuse = (): void => {
      this.#requirements.release(connection);
      admission.undo();
    };
    try {
      if (this.#checks.size > 0) await this.#withTimeout(server, admission.run(this.#checks, handshake));
      // State may have changed during the await; check it again.
      if (this.#server !== server) throw this.#unknown();
      this.#requirements.require(connection);
    } catch (error) {
      refuse();
      throw error;
    }
    // After HANDLER_TIMEOUT, the client would not know that it has entered.
    const isGone = !connection.isOpen || !server.context.node.connections.has(connection.id);
    if (message.isAnswered || isGone) return refuse();
    this.#accept(server, message, connection);
    if (this.#listeners.connect.size === 0) return;
    const told = [...this.#listeners.connect]
      .map((listener) => this.#callListener(server, connection, () => listener(connection, handshake)));
    await this.#withTimeout(server, Promise.all(told)).catch(report);
  }

  #accept(server: NamespaceServer, message: Message, connection: Connection): void {
    this.connections.set(connection.id, connection);
    server.context.node.subscribe(connection, this.#topic);
    // Sent before anything that listeners of `connect` send.
    const features = this.features.length > 0 ? { features: this.features } : {};
    connection.send(this.#stamp({
      type: server.context.named('connected'),
      content: { namespace: this.name, connectionId: connection.id, ...features },
      ...(message.id === undefined ? {} : { replyTo: message.id }),
    }));
    // The kernel must send no acknowledgement as well, and no timeout error if the listeners take too long.
    message.ack = false;
    message.isAnswered = true;
    server.joined(this, connection);
  }

  /** @throws NAMESPACE_TIMEOUT */
  #withTimeout<T>({ context, admitTimeout }: NamespaceServer, work: Promise<T>): Promise<T> {
    return context.within(admitTimeout, work, () => {
      throw new ModuleError('NAMESPACE_TIMEOUT', { namespace: this.name });
    });
  }

  async #callListener({ context }: NamespaceServer, connection: Connection, listener: () => unknown): Promise<void> {
    try {
      await listener();
    } catch (error) {
      context.report(error, { phase: 'listener', connection });
    }
  }

  #disconnectedMessage({ context }: NamespaceServer, reason: string): Outgoing {
    return this.#stamp({ type: context.named('disconnected'), content: { namespace: this.name, reason } });
  }

  #notJoined(): ModuleError { return new ModuleError('NAMESPACE_NOT_JOINED', { namespace: this.name }); }

  #unknown(): ModuleError { return new ModuleError('NAMESPACE_UNKNOWN', { namespace: this.name }); }
}
