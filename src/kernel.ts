import { Acceptor } from './upgrade/acceptor.ts';
import { ClientConnection } from './connection/connection.ts';
import type { Places } from './plugins/plugin-context.ts';
import type { Builtins, ErrorContext } from './contracts.ts';
import { Core } from './runtime/core.ts';
import { Dispatcher } from './messages/dispatcher.ts';
import { ModuleError, toError } from './errors.ts';
import type { Health, Measure, Metrics } from './contracts.ts';
import { Hub } from './messages/hub.ts';
import type { AnyServer, Settings } from './runtime/options.ts';
import { PluginHost } from './plugins/plugin-host.ts';
import { closeCodes } from './protocol.ts';
import { routerOf, type Router } from './upgrade/router.ts';

/** A node: a hub, with what brings it connections, messages and plugins. */
export class Kernel extends Hub implements Places {
  readonly manager: object;
  readonly router: Router;
  // Plugins decorate these connections, and no other manager's.
  readonly Connection: typeof ClientConnection = class extends ClientConnection {};
  readonly dispatcher: Dispatcher;
  readonly acceptor: Acceptor;
  readonly plugins: PluginHost;
  readonly #release: () => unknown;
  readonly #pulse: NodeJS.Timeout;

  /** @throws DUPLICATE where another manager has the path */
  constructor(settings: Settings, server: AnyServer, builtins: Builtins, manager: object) {
    const { adapter, path, handshakeTimeout } = settings;
    super(new Core(settings));
    this.manager = manager;
    this.router = routerOf(server);
    this.dispatcher = new Dispatcher(this);
    this.acceptor = new Acceptor(this);
    this.plugins = new PluginHost(this, builtins);
    if (adapter?.check) this.core.statistics.board.add('adapter', () => adapter.check!(), 'the kernel');
    // The last that can throw: whatever else does has left nothing on the server, and started nothing.
    this.#release = this.router.onUpgrade(path, (...upgrade) => void this.acceptor.accept(...upgrade), `manager ${this.id}`, handshakeTimeout);
    if (adapter) this.plugins.first('adapter', () => this.open());
    // Health checks run in the background, so that getHealth() never waits.
    this.#pulse = setInterval(() => this.core.statistics.beat(), 5_000).unref();
  }

  get isAlone(): boolean { return this.core.settings.adapter === undefined; }

  get isReady(): boolean { return this.plugins.isReady; }

  ready(): Promise<void> { return this.plugins.ready(); }

  types(): readonly string[] { return this.dispatcher.handlers.names(); }

  loaded(): readonly string[] { return this.plugins.names; }

  measures(): ReadonlyMap<string, Measure> { return this.core.statistics.measures(); }

  metrics(): Metrics { return this.core.statistics.metrics(); }

  health(): Health { return this.core.statistics.health(this.acceptor.isClosed); }

  /** How many members plugins added. */
  get decorations(): number {
    return [this.manager, this.connections, this.Connection.prototype].reduce((sum, target) => sum + Reflect.ownKeys(target).length, -1);
  }

  /** Refuses who comes, lets handlers finish, tells clients when to come back, takes everything down. */
  async stop(retryWithin: number): Promise<void> {
    const { clock, settings: { drainTimeout: timeout } } = this.core;
    const until = performance.now() + timeout;
    const within = (work: Promise<void>): Promise<void> => clock.within(until - performance.now(), work, () => undefined);
    // Whatever does not end then is left behind, and told.
    const last = (phase: ErrorContext['phase'], work: Promise<void>): Promise<void> => clock.within(timeout, work, () => {
      throw new ModuleError('STOP_TIMEOUT', { timeout });
    }).catch((error: unknown) => this.core.report(toError(error), { phase }));
    this.acceptor.close();
    this.core.hooks.emit('stopping');
    const open = [...this.connections.values()];
    // What is not read from now on is not acknowledged either: the client knows to send it again.
    for (const connection of open) connection.halt();
    await within(this.dispatcher.idle());
    for (const connection of open) connection.close(closeCodes.restarting, `retry=${Math.round(Math.random() * retryWithin)}`);
    await within(this.empty());
    for (const connection of open) connection.terminate();
    await this.empty();
    await last('plugin', this.plugins.close());
    this.#release();
    clearInterval(this.#pulse);
    await last('adapter', this.close());
    clock.stop();
  }
}
