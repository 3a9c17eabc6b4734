import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import {
  EVERYONE, userTopic, type Adapter, type Builtins, type Connection, type Connections, type Handler, type Hooks,
  type LogLevel, type User,
} from './contracts.ts';
import type { Health, Metric, Metrics, PluginApis, PublishOptions, RequestOptions, Usable } from './contracts.ts';
import { ModuleError, toError } from './errors.ts';
import { Kernel } from './kernel.ts';
import { APPLICATION } from './messages/topic-table.ts';
import type { BuiltinMembers } from './plugins/absent-members.ts';
import { check, rules, type Rules } from './runtime/check.ts';
import type { Labelled } from './runtime/scope.ts';
import { levels } from './runtime/log.ts';
import { describe, resolveOptions, type AnyServer, type Options, type Settings } from './runtime/options.ts';
import { closeCodes, type Message, type Outgoing } from './protocol.ts';

export interface StopOptions {
  /** Each client is told to reconnect at a random time within so many milliseconds. @default 5_000 */
  readonly retryWithin?: number | undefined;
}
const STOP_RULES: Rules<StopOptions> = { retryWithin: rules.integer(0, 2 ** 31 - 1) };

/** The public API of one server. Created by `WebSocketModule.create()`. */
export class WebSocketManager {
  readonly #kernel: Kernel;
  readonly #server: AnyServer;
  #starting: Promise<void> | undefined;
  #stopping: Promise<void> | undefined;

  constructor(
    options: Options,
    builtins: Builtins = {},
    handlers?: readonly string[],
    members: BuiltinMembers = {},
  ) {
    const settings = resolveOptions(options, handlers);
    this.#server = settings.server ?? createOwnServer(settings);
    this.#kernel = new Kernel(settings, this.#server, this, builtins, members);
    // Layers first: they run around all handlers and plugins.
    this.use([...settings.middleware, ...settings.handlers, ...settings.plugins]);
  }

