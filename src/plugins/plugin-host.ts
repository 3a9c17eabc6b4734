import { describe } from '../runtime/check.ts';
import type { Builtins, Layer, Plugin } from '../contracts.ts';
import { createContext, PluginScope, type Places } from './plugin-context.ts';
import type { Core } from '../runtime/core.ts';
import { ModuleError, nearestName, toError } from '../errors.ts';
import { canonical, isRecord } from '../protocol.ts';

interface Loaded { readonly plugin: Plugin; readonly api: unknown; readonly scope: PluginScope; unloading: Promise<void> | undefined }
interface Job {
  readonly name: string;
  /** Known at once, unless it is still to be loaded. */
  plugin?: Plugin | undefined;
  load?(): Promise<Plugin | undefined>;
}

/** Loads plugins in the order of use(), checks what they require, rolls back what fails, unloads without a trace. */
export class PluginHost {
  readonly #places: Places;
  readonly #core: Core;
  readonly #builtins: Builtins;
  readonly #loaded = new Map<string, Loaded>();
  readonly #failures = new Map<string, ModuleError>();
  /** What is being loaded, and what waits behind it. */
  readonly #jobs: Job[] = [];
  #running: Promise<void> | undefined;
  #unnamed = 0;
  #isClosed = false;
  #close!: (error: ModuleError) => void;
  /** Ends what is being loaded when the manager stops. */
  readonly #closed = new Promise<never>((_, reject) => (this.#close = reject));

  constructor(places: Places, builtins: Builtins) {
    const { settings } = places.core;
    this.#places = places;
    this.#core = places.core;
    this.#builtins = builtins;
    // It rejects whether or not something is being loaded then.
    this.#closed.catch(() => undefined);
    // What cannot be loaded, and options that nothing would ever get, are mistakes to be told at once.
    for (const name of [...Object.keys(settings.builtins), ...settings.handlers, ...settings.plugins, ...settings.middleware]) this.#builtin(name);
  }

