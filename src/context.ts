import type { Acceptor } from './acceptor.ts';
import type { Clock } from './clock.ts';
import type { Collector, ErrorContext, Hooks, HttpHandler, Layer, Node, PluginContext, SendLayer, UpgradeHandler } from './contracts.ts';
import type { Dispatcher } from './dispatcher.ts';
import { ModuleError, toError } from './errors.ts';
import type { HookBus } from './hooks.ts';
import type { LogSink } from './log.ts';
import { describe } from './check.ts';
import { canonical } from './protocol.ts';
import { Scope, type Undo } from './scope.ts';
import type { HealthBoard } from './statistics.ts';
import type { Transport } from './transport.ts';
import type { UndoList } from './undo-list.ts';

/** The places of a manager to which plugins add. */
export interface Places {
  readonly node: Node;
  readonly log: LogSink;
  readonly clock: Clock;
  readonly hooks: HookBus;
  readonly dispatcher: Dispatcher;
  readonly acceptor: Acceptor;
  readonly transport: Transport;
  readonly sendLayers: UndoList<SendLayer>;
  readonly board: HealthBoard;
  readonly collectors: UndoList<{ readonly collect: Collector; readonly owner: string }>;
  /** What decorate('manager') and decorate('connection') add to. */
  readonly decorated: { readonly manager: object; readonly connection: object };
  onRequest(path: string, handler: HttpHandler, owner: string): Undo;
  onUpgrade(path: string, handler: UpgradeHandler, owner: string): Undo;
  report(error: Error, context: ErrorContext): void;
}

/** What a plugin added. `gates` let messages in; they are closed first, so that the rest outlives the messages in flight. */
export class PluginScope {
  readonly gates = new Scope();
  readonly rest = new Scope();
  readonly abort = new AbortController();
}

/** The hands of a plugin: everything it adds is kept in its scope. */
export function createContext(name: string, { gates, rest, abort }: PluginScope, places: Places): PluginContext {
  const { node, hooks, clock, dispatcher, transport, collectors } = places;
  const keep = (scope: Scope, add: () => Undo): Undo => {
    if (scope.closed) throw new ModuleError('CONTEXT_CLOSED', { plugin: name });
    return scope.add(add());
  };
  /** Work whose failure is reported and ends nothing. Not started again before it has finished. */
  const guarded = (work: () => unknown): (() => void) => {
    let running = false;
    return () => {
      if (running) return;
      running = true;
      void (async () => work())().catch((error: unknown) => places.report(toError(error), { phase: 'timer', plugin: name })).finally(() => (running = false));
    };
  };
  return {
    name,
    node,
    signal: abort.signal,
    log: places.log.child(name),
    emit(event, ...args) {
      // An error that nobody listens to is heard of all the same.
      if (event === 'error') places.report(...(args as Parameters<Hooks['error']>));
      else hooks.emit(event, ...args);
    },
    registerHandler(type, handler, options) {
      if (typeof handler !== 'function') throw new ModuleError('HANDLER_INVALID', { type, given: describe(handler) });
      keep(gates, () => dispatcher.handlers.add(canonical(type), handler, name, options));
    },
    use: (layer) => void keep(layer.type === 'message' ? gates : rest, () => addLayer(layer, places)),
    on: (event, listener) => void keep(rest, () => hooks.on(event, listener)),
    mapError: (map) => void keep(rest, () => dispatcher.errorMaps.add(map)),
    every: (milliseconds, work) => void keep(rest, () => undone(setInterval(guarded(work), milliseconds).unref(), clearInterval)),
    after(milliseconds, work) {
      const run = guarded(work);
      // Done, it takes itself out of the scope, which would otherwise keep them all.
      const undo = keep(rest, () => undone(clock.after(milliseconds, () => { void undo(); run(); }), (deadline) => deadline.cancel()));
      return () => void undo();
    },
    http: (path, handler) => void keep(rest, () => places.onRequest(path, handler, name)),
    upgrade: (path, handler) => void keep(rest, () => places.onUpgrade(path, handler, name)),
    transport: (settings) => void keep(rest, () => transport.settings.add(settings)),
    health: (check, run) => void keep(rest, () => places.board.add(check, run, name)),
    metrics: (collect) => void keep(rest, () => collectors.add({ collect, owner: name })),
    decorate: (target, members) => void keep(rest, () => decorate(places.decorated[target], target, members)),
    onUnload: (cleanup) => void keep(rest, () => cleanup),
  };
}

/** Binds an undo to what there is to undo. */
const undone = <T>(made: T, undo: (made: T) => unknown): Undo => () => undo(made);

function addLayer(layer: Layer, { dispatcher, acceptor, sendLayers }: Places): Undo {
  switch (layer.type) {
    case 'message': return dispatcher.layers.add(layer);
    case 'connection': return acceptor.connectionLayers.add(layer);
    case 'upgrade': return acceptor.upgradeLayers.add(layer);
    case 'send': return sendLayers.add(layer);
  }
}

function decorate(target: object, kind: string, members: PropertyDescriptorMap): Undo {
  const names = Reflect.ownKeys(members);
  const taken = names.find((name) => name in target);
  if (taken) throw new ModuleError('DUPLICATE', { kind: `member of the ${kind}`, name: String(taken), owner: 'the kernel or another plugin' });
  for (const name of names) Object.defineProperty(target, name, { ...members[name as string], configurable: true });
  return () => names.forEach((name) => Reflect.deleteProperty(target, name));
}
