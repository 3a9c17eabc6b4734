import type { Acceptor } from './acceptor.ts';
import type { Clock } from './clock.ts';
import type { Collector, ErrorContext, HealthCheck, Layer, Node, PluginContext, SendLayer, UpgradeHandler, HttpHandler } from './contracts.ts';
import type { Dispatcher } from './dispatcher.ts';
import { ModuleError, toError } from './errors.ts';
import type { HookBus } from './hooks.ts';
import type { Hub } from './hub.ts';
import type { LogSink } from './log.ts';
import { describe } from './options.ts';
import { canonical } from './protocol.ts';
import type { Registry } from './registry.ts';
import type { Scope, Undo } from './scope.ts';
import type { HealthBoard } from './statistics.ts';
import type { Transport } from './transport.ts';

/** The places of a manager to which plugins add. */
export interface Places {
  readonly node: Node;
  readonly log: LogSink;
  readonly clock: Clock;
  readonly hooks: HookBus;
  readonly hub: Hub;
  readonly dispatcher: Dispatcher;
  readonly acceptor: Acceptor;
  readonly transport: Transport;
  readonly sendLayers: SendLayer[];
  readonly checks: Registry<HealthCheck>;
  readonly board: HealthBoard;
  readonly collectors: Map<Collector, string>;
  /** What decorate('manager') and decorate('connection') add to. */
  readonly decorated: { readonly manager: object; readonly connection: object };
  onRequest(path: string, handler: HttpHandler, owner: string): Undo;
  onUpgrade(path: string, handler: UpgradeHandler, owner: string): Undo;
  report(error: Error, context: ErrorContext): void;
}

/** What a plugin added: `gates` let messages in and are closed first, so that the rest outlives the messages in flight. */
export interface Scopes {
  readonly gates: Scope;
  readonly rest: Scope;
  readonly abort: AbortController;
}

/** The hands of a plugin: everything it adds is kept in its scopes. */
export function createContext(name: string, scopes: Scopes, places: Places): PluginContext {
  const { gates, rest, abort } = scopes;
  const { hooks, clock, hub, dispatcher, acceptor, transport, board } = places;
  const keep = (scope: Scope, add: () => Undo): Undo => {
    if (scope.closed) throw new ModuleError('CONTEXT_CLOSED', { plugin: name });
    return scope.add(add());
  };
  const guarded = (work: () => unknown) => (): void => {
    const fail = (error: unknown): void => places.report(toError(error), { phase: 'timer', plugin: name });
    try {
      const done = work();
      if (done instanceof Promise) done.catch(fail);
    } catch (error) {
      fail(error);
    }
  };
  return {
    name,
    signal: abort.signal,
    log: places.log.child(name),
    node: places.node,
    registerHandler(type, handler, options) {
      if (typeof handler !== 'function') throw new ModuleError('HANDLER_INVALID', { type, given: describe(handler) });
      keep(gates, () => dispatcher.handlers.add(canonical(type), handler, name, options));
    },
    use: (layer) => void keep(layer.type === 'message' ? gates : rest, () => addLayer(layer, places)),
    on: (event, listener) => void keep(rest, () => hooks.on(event, listener)),
    emit: (event, ...args) => hooks.emit(event, ...args),
    mapError: (map) => void keep(rest, () => insert(dispatcher.errorMaps, map)),
    every(milliseconds, work) {
      let running = false;
      const run = guarded(async () => {
        if (running) return;
        running = true;
        try {
          await work();
        } finally {
          running = false;
        }
      });
      keep(rest, () => {
        const timer = setInterval(run, milliseconds);
        timer.unref();
        return () => clearInterval(timer);
      });
    },
    after(milliseconds, work) {
      // The undo takes itself out of the scope once the work is done, or a plugin that sets many would keep them all.
      const run = guarded(work);
      const undo = keep(rest, () => {
        const deadline = clock.after(milliseconds, () => (undo(), run()));
        return () => deadline.cancel();
      });
      return undo;
    },
    http: (path, handler) => void keep(rest, () => places.onRequest(path, handler, name)),
    upgrade: (path, handler) => void keep(rest, () => places.onUpgrade(path, handler, name)),
    transport: (settings) => void keep(rest, () => transport.configure(settings)),
    health(check, run) {
      keep(rest, () => {
        const remove = places.checks.add(check, run, name);
        void board.ask(check, run);
        return () => (remove(), board.forget(check));
      });
    },
    metrics: (collect) => void keep(rest, () => {
      places.collectors.set(collect, name);
      return () => places.collectors.delete(collect);
    }),
    decorate: (target, members) => void keep(rest, () => decorate(places.decorated[target], target, members)),
    onUnload: (cleanup) => void keep(rest, () => cleanup),
  };

  function addLayer(layer: Layer, { sendLayers }: Places): Undo {
    switch (layer.type) {
      case 'message':
        return dispatcher.addLayer(layer);
      case 'upgrade':
        return push(acceptor.upgradeLayers, layer);
      case 'connection':
        return push(acceptor.connectionLayers, layer);
      case 'send': {
        const undo = push(sendLayers, layer);
        hub.setLayers(sendLayers);
        return () => (undo(), hub.setLayers(sendLayers));
      }
    }
  }
}

function push<T>(list: T[], item: T): Undo {
  list.push(item);
  return () => list.splice(list.indexOf(item), 1);
}

function insert<T>(set: Set<T>, item: T): Undo {
  set.add(item);
  return () => set.delete(item);
}

function decorate(target: object, kind: string, members: PropertyDescriptorMap): Undo {
  const names = Reflect.ownKeys(members);
  for (const name of names) {
    if (name in target) throw new ModuleError('DUPLICATE', { kind: `member of the ${kind}`, name: String(name), owner: 'the kernel or another plugin' });
  }
  for (const name of names) Object.defineProperty(target, name, { ...members[name as string], configurable: true });
  return () => names.forEach((name) => Reflect.deleteProperty(target, name));
}
