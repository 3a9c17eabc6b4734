import { ClientConnection, type ConnectionHost } from './connection/connection.ts';
import { RequestBudget } from './connection/request-budget.ts';
import type { Builtins } from './contracts.ts';
import { ModuleError, toError } from './errors.ts';
import { Dispatcher } from './messages/dispatcher.ts';
import { Hub } from './messages/hub.ts';
import { Intake } from './messages/intake.ts';
import { RemoteCalls } from './messages/remote-calls.ts';
import { addAbsentMembers, isAbsent, type BuiltinMembers, type PluginState } from './plugins/absent-members.ts';
import type { Parts } from './plugins/plugin-context.ts';
import { PluginHost } from './plugins/plugin-host.ts';
import { closeCodes } from './protocol.ts';
import { Core } from './runtime/core.ts';
import { newConnectionId } from './runtime/ids.ts';
import type { AnyServer, Settings } from './runtime/options.ts';
import type { Labelled } from './runtime/scope.ts';
import { Acceptor } from './upgrade/acceptor.ts';
import { routerOf, type Router } from './upgrade/router.ts';
import { WebSocketOffer } from './upgrade/websocket-offer.ts';

/** Milliseconds after `drainTimeout` until which listeners, plugins, the store, and the adapter may work. */
const GRACE_PERIODS = { listener: 200, plugin: 500, store: 700, adapter: 900 } as const;

/** Kernel wires the parts of one node, and stops them in order. */
export class Kernel {
  readonly core: Core;
  readonly hub: Hub;
  readonly dispatcher: Dispatcher;
  readonly intake: Intake;
  readonly acceptor: Acceptor;
  readonly requests: RequestBudget;
  readonly remote: RemoteCalls;
  readonly plugins: PluginHost;
  readonly #router: Router;
  readonly #decorated: Parts['decorated'];
  readonly #release: () => unknown;
  readonly #sampling: NodeJS.Timeout;

