import { describe } from '../runtime/check.ts';
import type { Builtins, Layer, Plugin } from '../contracts.ts';
import { ModuleError, nearestName, toError } from '../errors.ts';
import { canonical, isRecord } from '../protocol.ts';
import type { Labelled } from '../runtime/scope.ts';
import type { PluginState } from './absent-members.ts';
import { createContext, PluginScope, type Parts } from './plugin-context.ts';

/**
 * One item of use(). A failed item is kept, so that ready() rejects, until it is unloaded or another item with its name
 * is loaded.
 */
interface PluginEntry {
  /** The name of the plugin; before a built-in is imported, the name of the built-in. */
  name: string;
  state: 'waiting' | 'loading' | 'active' | 'unloading' | 'failed';
  /** Undefined until it is imported. */
  plugin: Plugin | undefined;
  /** Imports the plugin, or does other work that ready() awaits. */
  readonly load: (() => Promise<Plugin | undefined>) | undefined;
  api: unknown;
  readonly scope: PluginScope;
  error: ModuleError | undefined;
  unloaded: Promise<void> | undefined;
}

/** Loads plugins in the order of use(), checks what they require, rolls back failures, and unloads without a trace. */
export class PluginHost {
  readonly #parts: Parts;
  readonly #builtins: Builtins;
  readonly #entries = new Set<PluginEntry>();
  #running: Promise<void> | undefined;
  #unnamed = 0;
  #isClosed = false;
  #close!: (error: ModuleError) => void;
  /** Rejects when the manager stops, so that loading ends. */
  readonly #closed = new Promise<never>((_, reject) => (this.#close = reject));

