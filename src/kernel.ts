import { Acceptor, type Gate } from './acceptor.ts';
import { Clock } from './clock.ts';
import { ClientConnection, type Host } from './connection.ts';
import type { Places } from './context.ts';
import {
  userTopic, type Builtins, type Collector, type ErrorContext, type Health, type HttpHandler, type Measure, type Metadata, type Metrics, type Node, type PublishOptions, type SendLayer, type UpgradeHandler, type User,
} from './contracts.ts';
import { Dispatcher } from './dispatcher.ts';
import { ModuleError, toError } from './errors.ts';
import { Heartbeat } from './heartbeat.ts';
import { HookBus } from './hooks.ts';
import { Hub } from './hub.ts';
import { newConnectionId, newNodeId } from './ids.ts';
import { LogSink } from './log.ts';
import type { AnyServer, Settings } from './options.ts';
import { Flusher } from './outbox.ts';
import { PluginHost } from './plugins.ts';
import { closeCodes, type Outgoing } from './protocol.ts';
import { routerOf, type Router } from './router.ts';
import type { Undo } from './scope.ts';
import { HealthBoard, Statistics } from './statistics.ts';
import { Transport, type Socket } from './transport.ts';
import { UndoList } from './undo-list.ts';

/** The parts, put together: what each needs of the others, it finds here under a contract of its own. */
export class Kernel implements Host, Gate, Places, Node {
  readonly id: string;
  readonly settings: Settings;
  readonly log: LogSink;
  readonly clock = new Clock();
  readonly flusher = new Flusher();
  readonly statistics = new Statistics();
  readonly hooks = new HookBus((error, context) => this.report(error, context));
  readonly board = new HealthBoard();
  readonly collectors = new UndoList<{ readonly collect: Collector; readonly owner: string }>();
  readonly sendLayers = new UndoList<SendLayer>(() => this.hub.setLayers([...this.sendLayers]));
  readonly transport: Transport;
  readonly hub: Hub;
  readonly dispatcher: Dispatcher;
  readonly acceptor: Acceptor;
  readonly plugins: PluginHost;
  readonly node: Node = this;
  readonly decorated: Places['decorated'];
  readonly #heartbeat: Heartbeat | undefined;
  readonly #router: Router;
  // Plugins decorate these connections, and no other manager's.
  readonly #Connection = class extends ClientConnection {};
  #release: Undo | undefined;
  #pulse: NodeJS.Timeout | undefined;
  #draining = false;
  #whenEmpty: (() => void) | undefined;

  constructor(settings: Settings, server: AnyServer, builtins: Builtins, manager: object) {
    const { heartbeat, adapter } = settings;
    this.settings = settings;
    this.id = settings.nodeId ?? newNodeId();
    this.log = new LogSink(settings.logger, settings.logLevel);
    this.decorated = { manager, connection: this.#Connection.prototype };
    this.transport = new Transport(settings);
    this.hub = new Hub(this);
    this.dispatcher = new Dispatcher(this);
    this.acceptor = new Acceptor(this);
    this.plugins = new PluginHost(this, settings, builtins);
    this.#heartbeat = heartbeat ? new Heartbeat(heartbeat.interval, heartbeat.timeout) : undefined;
    this.#router = routerOf(server);
    if (adapter) this.plugins.first('adapter', () => this.hub.start());
    if (adapter?.check) this.board.add('adapter', () => adapter.check!(), 'the kernel');
  }

  /** Takes upgrades from now on. @throws DUPLICATE where another manager has the path */
  attach(): void {
    const { path, handshakeTimeout } = this.settings;
    this.#release = this.#router.onUpgrade(path, (...upgrade) => void this.acceptor.accept(...upgrade), `manager ${this.id}`, handshakeTimeout);
    // Health checks run in the background, so that getHealth() never waits.
    this.#pulse = setInterval(() => this.#beat(), 5_000).unref();
  }

  #beat(): void {
    this.statistics.beat();
    this.board.beat();
  }

  // For connections

  receive(connection: ClientConnection, data: Buffer, binary: boolean): void { this.dispatcher.receive(connection, data, binary); }