  get names(): string[] { return [...this.#loaded.keys()]; }

  /** @throws PLUGIN_UNKNOWN */
  api(name: string): unknown {
    const loaded = this.#loaded.get(kebab(name));
    if (!loaded) throw new ModuleError('PLUGIN_UNKNOWN', { plugin: name });
    return loaded.api;
  }

  /** @param options those of a built-in, or `{ name }` for a layer or plugin that is to have another one */
  use(item: unknown, options?: unknown): void {
    const items = Array.isArray(item) ? (item as unknown[]) : [item];
    this.#add(...items.map((one) => this.#job(one, options)));
  }

  /** Something that must be in place before ready(), in the order of use(). */
  first(name: string, run: () => Promise<void>): void {
    this.#add({ name, load: () => Promise.race([run(), this.#closed]).then(() => undefined) });
  }

  get isReady(): boolean { return this.#jobs.length === 0 && this.#failures.size === 0; }

  /** Resolves when everything used is in place. @throws the first failure that was not mended by unload() or another use() */
  async ready(): Promise<void> {
    while (this.#jobs.length > 0) await this.#running;
    for (const failure of this.#failures.values()) throw failure;
  }

  #add(...jobs: Job[]): void {
    this.#jobs.push(...jobs);
    if (this.#jobs.length === jobs.length) this.#running = this.#run();
  }

  async #run(): Promise<void> {
    for (let job = this.#jobs[0]; job; job = this.#jobs[0]) {
      let scope: PluginScope | undefined;
      this.#failures.delete(job.name);
      try {
        const plugin = (job.plugin ??= await job.load?.());
        if (plugin) {
          const apis = this.#requirements(plugin);
          scope = new PluginScope();
          const given = plugin.setup(createContext(plugin.name, scope, this.#places), apis);
          // Where nothing is asynchronous there is no turn between: what use() adds is in place when it returns.
          const api = given instanceof Promise ? await this.#inTime(plugin.name, given) : given;
          this.#loaded.set(plugin.name, { plugin, api, scope, unloading: undefined });
        }
      } catch (error) {
        for (const failure of scope ? await this.#undo(scope) : []) this.#core.report(toError(failure), { phase: 'plugin', plugin: job.name });
        this.#fail(job.name, error);
      }
      this.#jobs.shift();
    }
  }

  #inTime(plugin: string, setup: Promise<unknown>): Promise<unknown> {
    const { clock, settings: { setupTimeout: timeout } } = this.#core;
    return Promise.race([this.#closed, clock.within(timeout, setup, () => {
      setup.catch((error: unknown) => this.#core.report(toError(error), { phase: 'plugin', plugin }));
      throw new ModuleError('PLUGIN_SETUP_TIMEOUT', { plugin, timeout });
    })]);
  }

  #job(item: unknown, options: unknown): Job {
    if (typeof item === 'string') {
      const name = kebab(item);
      const load = this.#builtin(item);
      const given = options ?? Object.entries(this.#core.settings.builtins).find(([key]) => kebab(key) === name)?.[1];
      return { name, load: async () => this.#plugin((await load())(given), undefined) };
    }
    const plugin = this.#plugin(item, isRecord(options) && typeof options.name === 'string' ? options.name : undefined);
    return { name: plugin.name, plugin };
  }

  #builtin(name: string): Builtins[string] {
    const load = Object.hasOwn(this.#builtins, kebab(name)) ? this.#builtins[kebab(name)] : undefined;
    if (!load) throw new ModuleError('BUILTIN_UNKNOWN', { name, nearest: nearestName(kebab(name), Object.keys(this.#builtins)) });
    return load;
  }

  /** The item as a plugin: a lone layer is a plugin with one contribution. */
  #plugin(item: unknown, rename: string | undefined): Plugin {
    if (isRecord(item) && item.type === 'plugin' && typeof item.setup === 'function' && typeof item.name === 'string') {
      const plugin = item as unknown as Plugin;
      return { ...plugin, name: kebab(rename ?? plugin.name), setup: plugin.setup.bind(plugin) };
    }
    if (isRecord(item) && typeof item.handler === 'function' && ['upgrade', 'connection', 'message', 'send'].includes(item.type as string)) {
      const layer = item as unknown as Layer;
      return { type: 'plugin', name: kebab(rename ?? layer.name ?? `${layer.type}-layer-${++this.#unnamed}`), setup: (context) => context.use(layer) };
    }
    const hint = typeof item === 'function' ? '; call it, or wrap it: { type: "message", handler }' : isRecord(item) && item.handler ? `, of type ${describe(item.type)}` : '';
    throw new ModuleError('ITEM_INVALID', { given: describe(item) + hint });
  }

  #fail(name: string, thrown: unknown): void {
    const error = thrown instanceof ModuleError ? thrown : new ModuleError('PLUGIN_SETUP_FAILED', { plugin: name, reason: toError(thrown).message }, { cause: thrown });
    this.#failures.set(name, error);
    // Not at once: use() is followed by on('error'), and who listens there is to hear it.
    if (!this.#isClosed) queueMicrotask(() => this.#core.report(error, { phase: 'plugin', plugin: name }));
  }

  /** The APIs that a plugin gets. @throws why it may not be loaded, if so */
  #requirements(plugin: Plugin): Record<string, unknown> {
    const { name } = plugin;
    if (this.#isClosed) throw new ModuleError('MANAGER_STOPPED');
    if (this.#loaded.has(name)) throw new ModuleError('DUPLICATE', { kind: 'plugin', name, owner: name });
    const apis: Record<string, unknown> = {};
    for (const needed of plugin.requires ?? []) {
      const loaded = this.#loaded.get(kebab(needed));
      if (!loaded || loaded.unloading) {
        const circle = this.#circle(plugin, [name]);
        if (circle) throw new ModuleError('PLUGIN_DEPENDENCY_CIRCULAR', { plugin: name, circle: circle.join(' → ') });
        throw new ModuleError('PLUGIN_DEPENDENCY_MISSING', { plugin: name, missing: needed });
      }
      apis[needed] = loaded.api;
    }
    return apis;
  }

  /** The way from a plugin back to itself through those that wait to be loaded, if there is one. */
  #circle(plugin: Plugin, path: readonly string[]): string[] | undefined {
    for (const needed of (plugin.requires ?? []).map(kebab)) {
      if (needed === path[0]) return [...path, needed];
      const waiting = path.includes(needed) ? undefined : this.#jobs.find((job) => job.name === needed)?.plugin;
      const circle = waiting && this.#circle(waiting, [...path, needed]);
      if (circle) return circle;
    }
    return undefined;
  }

  async #undo({ gates, rest, abort }: PluginScope): Promise<unknown[]> {
    abort.abort();
    const hadGates = gates.size > 0;
    const failures = await gates.close();
    if (hadGates) await this.#core.clock.within(this.#core.settings.drainTimeout, this.#places.dispatcher.quiesce(), () => undefined);
    return [...failures, ...(await rest.close())];
  }

  /** @throws PLUGIN_UNKNOWN, PLUGIN_IN_USE, PLUGIN_UNLOAD_FAILED */
  async unload(given: string): Promise<void> {
    const name = kebab(given);
    const loaded = this.#loaded.get(name);
    if (this.#failures.delete(name) && !loaded) return;
    if (!loaded) throw new ModuleError('PLUGIN_UNKNOWN', { plugin: name });
    // The first job's is being set up.
    const plugins = [...this.#loaded.values(), ...this.#jobs.slice(0, 1)].flatMap(({ plugin }) => plugin ?? []);
    const dependents = plugins.filter(({ requires }) => requires?.some((needed) => kebab(needed) === name)).map((plugin) => `"${plugin.name}"`);
    if (dependents.length > 0) throw new ModuleError('PLUGIN_IN_USE', { plugin: name, dependents: dependents.join(', ') });
    return (loaded.unloading ??= this.#unload(name, loaded));
  }

  async #unload(name: string, { scope }: Loaded): Promise<void> {
    const failures = await this.#undo(scope);
    this.#loaded.delete(name);
    if (failures.length === 0) return;
    throw new ModuleError('PLUGIN_UNLOAD_FAILED', { plugin: name, failures: failures.length }, { cause: new AggregateError(failures, 'clean-ups failed') });
  }

  /** Unloads everything, last first. */
  async close(): Promise<void> {
    this.#isClosed = true;
    this.#jobs.splice(1);
    this.#close(new ModuleError('MANAGER_STOPPED'));
    // Its failure is told by ready() to who asked for it.
    await this.ready().catch(() => undefined);
    for (const name of this.names.reverse()) {
      await this.unload(name).catch((error: unknown) => this.#core.report(toError(error), { phase: 'plugin', plugin: name }));
    }
  }
}

/** `rateLimit`, `rate_limit` and `rate-limit` are the same name. */
const kebab = (name: string): string => canonical(name.replace(/([a-z0-9])([A-Z])/g, (_, before: string, upper: string) => `${before}-${upper.toLowerCase()}`));