  constructor(parts: Parts, builtins: Builtins) {
    const { settings } = parts.hub.core;
    this.#parts = parts;
    this.#builtins = builtins;
    // It also rejects when nothing is being loaded: that must not be an unhandled rejection.
    this.#closed.catch(() => undefined);
    // Unknown names, and options for unknown names, throw at once.
    for (const name of [
      ...Object.keys(settings.builtins),
      ...settings.handlers,
      ...settings.plugins,
      ...settings.middleware,
    ]) { this.#builtin(name); }
  }

  get #core() { return this.#parts.hub.core; }

  /** The names of the loaded plugins. */
  get names(): string[] { return this.#in('active', 'unloading').map(({ name }) => name); }

  /** Lists what plugins added and no inventory of the kernel lists. */
  inventory(): Labelled[] { return [...this.#entries].flatMap(({ name, scope }) => scope.inventory(name)); }

  #in(...states: PluginEntry['state'][]): PluginEntry[] {
    return [...this.#entries].filter(({ state }) => states.includes(state));
  }

  #loaded(name: string): PluginEntry | undefined {
    return this.#in('active', 'unloading').find((entry) => entry.name === name);
  }

  /** @throws PLUGIN_UNKNOWN */
  api(name: string): unknown {
    const entry = this.#loaded(kebab(name));
    if (!entry) throw new ModuleError('PLUGIN_UNKNOWN', { plugin: name, state: this.stateOf(name) });
    return entry.api;
  }

  /** The state of a plugin that is not loaded. */
  stateOf(given: string): PluginState {
    const name = kebab(given);
    const isIn = (...states: PluginEntry['state'][]): boolean =>
      this.#in(...states).some((entry) => entry.name === name);
    if (isIn('waiting', 'loading')) return 'loading';
    return isIn('failed') ? 'failed' : 'unused';
  }

  /** Logs a warning if nothing emits an event, after all plugins are loaded. */
  async checkEvent(name: string): Promise<void> {
    if (this.#core.eventNames.has(name)) return;
    // The application may call on() just before use().
    await Promise.resolve();
    try {
      await this.ready();
    } catch {
      // A plugin failed, which was reported. The event may be one of its events.
      return;
    }
    const warning = this.#core.eventNames.warning(name);
    if (warning !== undefined) this.#core.log.child('manager').warn(warning);
  }

  /** @param options the options of a built-in, or `{ name }` to give a layer or plugin another name */
  use(item: unknown, options?: unknown): void {
    const items = Array.isArray(item) ? (item as unknown[]) : [item];
    this.#add(items.map((one) => this.#entry(one, options)));
  }

  /** Adds work that ready() awaits, in the order of use(). */
  first(name: string, run: () => Promise<void>): void {
    this.#add([newEntry(name, undefined, () => Promise.race([run(), this.#closed]).then(() => undefined))]);
  }

  get #isBusy(): boolean { return this.#in('waiting', 'loading').length > 0; }

  get isReady(): boolean { return this.#in('waiting', 'loading', 'failed').length === 0; }

  /**
   * Resolves when everything is loaded.
   * @throws the first failure of a plugin that is neither unloaded nor replaced
   */
  async ready(): Promise<void> {
    while (this.#isBusy) await this.#running;
    for (const { error } of this.#in('failed')) throw error!;
  }

  #add(entries: readonly PluginEntry[]): void {
    const isBusy = this.#isBusy;
    for (const entry of entries) this.#entries.add(entry);
    if (!isBusy) this.#running = this.#run();
  }

  async #run(): Promise<void> {
    for (let [entry] = this.#in('waiting'); entry; [entry] = this.#in('waiting')) {
      for (const failed of this.#in('failed')) if (failed.name === entry.name) this.#entries.delete(failed);
      entry.state = 'loading';
      try {
        const plugin = (entry.plugin ??= await entry.load?.());
        const work = plugin ? this.#setUp(entry, plugin) : void this.#entries.delete(entry);
        if (work) await work;
      } catch (error) {
        for (const failure of await this.#undo(entry)) {
          this.#core.report(toError(failure), { phase: 'plugin', plugin: entry.name });
        }
        this.#fail(entry, error);
      }
    }
  }

  // Without a promise if nothing is asynchronous, so that use() has loaded the plugin when it returns.
  #setUp(entry: PluginEntry, plugin: Plugin): Promise<void> | undefined {
    const apis = this.#requirements(plugin);
    entry.name = plugin.name;
    entry.scope.rest.add(() => this.#parts.hub.release(plugin.name), 'subscriptions and holds');
    if (plugin.events) entry.scope.rest.add(this.#core.eventNames.declare(plugin.events), 'its events');
    const api = plugin.setup(createContext(plugin.name, entry.scope, this.#parts), apis);
    const activate = (made: unknown): void => {
      entry.api = made;
      entry.state = 'active';
    };
    if (api instanceof Promise) return this.#inTime(plugin.name, api).then(activate);
    activate(api);
    return undefined;
  }

  #inTime(plugin: string, setup: Promise<unknown>): Promise<unknown> {
    const { clock, settings: { setupTimeout: timeout } } = this.#core;
    return Promise.race([this.#closed, clock.within(timeout, setup, () => {
      setup.catch((error: unknown) => this.#core.report(toError(error), { phase: 'plugin', plugin }));
      throw new ModuleError('PLUGIN_SETUP_TIMEOUT', { plugin, timeout });
    })]);
  }

  #entry(item: unknown, options: unknown): PluginEntry {
    if (typeof item === 'string') {
      const name = kebab(item);
      const load = this.#builtin(item);
      const given = options ?? Object.entries(this.#core.settings.builtins).find(([key]) => kebab(key) === name)?.[1];
      return newEntry(name, undefined, async () => this.#plugin((await load())(given), undefined));
    }
    const plugin = this.#plugin(item, isRecord(options) && typeof options.name === 'string' ? options.name : undefined);
    return newEntry(plugin.name, plugin);
  }

  #builtin(name: string): Builtins[string] {
    const load = Object.hasOwn(this.#builtins, kebab(name)) ? this.#builtins[kebab(name)] : undefined;
    if (!load) {
      throw new ModuleError('BUILTIN_UNKNOWN', {
        name,
        nearest: nearestName(kebab(name), Object.keys(this.#builtins)),
      });
    }
    return load;
  }

  /** Converts an item to a plugin. A layer becomes a plugin that adds this layer. */
  #plugin(item: unknown, rename: string | undefined): Plugin {
    if (isRecord(item) && item.type === 'plugin' && typeof item.setup === 'function' && typeof item.name === 'string') {
      const plugin = item as unknown as Plugin;
      return { ...plugin, name: kebab(rename ?? plugin.name), setup: plugin.setup.bind(plugin) };
    }
    if (
      isRecord(item)
      && typeof item.handler === 'function'
      && ['upgrade', 'connection', 'message', 'send'].includes(item.type as string)
    ) {
      const layer = item as unknown as Layer;
      const name = kebab(rename ?? layer.name ?? `${layer.type}-layer-${++this.#unnamed}`);
      return { type: 'plugin', name, setup: (context) => context.use(layer) };
    }
    throw new ModuleError('ITEM_INVALID', { given: describe(item) + hint(item) });
  }

  #fail(entry: PluginEntry, thrown: unknown): void {
    const { name } = entry;
    entry.error = thrown instanceof ModuleError
      ? thrown
      : new ModuleError('PLUGIN_SETUP_FAILED', { plugin: name, reason: toError(thrown).message }, { cause: thrown });
    entry.state = 'failed';
    // Deferred, so that a listener that is added right after use() is called.
    if (!this.#isClosed) queueMicrotask(() => this.#core.report(entry.error!, { phase: 'plugin', plugin: name }));
  }

  /** The APIs that a plugin requires. @throws DUPLICATE, MANAGER_STOPPED, or the code of a missing dependency */
  #requirements(plugin: Plugin): Record<string, unknown> {
    const { name } = plugin;
    if (this.#isClosed) throw new ModuleError('MANAGER_STOPPED');
    if (this.#loaded(name)) throw new ModuleError('DUPLICATE', { kind: 'plugin', name, owner: name });
    const apis: Record<string, unknown> = {};
    for (const needed of plugin.requires ?? []) {
      const entry = this.#loaded(kebab(needed));
      if (entry?.state !== 'active') {
        const circle = this.#circle(plugin, [name]);
        if (circle) throw new ModuleError('PLUGIN_DEPENDENCY_CIRCULAR', { plugin: name, circle: circle.join(' → ') });
        throw new ModuleError('PLUGIN_DEPENDENCY_MISSING', { plugin: name, missing: needed });
      }
      apis[needed] = entry.api;
    }
    return apis;
  }

  /** Finds a path from a plugin back to itself through plugins that are not loaded yet. */
  #circle(plugin: Plugin, path: readonly string[]): string[] | undefined {
    for (const needed of (plugin.requires ?? []).map(kebab)) {
      if (needed === path[0]) return [...path, needed];
      const waiting = path.includes(needed)
        ? undefined
        : this.#in('waiting', 'loading').find(({ name }) => name === needed)?.plugin;
      const circle = waiting && this.#circle(waiting, [...path, needed]);
      if (circle) return circle;
    }
    return undefined;
  }

  async #undo({ scope: { abort, entrances, rest } }: PluginEntry): Promise<unknown[]> {
    abort.abort();
    const hadEntrances = entrances.size > 0;
    const failures = await entrances.close();
    if (hadEntrances) {
      await this.#core.clock.within(
        this.#core.settings.drainTimeout,
        this.#parts.dispatcher.quiesce(),
        () => undefined,
      );
    }
    return [...failures, ...(await rest.close())];
  }

  /** @throws PLUGIN_UNKNOWN, PLUGIN_IN_USE, PLUGIN_UNLOAD_FAILED */
  async unload(given: string): Promise<void> {
    const name = kebab(given);
    const entry = this.#loaded(name);
    const failed = this.#in('failed').filter((one) => one.name === name);
    for (const one of failed) this.#entries.delete(one);
    if (!entry && failed.length > 0) return;
    if (!entry) throw new ModuleError('PLUGIN_UNKNOWN', { plugin: name });
    const dependents = this.#in('loading', 'active', 'unloading')
      .filter(({ plugin }) => plugin?.requires?.some((needed) => kebab(needed) === name))
      .map((dependent) => `"${dependent.name}"`);
    if (dependents.length > 0) {
      throw new ModuleError('PLUGIN_IN_USE', { plugin: name, dependents: dependents.join(', ') });
    }
    return (entry.unloaded ??= this.#unload(entry));
  }

  async #unload(entry: PluginEntry): Promise<void> {
    entry.state = 'unloading';
    const failures = await this.#undo(entry);
    this.#entries.delete(entry);
    if (failures.length === 0) return;
    const cause = new AggregateError(failures, 'clean-ups failed');
    throw new ModuleError('PLUGIN_UNLOAD_FAILED', { plugin: entry.name, failures: failures.length }, { cause });
  }

  /** Unloads everything, last first. */
  async close(): Promise<void> {
    this.#isClosed = true;
    for (const entry of this.#in('waiting')) this.#entries.delete(entry);
    this.#close(new ModuleError('MANAGER_STOPPED'));
    // Failures were reported when they occurred.
    await this.ready().catch(() => undefined);
    for (const name of this.names.reverse()) {
      await this.unload(name).catch((error: unknown) =>
        this.#core.report(toError(error), { phase: 'plugin', plugin: name }),
      );
    }
  }
}

function newEntry(name: string, plugin: Plugin | undefined, load?: PluginEntry['load']): PluginEntry {
  return {
    name,
    state: 'waiting',
    plugin,
    load,
    api: undefined,
    scope: new PluginScope(),
    error: undefined,
    unloaded: undefined,
  };
}

/** The remedy for an item that cannot be used, if it is a common mistake. */
function hint(item: unknown): string {
  if (typeof item === 'function') return '; call it, or wrap it: { type: "message", handler }';
  return isRecord(item) && item.handler ? `, of type ${describe(item.type)}` : '';
}

/** `rateLimit`, `rate_limit` and `rate-limit` are the same name. */
const kebab = (name: string): string =>
  canonical(
    name.replace(/([a-z0-9])([A-Z])/g, (_, before: string, upper: string) => `${before}-${upper.toLowerCase()}`),
  );