  transmit(connection: ClientConnection, message: Outgoing | Uint8Array): boolean { return this.hub.send(connection, message); }

  dropped(connection: ClientConnection, code: string, count: number): void { this.hub.dropped(connection, code, count); }

  // A peer that breaks the protocol, or whose link breaks, is a fact of life and no error of ours; `ws` closes it.
  failed(connection: ClientConnection, error: Error, phase: 'socket' | 'listener'): void {
    if (phase === 'listener') return this.report(error, { phase, connection });
    this.statistics.error('code' in error ? String(error.code) : error.name);
    this.log.child('connection').debug('socket error', { connection: connection.id, error: error.message });
  }

  closed(connection: ClientConnection, code: number, reason: string): void {
    if (!this.hub.connections.has(connection.id)) return;
    this.hub.remove(connection);
    this.#heartbeat?.remove(connection);
    this.statistics.active--;
    this.hooks.emit('connection:removed', connection, { code, reason });
    if (this.hub.connections.size === 0) this.#whenEmpty?.();
  }

  // For the acceptor

  get active(): number { return this.statistics.active; }

  assertOpen(): void {
    if (this.#draining) throw new ModuleError('SERVER_DRAINING');
  }

  ready(): Promise<void> { return this.plugins.ready(); }

  connect(socket: Socket, metadata: Metadata): ClientConnection { return new this.#Connection(newConnectionId(this.id), metadata, socket, this); }

  admit(connection: ClientConnection, user: User | undefined): void {
    this.hub.connections.set(connection.id, connection);
    this.statistics.opened();
    this.#heartbeat?.add(connection);
    if (user) this.identify(connection, user);
    this.hooks.emit('connection:added', connection);
    connection.admit();
  }

  present(error: unknown, phase: ErrorContext['phase']): ModuleError {
    const shown = this.dispatcher.present(error);
    if (shown.code === 'INTERNAL_ERROR') this.report(toError(error), { phase });
    return shown;
  }

  refused(error: ModuleError, ip: string): void {
    this.statistics.refused++;
    this.hooks.emit('connection:refused', { error, ip });
    this.log.child('acceptor').debug('refused', { code: error.code, ip });
  }

  // For plugins

  get connections(): ReadonlyMap<string, ClientConnection> { return this.hub.connections; }

  send(connectionId: string, message: Outgoing): boolean { return this.guard(() => this.hub.sendTo(connectionId, message), false); }

  publish(topic: string, message: Outgoing, options?: PublishOptions): number {
    return this.guard(() => this.hub.publish(topic, message, options), 0);
  }

  deliver(topic: string, message: Outgoing, position?: { readonly epoch: string; readonly offset: number }): number {
    return this.guard(() => this.hub.deliver(topic, message, position), 0);
  }

  subscribe(connection: { readonly id: string }, topic: string): void { this.hub.subscribe(this.connection(connection.id), topic); }

  unsubscribe(connection: { readonly id: string }, topic: string): void {
    const found = this.hub.connections.get(connection.id);
    if (found) this.hub.unsubscribe(found, topic);
  }

  subscribers(topic: string): ReadonlySet<ClientConnection> { return this.hub.subscribers(topic); }

  identify(connection: { readonly id: string }, user: User): void {
    const found = this.connection(connection.id);
    if (found.user && found.user.id !== user.id) throw new ModuleError('USER_MISMATCH');
    found.user = user;
    this.hub.subscribe(found, userTopic(user.id));
    this.hooks.emit('connection:identified', found);
  }

  resume(connection: { readonly id: string }, sessionId: string): void { this.connection(connection.id).sessionId = sessionId; }

  async drained(target?: string): Promise<void> {
    const one = target === undefined ? undefined : this.hub.connections.get(target);
    await Promise.all([...(one ? [one] : this.hub.subscribers(target ?? '*'))].map((connection) => connection.idle()));
  }

  measures(): ReadonlyMap<string, Measure> {
    const all = new Map(Object.entries(this.statistics.measures()));
    for (const [, name, value] of this.#collect()) all.set(name, typeof value === 'number' ? { type: 'gauge', help: name.replaceAll('_', ' '), value } : value);
    return all;
  }

  metrics(): Metrics {
    const plugins: Record<string, Record<string, unknown>> = {};
    for (const [owner, name, value] of this.#collect()) (plugins[owner] ??= {})[name] = typeof value === 'number' ? value : value.value;
    return this.statistics.metrics(plugins);
  }

  #collect(): [owner: string, name: string, value: number | Measure][] {
    const collected = [...this.collectors].map(({ collect, owner }) => [owner, this.guard(collect, {})] as const);
    return collected.flatMap(([owner, figures]) => Object.entries(figures).map(([name, value]): [string, string, number | Measure] => [owner, name, value]));
  }

  health(): Health { return this.statistics.health(this.board.read()); }

  types(): readonly string[] { return this.dispatcher.handlers.names(); }

  loaded(): readonly string[] { return this.plugins.names; }

  onRequest(path: string, handler: HttpHandler, owner: string): Undo {
    return this.#router.onRequest(path, async (request, response) => {
      try {
        await handler(request, response);
      } catch (error) {
        this.report(toError(error), { phase: 'http', plugin: owner });
        if (!response.headersSent) response.writeHead(500);
        response.end();
      }
    }, owner);
  }

  onUpgrade(path: string, handler: UpgradeHandler, owner: string): Undo {
    return this.#router.onUpgrade(path, handler, owner, this.settings.handshakeTimeout);
  }

  /** How many members plugins added. */
  get decorations(): number { return Reflect.ownKeys(this.decorated.manager).length + Reflect.ownKeys(this.decorated.connection).length - 1; }

  // For all

  connection(id: string): ClientConnection {
    const found = this.hub.connections.get(id);
    if (!found) throw new ModuleError('CONNECTION_UNKNOWN', { connection: id });
    return found;
  }

  /** Tells the `error` event; without a listener, or from one that fails itself, stderr. */
  report(error: Error, context: ErrorContext): void {
    // What a message ran into is counted as what its sender was told.
    if (context.phase !== 'message') this.statistics.error(error instanceof ModuleError ? error.code : error.name);
    if (this.hooks.has('error') && (context.phase !== 'listener' || context.connection)) return this.hooks.emit('error', error, context);
    const cause = error.cause === undefined ? {} : { cause: toError(error.cause).message };
    this.log.child(context.plugin ?? context.phase).error(error.stack ?? error.message, { phase: context.phase, ...cause });
  }

  /** What the work gives, or else the fallback, and an error event that says why. */
  guard<T>(work: () => T, fallback: T): T {
    try {
      return work();
    } catch (error) {
      this.report(toError(error), { phase: 'send' });
      return fallback;
    }
  }

  async #empty(): Promise<void> {
    if (this.hub.connections.size > 0) await new Promise<void>((resolve) => (this.#whenEmpty = resolve));
  }

  /** Refuses who comes, lets handlers finish, tells clients when to come back, takes everything down. */
  async stop(retryWithin: number): Promise<void> {
    this.#draining = true;
    this.acceptor.close(new ModuleError('SERVER_DRAINING'));
    const until = performance.now() + this.settings.drainTimeout;
    const within = (work: Promise<void>): Promise<void> => this.clock.within(until - performance.now(), work, () => undefined);
    // Whatever does not end then is left behind, and told.
    const last = (work: Promise<void>): Promise<void> => this.clock.within(this.settings.drainTimeout, work, () => {
      throw new ModuleError('STOP_TIMEOUT', { timeout: this.settings.drainTimeout });
    }).catch((error: unknown) => this.report(toError(error), { phase: 'plugin' }));
    const open = [...this.hub.connections.values()];
    // What is not read from now on is not acknowledged either: the client knows to send it again.
    for (const connection of open) connection.halt();
    await within(this.dispatcher.idle());
    for (const connection of open) {
      connection.close(closeCodes.restarting, `retry=${Math.round(Math.random() * retryWithin)}`);
    }
    await within(this.#empty());
    for (const connection of open) connection.terminate();
    await this.#empty();
    await last(this.plugins.close());
    this.#release?.();
    clearInterval(this.#pulse);
    this.#heartbeat?.stop();
    await last(this.hub.stop());
    this.clock.stop();
  }
}