  /** The id of this node. The ids of its connections begin with it. */
  get nodeId(): string { return this.#kernel.core.id; }

  // Plugins, layers, handlers

  /**
   * Adds a layer, a plugin, a built-in by its name with its options, or a list of them. Chainable. ready() resolves
   * when all of it is loaded.
   */
  use(item: Usable | readonly Usable[], options?: object): this {
    this.#assertRunning();
    this.#kernel.plugins.use(item, options);
    return this;
  }

  /** Unloads what use() added. @throws PLUGIN_UNKNOWN, PLUGIN_IN_USE, PLUGIN_UNLOAD_FAILED */
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
        { message: `a message type must be a string that is not empty, but is ${describe(type)}` },
      );
    }
    if (typeof handler !== 'function') throw new ModuleError('HANDLER_INVALID', { type, given: describe(handler) });
    return this.#kernel.dispatcher.handlers.add(type, handler as Handler, APPLICATION);
  }

  /**
   * Connects this node to others while it runs, if `create()` was given no adapter. Resolves when messages of other
   * nodes arrive here. The adapter's store is not used: plugins share state only with the option `adapter`.
   * @throws OPTION_INVALID, MANAGER_STOPPED, DUPLICATE if there is an adapter, ADAPTER_FAILED. After an error, this
   * node is alone as before
   */
  useAdapter(adapter: Adapter): Promise<void> { return this.#kernel.hub.useAdapter(adapter); }

  /** The API of a loaded plugin. @throws PLUGIN_UNKNOWN */
  api<N extends keyof PluginApis>(name: N): PluginApis[N];
  api(name: string): unknown;
  api(name: string): unknown { return this.#kernel.plugins.api(name); }

  /** Calls a listener at each event. If nothing emits the event, a warning is logged. @throws HANDLER_INVALID */
  on<E extends keyof Hooks>(event: E, listener: Hooks[E]): this {
    if (typeof listener !== 'function') {
      throw new ModuleError('HANDLER_INVALID', { type: event, given: describe(listener) });
    }
    this.#kernel.core.hooks.on(event, listener, APPLICATION);
    void this.#kernel.plugins.checkEvent(event);
    return this;
  }

  off<E extends keyof Hooks>(event: E, listener: Hooks[E]): this {
    this.#kernel.core.hooks.off(event, listener);
    return this;
  }

  // Starting and stopping

  /** Resolves when everything that use() was given is loaded. @throws the first failure */
  ready(): Promise<void> { return this.#kernel.plugins.ready(); }

  /** Awaits ready(), then listens if `port` is given and the server does not listen yet. May be called again. */
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
   * Refuses new connections, lets handlers and asynchronous listeners finish, closes the clients with a time to
   * reconnect, and unloads everything, within `drainTimeout`. It does not close a server given as an option.
   * @throws OPTION_INVALID, OPTION_UNKNOWN
   */
  stop(options: StopOptions = {}): Promise<void> {
    try {
      const { retryWithin = 5_000 } = check(options, STOP_RULES, 'stop');
      return (this.#stopping ??= this.#stop(retryWithin));
    } catch (error) {
      return Promise.reject(toError(error));
    }
  }

  async #stop(retryWithin: number): Promise<void> {
    await this.#kernel.stop(retryWithin);
    const ownServer = this.#kernel.core.settings.server ? undefined : (this.#server as Server);
    if (!ownServer?.listening) return;
    const closed = once(ownServer, 'close');
    ownServer.close();
    ownServer.closeAllConnections();
    await closed;
  }

  #assertRunning(): void { if (this.#stopping) throw new ModuleError('MANAGER_STOPPED'); }

  /** The address where the server listens, like `server.address()`. */
  address(): ReturnType<Server['address']> { return this.#server.address(); }

  // Messages out

  /** The connections of this node, by id. */
  get connections(): Connections {
    return this.#kernel.hub.connections as ReadonlyMap<string, Connection> as Connections;
  }

  /**
   * Sends to one connection on any node. Returns `false` if the message is not queued; a `message:dropped` or `error`
   * event gives the reason.
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

  /** Subscribes a connection of this node to a topic. @throws CONNECTION_UNKNOWN */
  subscribe(connectionId: string, topic: string): void {
    this.#kernel.hub.subscribe({ id: connectionId }, topic, APPLICATION);
  }

  /** Resolves when messages of other nodes to a subscribed topic arrive here. @throws ADAPTER_FAILED */
  async whenSubscribed(topic: string): Promise<void> { await this.#kernel.hub.cluster.whenSubscribed(topic); }

  unsubscribe(connectionId: string, topic: string): void {
    this.#kernel.hub.unsubscribe({ id: connectionId }, topic, APPLICATION);
  }

  /**
   * Sends a message to a connection of any node, again if necessary, until the client replies.
   * @throws CONNECTION_UNKNOWN, CONNECTION_CLOSED, REQUEST_TIMEOUT, REQUEST_ABORTED
   */
  async request(connectionId: string, message: Outgoing, options?: RequestOptions): Promise<Message> {
    const { hub, remote } = this.#kernel;
    const isElsewhere = !hub.connections.has(connectionId) && hub.cluster.isElsewhere(connectionId);
    if (isElsewhere) return remote.request(connectionId, message, options ?? {});
    return hub.connection(connectionId).request(message, options);
  }

  // Users

  /**
   * Sets the user of a connection of this node.
   * @throws CONNECTION_UNKNOWN, USER_MISMATCH, USER_ID_RESERVED
   */
  identify(connectionId: string, user: User): void {
    this.#kernel.hub.identify({ id: connectionId }, user, APPLICATION);
  }

  /**
   * Changes a user's data, such as roles or a name, on all of the user's connections of all nodes. Returns how many are
   * on this one.
   */
  updateUser(userId: string, changes: Readonly<Record<string, unknown>>): number {
    return this.#kernel.remote.updateUser(userId, changes);
  }

  /**
   * Closes all connections of a user on all nodes. Returns how many were on this one.
   * @param code 4010 by default: the client does not reconnect
   */
  disconnectUser(userId: string, code: number = closeCodes.kicked, reason = ''): number {
    return this.#kernel.remote.disconnectUser(userId, code, reason);
  }

  /** Resolves when nothing waits to be written: to a connection, to a topic's subscribers, or to all connections. */
  drained(target?: string): Promise<void> { return this.#kernel.hub.drained(target); }

  // Health and metrics

  getHealth(): Health { return this.#kernel.core.statistics.health(this.#kernel.acceptor.isClosed); }

  getMetrics(): Metrics { return this.#kernel.core.statistics.metrics(); }

  /** All metrics of the kernel and of the plugins, with type and help text, as Prometheus describes them. */
  describeMetrics(): ReadonlyMap<string, Metric> { return this.#kernel.core.statistics.describeMetrics(); }

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
   * Counts everything that was added, for tests and debugging: loading and unloading a plugin leaves these counts
   * unchanged. With `detail`, lists each thing with its owner.
   */
  inspect(): Readonly<Record<string, number>>;
  inspect(options: { readonly detail: true }): readonly Labelled[];
  inspect({ detail = false }: { readonly detail?: boolean | undefined } = {}):
    Readonly<Record<string, number>> | readonly Labelled[] {
    if (detail) return this.#kernel.inventory();
    const { acceptor, core, decorations, dispatcher, hub, intake, plugins, requests } = this.#kernel;
    const { clock, hooks, statistics } = core;
    return {
      plugins: plugins.names.length,
      handlers: dispatcher.handlers.size,
      errorMaps: dispatcher.errorMaps.size,
      listeners: hooks.size,
      decorations,
      frameGuards: intake.guards.size,
      transportSettings: hub.transport.settings.size,
      messageLayers: dispatcher.layers.size,
      sendLayers: hub.sendLayers.size,
      publishers: hub.publishers.size,
      upgradeLayers: acceptor.upgradeLayers.size,
      connectionLayers: acceptor.connectionLayers.size,
      checks: statistics.healthChecks.size,
      collectors: statistics.collectors.size,
      topics: hub.topics.size,
      nodes: hub.cluster.peers.size,
      seatParts: hub.cluster.lease?.parts.size ?? 0,
      deadlines: clock.size - dispatcher.deadlines - acceptor.deadlines,
      inFlight: dispatcher.inFlight,
      pendingUpgrades: acceptor.pending,
      waitingBytes: intake.inboxes.bytes,
      countedRequests: requests.size,
    };
  }
}

/** Creates managers. */
export const WebSocketModule = Object.freeze({
  /**
   * Creates a manager inside an existing http, https or Express server, or on its own server with `port`.
   * @param builtins the functions that import built-ins, by name; the package's entry point passes them
   * @param handlers the default of the option `handlers`
   * @param members what built-ins add to the manager; until a built-in is loaded, reading its members throws
   * @throws OPTION_INVALID, OPTION_UNKNOWN
   * @example const manager = WebSocketModule.create({ server });
   */
  create: (
    options: Options,
    builtins: Builtins = {},
    handlers?: readonly string[],
    members: BuiltinMembers = {},
  ): WebSocketManager => new WebSocketManager(options, builtins, handlers, members),
});

/** Creates the server of a manager that was given none. */
function createOwnServer({ path, handshakeTimeout }: Settings): Server {
  // By default Node checks for slow requests every 30 seconds: too seldom for the deadline of a handshake.
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
