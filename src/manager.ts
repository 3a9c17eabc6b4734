import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import {
  EVERYONE, userTopic, type Builtins, type Connection, type Connections, type Handler, type Hooks, type LogLevel,
  type User,
} from './contracts.ts';
import type { Health, Measure, Metrics, PluginApis, PublishOptions, RequestOptions, Usable } from './contracts.ts';
import { ModuleError } from './errors.ts';
import { Kernel } from './kernel.ts';
import { APPLICATION } from './messages/topic-table.ts';
import type { Labelled } from './runtime/scope.ts';
import { levels } from './runtime/log.ts';
import { describe, resolveOptions, type AnyServer, type Options, type Settings } from './runtime/options.ts';
import { closeCodes, type Message, type Outgoing } from './protocol.ts';

/** What users hold. Made by `WebSocketModule.create()`. */
export class WebSocketManager {
  readonly #kernel: Kernel;
  readonly #server: AnyServer;
  #starting: Promise<void> | undefined;
  #stopping: Promise<void> | undefined;

  constructor(options: Options, builtins: Builtins = {}) {
    const settings = resolveOptions(options);
    this.#server = settings.server ?? ownServer(settings);
    this.#kernel = new Kernel(settings, this.#server, builtins, this);
    // Around the others: a plugin such as `namespaces`, which hands messages on by itself, shows them to no layer that
    // comes after it.
    this.use([...settings.middleware, ...settings.handlers, ...settings.plugins]);
  }