  /** @throws DUPLICATE if another manager serves the path */
  constructor(
    settings: Settings,
    server: AnyServer,
    manager: object,
    builtins: Builtins,
    members: BuiltinMembers,
  ) {
    const { adapter, path, handshakeTimeout } = settings;
    const core = (this.core = new Core(settings));
    const hub = (this.hub = new Hub(core));
    const dispatcher = (this.dispatcher = new Dispatcher(hub, (connection) => this.intake.proceed(connection)));
    this.remote = new RemoteCalls(hub);
    const intake = (this.intake = new Intake(hub, dispatcher));
    this.requests = new RequestBudget(settings.message.maxRequests);
    const host: ConnectionHost = {
      core,
      flusher: hub.flusher,
      transport: hub.transport,
      inboxes: intake.inboxes,
      requests: this.requests,
      receive: (connection, data, binary) => intake.receive(connection, data, binary),
      proceed: (connection) => intake.proceed(connection),
      transmit: (connection, message) => hub.transmit(connection, message),
      dropped: (connection, code, count) => hub.dropped(connection, code, count),
      remove: (connection, code, reason) => hub.remove(connection, code, reason),
    };
    // One class per manager: what plugins add to connections is added to those of this manager only.
    const Connection = class extends ClientConnection {};
    this.#decorated = { connection: Connection.prototype, connections: hub.connections, manager };
    this.#router = routerOf(server);
    this.acceptor = new Acceptor(hub, dispatcher, {
      isReady: () => this.plugins.isReady,
      ready: () => this.plugins.ready(),
      connect: (metadata, socket) => new Connection(newConnectionId(core.id), metadata, socket, host),
    });
    const parts = {
      hub,
      dispatcher,
      intake,
      acceptor: this.acceptor,
      router: this.#router,
      decorated: this.#decorated,
      loaded: () => this.plugins.names,
    };
    this.plugins = new PluginHost(parts, builtins);
    const stateOf = (plugin: string): PluginState => this.plugins.stateOf(plugin);
    addAbsentMembers(manager, 'manager', members.manager ?? {}, stateOf);
    addAbsentMembers(hub.connections, 'manager.connections', members.connections ?? {}, stateOf);
    if (adapter?.check) core.statistics.healthChecks.add('adapter', () => adapter.check!(), 'the kernel');
    const { lease } = hub.cluster;
    if (lease) core.statistics.healthChecks.add('store', () => lease.check(), 'the kernel');
    // This is the last step that can throw: after a failure above, nothing is left on the server.
    this.#release = this.#router.onUpgrade(
      path,
      (...upgrade) => void this.acceptor.accept(new WebSocketOffer(hub.transport, ...upgrade)),
      `manager ${core.id}`,
      handshakeTimeout,
      true,
    );
    if (adapter) this.plugins.first('adapter', () => hub.open());
    // Health checks run in the background, so that getHealth() never waits.
    this.#sampling = setInterval(() => core.statistics.sample(), 5_000).unref();
    intake.unfinished.start();
  }

  /** The number of members that plugins added to the manager, its connections and their map. */
  get decorations(): number {
    const added = Object.values(this.#decorated)
      .flatMap((target) => Reflect.ownKeys(target).filter((name) => !isAbsent(target, name)));
    // Without the constructor of the class of connections.
    return added.length - 1;
  }

  /** Lists everything that was added, with its owner. */
  inventory(): Labelled[] {
    const { acceptor, core: { hooks, statistics }, dispatcher, hub, plugins } = this;
    const layer = ({ type, name }: { readonly type: string; readonly name?: string | undefined }): string =>
      `${type} layer ${name ?? '(unnamed)'}`;
    return [
      ...dispatcher.handlers.inventory(),
      ...dispatcher.layers.inventory(layer),
      ...hub.sendLayers.inventory(layer),
      ...hub.publishers.inventory(() => 'publisher'),
      ...acceptor.upgradeLayers.inventory(layer),
      ...acceptor.connectionLayers.inventory(layer),
      ...this.intake.guards.inventory(() => 'frame guard'),
      ...dispatcher.errorMaps.inventory(() => 'error map'),
      ...hub.transport.settings.inventory(() => 'transport settings'),
      ...hooks.inventory(),
      ...this.#router.inventory(),
      ...statistics.healthChecks.inventory(),
      ...statistics.collectors.inventory(() => 'collector'),
      ...hub.inventory(),
      ...plugins.inventory(),
    ];
  }

  /**
   * Refuses new connections, lets handlers and asynchronous listeners finish, closes the clients with a time to
   * reconnect, and unloads everything. All steps share one deadline.
   */
  async stop(retryWithin: number): Promise<void> {
    const { acceptor, core, dispatcher, hub } = this;
    const { clock, settings: { drainTimeout: timeout } } = core;
    const until = performance.now() + timeout;
    const within = (work: Promise<unknown>): Promise<unknown> =>
      clock.within<unknown>(until - performance.now(), work, () => undefined);
    /** Returns whether the work ended in time. If not, that is reported, and the next step begins. */
    const finish = async (phase: keyof typeof GRACE_PERIODS, work: Promise<void>): Promise<boolean> => {
      try {
        const left = until + GRACE_PERIODS[phase] - performance.now();
        await clock.within(left, work, () => { throw new ModuleError('STOP_TIMEOUT', { timeout }); });
        return true;
      } catch (error) {
        core.report(toError(error), { phase });
        return false;
      }
    };
    acceptor.close();
    core.hooks.emit('stopping');
    const open = [...hub.connections.values()];
    // A message that is not read is not acknowledged, so the client knows that it must send it again.
    for (const connection of open) connection.halt();
    await within(Promise.all([dispatcher.whenIdle(), core.hooks.whenIdle()]));
    for (const connection of open) {
      connection.close(closeCodes.restarting, `retry=${Math.round(Math.random() * retryWithin)}`);
    }
    await within(hub.whenEmpty());
    for (const connection of open) connection.terminate();
    acceptor.terminate();
    await hub.whenEmpty();
    // Listeners of `connection:removed` may save data of a client, listeners of plugins' events that of a plugin.
    const didListenersFinish = await finish('listener', core.hooks.whenIdle());
    await finish('plugin', this.plugins.close());
    if (didListenersFinish) await finish('plugin', core.hooks.whenIdle());
    this.#release();
    clearInterval(this.#sampling);
    this.intake.unfinished.stop();
    if (hub.cluster.lease) await finish('store', hub.cluster.lease.stop());
    await finish('adapter', hub.close());
    clock.stop();
  }
}
