import type { Acceptor, Gate } from '../upgrade/acceptor.ts';
import { describe } from '../runtime/check.ts';
import type { Hooks, Layer, Node, PluginContext } from '../contracts.ts';
import { ModuleError, toError } from '../errors.ts';
import type { Hub } from '../messages/hub.ts';
import { canonical, named } from '../protocol.ts';
import type { Router } from '../upgrade/router.ts';
import { Scope, type Undo } from '../runtime/scope.ts';

/** The places of a manager to which plugins add. */
export interface Places extends Gate, Omit<Node, keyof Hub> {
  readonly acceptor: Acceptor;
  readonly router: Router;
  /** What decorate('manager') adds to. */
  readonly manager: object;
}

/** What a plugin added. `gates` let messages in; they are closed first, so that the rest outlives the messages in flight. */
export class PluginScope {
  readonly gates = new Scope();
  readonly rest = new Scope();
  readonly abort = new AbortController();
}

/** The hands of a plugin: everything it adds is kept in its scope. */
export function createContext(name: string, { gates, rest, abort }: PluginScope, places: Places): PluginContext {
  const { core: { clock, hooks, log, settings, statistics }, dispatcher, transport, router } = places;
  const keep = (add: () => Undo, scope = rest): Undo => {
    if (scope.closed) throw new ModuleError('CONTEXT_CLOSED', { plugin: name });
    return scope.add(add());
  };
  const report = (error: unknown, phase: 'timer' | 'http'): void => places.core.report(toError(error), { phase, plugin: name });
  /** Work whose failure is reported and ends nothing. Not started again before it has finished. */
  const guarded = (work: () => unknown): (() => void) => {
    let running = false;
    return () => {
      if (running) return;
      running = true;
      void (async () => work())().catch((error: unknown) => report(error, 'timer')).finally(() => (running = false));
    };
  };
  const decorated = { connection: places.Connection.prototype, connections: places.connections, manager: places.manager };
  return {
    name,
    named: (type) => named(type, settings.naming),
    node: places,
    signal: abort.signal,
    log: log.child(name),
    emit(event, ...args) {
      // An error that nobody listens to is heard of all the same.
      if (event === 'error') places.core.report(...(args as Parameters<Hooks['error']>));
      else hooks.emit(event, ...args);
    },
    registerHandler(type, handler, options) {
      if (typeof handler !== 'function') throw new ModuleError('HANDLER_INVALID', { type, given: describe(handler) });
      keep(() => dispatcher.handlers.add(canonical(type), handler, name, options), gates);
    },
    use: (layer) => void keep(() => addLayer(layer, places), layer.type === 'message' ? gates : rest),
    on: (event, listener) => void keep(() => hooks.on(event, listener)),
    mapError: (map) => void keep(() => dispatcher.errorMaps.add(map)),
    every: (milliseconds, work) => void keep(() => undone(setInterval(guarded(work), milliseconds).unref(), clearInterval)),
    after(milliseconds, work) {
      const run = guarded(work);
      // Done, it takes itself out of the scope, which would otherwise keep them all.
      const undo = keep(() => undone(clock.after(milliseconds, () => { void undo(); run(); }), (deadline) => deadline.cancel()));
      return () => void undo();
    },
    http: (path, handler) => void keep(() => router.onRequest(path, handler, name, (error) => report(error, 'http'))),
    upgrade: (path, handler) => void keep(() => router.onUpgrade(path, handler, name, settings.handshakeTimeout)),
    transport: (more) => void keep(() => transport.settings.add(more)),
    health: (check, run) => void keep(() => statistics.board.add(check, run, name)),
    metrics: (collect) => void keep(() => statistics.collectors.add({ collect, owner: name })),
    decorate: (target, members) => void keep(() => decorate(decorated[target], target, members)),
    onUnload: (cleanup) => void keep(() => cleanup),
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