  /** This node's id, which its connections' ids carry. */
  get nodeId(): string { return this.#kernel.core.id; }

  // What it is made of

  /**
   * Adds a layer, a plugin, a built-in by its name with its options, or a list of them. Chainable; ready() tells when
   * all of it is in place.
   */
  use(item: Usable | readonly Usable[], options?: object): this {
    this.#assertRunning();
    this.#kernel.plugins.use(item, options);
    return this;
  }

  /** Takes away what use() added. @throws PLUGIN_UNKNOWN, PLUGIN_IN_USE, PLUGIN_UNLOAD_FAILED */
  unload(name: string): Promise<void> { return this.#kernel.plugins.unload(name); }

  /**
   * Handles messages of a type; what the handler returns is the reply. Returns the undo.
   * @throws DUPLICATE, HANDLER_INVALID
   */
  registerHandler<C = any>(type: string, handler: Handler<C>): () => void {
    if (typeof type !== 'string' || type === '') {
      throw new ModuleError(
        'HANDLER_INVALID',
        { type, given: describe(handler) },
        { message: `a message type must be a text, but is ${describe(type)}` },
      );
    }
    if (typeof handler !== 'function') throw new ModuleError('HANDLER_INVALID', { type, given: describe(handler) });
    return this.#kernel.dispatcher.handlers.add(type, handler as Handler, APPLICATION);
  }

  /** The API of a loaded plugin. @throws PLUGIN_UNKNOWN */
  api<N extends keyof PluginApis>(name: N): PluginApis[N];
  api(name: string): unknown;
  api(name: string): unknown { return this.#kernel.plugins.api(name); }

  on<E extends keyof Hooks>(event: E, listener: Hooks[E]): this {
    this.#kernel.core.hooks.on(event, listener, APPLICATION);
    return this;
  }

  off<E extends keyof Hooks>(event: E, listener: Hooks[E]): this {
    this.#kernel.core.hooks.off(event, listener);
    return this;
  }

  // Its life

  /** Resolves when everything used is in place. @throws the first failure */
  ready(): Promise<void> { return this.#kernel.plugins.ready(); }

  /** Awaits ready(), and listens where `port` is given and the server does not yet. Calling it again is harmless. */
  start(): Promise<void> {
    return (this.#starting ??= this.#start().catch((error: unknown) => {
      this.#starting = undefined;
      throw error;
    }));
  }

  async #start(): Promise<void> {
    this.#assertRunning();
    await this.ready();
    const { port, host } = this.#kernel.core.settings;
    if (port === undefined || this.#server.listening) return;
    this.#server.listen(port, host);
    await once(this.#server, 'listening');
  }

  /**
   * Refuses who comes, lets handlers finish, tells clients to come back, takes everything down. A server it did not
   * make is left open.
   * @param options.retryWithin milliseconds over which clients are told to spread their return
   */
  stop({ retryWithin = 5_000 }: { readonly retryWithin?: number } = {}): Promise<void> {
    return (this.#stopping ??= this.#stop(retryWithin));
  }

  async #stop(retryWithin: number): Promise<void> {
    await this.#kernel.stop(retryWithin);
    const own = this.#kernel.core.settings.server ? undefined : (this.#server as Server);
    if (!own?.listening) return;
    const closed = once(own, 'close');
    own.close();
    own.closeAllConnections();
    await closed;
  }

  #assertRunning(): void { if (this.#stopping) throw new ModuleError('MANAGER_STOPPED'); }

  /** Where it listens, as `server.address()` gives it. */
  address(): ReturnType<Server['address']> { return this.#server.address(); }

  // Messages out

  /** The connections of this node, by id. */
  get connections(): Connections {
    return this.#kernel.hub.connections as ReadonlyMap<string, Connection> as Connections;
  }

  /**
   * Sends to one connection, on whichever node it is. `false`: it is not queued, and why is a `message:dropped` or an
   * `error` event.
   */
  sendToConnection(connectionId: string, message: Outgoing): boolean {
    return this.#kernel.hub.send(connectionId, message);
  }

  /** Sends to all connections of a user, on all nodes. Returns how many of them are on this one. */
  sendToUser(userId: string, message: Outgoing): number { return this.#kernel.hub.publish(userTopic(userId), message); }

  /** Sends to every connection, on all nodes. Returns how many are on this one. */
  broadcast(message: Outgoing, options?: PublishOptions): number {
    return this.#kernel.hub.publish(EVERYONE, message, options);
  }

  /** Sends to the subscribers of a topic, on all nodes. Returns how many are on this one. */
  publish(topic: string, message: Outgoing, options?: PublishOptions): number {
    return this.#kernel.hub.publish(topic, message, options);
  }

  /** @throws CONNECTION_UNKNOWN */
  subscribe(connectionId: string, topic: string): void {
    this.#kernel.hub.subscribe({ id: connectionId }, topic, APPLICATION);
  }

  unsubscribe(connectionId: string, topic: string): void {
    this.#kernel.hub.unsubscribe({ id: connectionId }, topic, APPLICATION);
  }

  /**
   * Sends a message again until the client answers it.
   * @throws CONNECTION_UNKNOWN, CONNECTION_CLOSED, REQUEST_TIMEOUT, REQUEST_ABORTED
   */
  async request(connectionId: string, message: Outgoing, options?: RequestOptions): Promise<Message> {
    return this.#kernel.hub.connection(connectionId).request(message, options);
  }

  // Users

  /**
   * Says which user a connection of this node belongs to.
   * @throws CONNECTION_UNKNOWN, USER_MISMATCH, USER_ID_RESERVED
   */
  identify(connectionId: string, user: User): void {
    this.#kernel.hub.identify({ id: connectionId }, user, APPLICATION);
  }

  /**
   * Changes what is known of a user (roles, a name, …), on all of its connections of this node. Returns how many these
   * are.
   */
  updateUser(userId: string, changes: Readonly<Record<string, unknown>>): number {
    const connections = [...this.#kernel.hub.subscribers(userTopic(userId))];
    for (const { id, user } of connections) this.identify(id, { ...user, ...changes, id: userId });
    return connections.length;
  }

  /**
   * Closes all connections of a user on this node. Returns how many these are.
   * @param code 4010 by default: the client stays away
   */
  disconnectUser(userId: string, code: number = closeCodes.kicked, reason = ''): number {
    const connections = [...this.#kernel.hub.subscribers(userTopic(userId))];
    for (const connection of connections) connection.close(code, reason);
    return connections.length;
  }

  /** Resolves when nothing waits to be written to a connection, to a topic's subscribers, or to anybody. */
  drained(target?: string): Promise<void> { return this.#kernel.hub.drained(target); }

  // What it knows of itself

  getHealth(): Health { return this.#kernel.core.statistics.health(this.#kernel.acceptor.isClosed); }

  getMetrics(): Metrics { return this.#kernel.core.statistics.metrics(); }

  /** Every figure there is, the kernel's and the plugins', with type and help, as Prometheus wants them. */
  getMeasures(): ReadonlyMap<string, Measure> { return this.#kernel.core.statistics.measures(); }

  setLogLevel(level: LogLevel): void {
    if (!levels.includes(level)) {
      throw new ModuleError('OPTION_INVALID', {
        path: 'logLevel',
        given: describe(level),
        expected: `one of ${levels.join(', ')}`,
      });
    }
    this.#kernel.core.log.setLevel(level);
  }

  /**
   * How much of everything there is, for tests and for debugging: loading and unloading a plugin leaves it as it was.
   * With `detail`, a list
   * of what was added, with its owner.
   */
  inspect(): Readonly<Record<string, number>>;
  inspect(options: { readonly detail: true }): readonly Labelled[];
  inspect({ detail = false }: { readonly detail?: boolean } = {}):
    Readonly<Record<string, number>> | readonly Labelled[] {
    if (detail) return this.#kernel.inventory();
    const { acceptor, core: { clock, hooks, statistics }, decorations, dispatcher, hub, plugins } = this.#kernel;
    return {
      plugins: plugins.names.length,
      handlers: dispatcher.handlers.size,
      errorMaps: dispatcher.errorMaps.size,
      listeners: hooks.size,
      decorations,
      frameGuards: dispatcher.guards.size,
      transportSettings: hub.transport.settings.size,
      messageLayers: dispatcher.layers.size,
      sendLayers: hub.sendLayers.size,
      upgradeLayers: acceptor.upgradeLayers.size,
      connectionLayers: acceptor.connectionLayers.size,
      checks: statistics.board.size,
      collectors: statistics.collectors.size,
      topics: hub.topics.size,
      deadlines: clock.size - dispatcher.deadlines - acceptor.deadlines,
      inFlight: dispatcher.inFlight,
      pendingUpgrades: acceptor.pending,
      waitingBytes: dispatcher.inboxes.bytes,
    };
  }
}

/** Makes managers. */
export const WebSocketModule = Object.freeze({
  /**
   * A manager inside an existing http, https or Express server, or with a `port` of its own.
   * @param builtins the loaders behind the names that use() and the options take; the package's door passes its table
   * @throws OPTION_INVALID, OPTION_UNKNOWN
   * @example const manager = WebSocketModule.create({ server });
   */
  create: (options: Options, builtins: Builtins = {}): WebSocketManager => new WebSocketManager(options, builtins),
});

/** The server of a manager that was given none. */
function ownServer({ path, handshakeTimeout }: Settings): Server {
  // Node looks for connections that dawdle with their request every half minute; a handshake's deadline is to be kept
  // to the half second.
  const timing = {
    headersTimeout: handshakeTimeout,
    requestTimeout: handshakeTimeout,
    connectionsCheckingInterval: Math.min(500, handshakeTimeout),
  };
  return createServer(timing, (request, response) => {
    const isEndpoint = request.url?.split(/[?#]/, 1)[0] === path;
    response.writeHead(isEndpoint ? 426 : 404, {
      'content-type': 'text/plain; charset=utf-8',
      ...(isEndpoint ? { upgrade: 'websocket' } : {}),
    });
    response.end(isEndpoint ? 'This is a WebSocket endpoint.\n' : 'Not found.\n');
  });
}
