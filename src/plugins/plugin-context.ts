import { describe } from '../runtime/check.ts';
import type { Hooks, Layer, Node, PluginContext } from '../contracts.ts';
import { ModuleError, toError } from '../errors.ts';
import type { Dispatcher } from '../messages/dispatcher.ts';
import type { Hub } from '../messages/hub.ts';
import type { Intake } from '../messages/intake.ts';
import { named } from '../protocol.ts';
import { TimeoutQueue } from '../runtime/timeout-queue.ts';
import { Scope, type Labelled, type Undo } from '../runtime/scope.ts';
import type { Acceptor } from '../upgrade/acceptor.ts';
import type { Router } from '../upgrade/router.ts';
import { isAbsent } from './absent-members.ts';
import { createSharedStore } from './shared-store.ts';

/** The parts of a manager to which plugins add. */
export interface Parts {
  readonly hub: Hub;
  readonly dispatcher: Dispatcher;
  readonly intake: Intake;
  readonly acceptor: Acceptor;
  readonly router: Router;
  /** What decorate() adds to. */
  readonly decorated: { readonly connection: object; readonly connections: object; readonly manager: object };
  /** The names of the active plugins. */
  readonly loaded: () => readonly string[];
}

/**
 * Everything that one plugin added. `entrances` (handlers, routes, message layers) are undone first: running messages
 * may still use the rest.
 */
export class PluginScope {
  readonly entrances = new Scope();
  readonly rest = new Scope();
  readonly abort = new AbortController();

  /** Lists what no inventory of the kernel lists: timers, decorations, clean-ups. */
  inventory(owner: string): Labelled[] {
    return [...this.entrances.labels(), ...this.rest.labels()]
      .filter((label) => label !== LISTED)
      .map((label) => ({ owner, label }));
  }
}

/** The label of everything that an inventory of the kernel lists already. */
const LISTED = '';

/** Creates the PluginContext. Everything added through it is undone on unload. */
export function createContext(name: string, { entrances, rest, abort }: PluginScope, parts: Parts): PluginContext {
  const { dispatcher, hub, intake, router } = parts;
  const { clock, hooks, log, settings, statistics } = hub.core;
  const keep = (add: () => Undo, label = LISTED, scope = rest): Undo => {
    if (scope.closed) throw new ModuleError('CONTEXT_CLOSED', { plugin: name });
    return scope.add(add(), label);
  };
  const report: PluginContext['report'] = (error, where) =>
    hub.core.report(toError(error), { phase: 'plugin', plugin: name, ...where });
  /** Wraps work: failures are reported, and a run starts only after the previous one has finished. */
  const guarded = (work: () => unknown): (() => void) => {
    let isRunning = false;
    return () => {
      if (isRunning) return;
      isRunning = true;
      void (async () => work())()
        .catch((error: unknown) => report(error, { phase: 'timer' }))
        .finally(() => (isRunning = false));
    };
  };
  return {
    name,
    named: (type) => named(type, settings.naming),
    node: createNode(name, parts, rest),
    signal: abort.signal,
    log: log.child(name),
    emit(event, ...args) {
      // report() writes an error without a listener to the log.
      if (event === 'error') hub.core.report(...(args as Parameters<Hooks['error']>));
      else hooks.emit(event, ...args);
    },
    report,
    within(milliseconds, work, onTimeout) {
      return clock.within(milliseconds, work, () => {
        work.catch((error: unknown) => report(error));
        return onTimeout();
      });
    },
    registerHandler(type, handler, options) {
      if (typeof handler !== 'function') throw new ModuleError('HANDLER_INVALID', { type, given: describe(handler) });
      keep(() => dispatcher.handlers.add(type, handler, name, options), LISTED, entrances);
    },
    escape: dispatcher.escape,
    route: (find, options) => void keep(() => dispatcher.handlers.route(find, name, options), LISTED, entrances),
    guardFrames: (guard) => void keep(() => intake.guards.add(guard, name)),
    publishWith: (take) => void keep(() => hub.publishers.add(take, name)),
    use: (layer) => void keep(() => addLayer(layer, name, parts), LISTED, layer.type === 'message' ? entrances : rest),
    on: (event, listener) => void keep(() => hooks.on(event, listener, name)),
    mapError: (map) => void keep(() => dispatcher.errorMaps.add(map, name)),
    every(milliseconds, work) {
      keep(
        () => undoOf(setInterval(guarded(work), milliseconds).unref(), clearInterval),
        `timer every ${milliseconds} ms`,
      );
    },
    after(milliseconds, work) {
      const run = guarded(work);
      // A deadline that fired is removed from the scope; otherwise the scope would grow forever.
      const make = () =>
        undoOf(
          clock.after(milliseconds, () => {
            void undo();
            run();
          }),
          (deadline) => deadline.cancel(),
        );
      const undo = keep(make, `deadline of ${milliseconds} ms`);
      return () => void undo();
    },
    timeoutQueue(milliseconds, onTimeout) {
      const queue = new TimeoutQueue(clock, milliseconds, onTimeout);
      keep(() => () => queue.clear(), `timeouts of ${milliseconds} ms`);
      return queue;
    },
    channel(channel, answer) {
      if (typeof answer !== 'function') {
        throw new ModuleError('HANDLER_INVALID', { type: channel, given: describe(answer) });
      }
      const { channels } = hub.cluster;
      const full = `${name}:${channel}`;
      keep(() => channels.add(full, answer, name));
      return {
        tell: (payload, options) => channels.tell(full, payload, options),
        ask: (payload, options) => channels.ask(full, payload, options),
      };
    },
    journal: settings.adapter?.journal,
    store: hub.cluster.lease && createSharedStore(name, hub.cluster.lease, keep),
    seats(part) {
      const enterAgain: unknown = (part as { readonly enterAgain?: unknown }).enterAgain;
      if (typeof enterAgain !== 'function') {
        throw new ModuleError('HANDLER_INVALID', { type: 'enterAgain', given: describe(enterAgain) });
      }
      // Without a store there is no lease that could be lost.
      const undo = keep(() => hub.cluster.lease?.parts.add(name, part) ?? (() => undefined));
      return () => void undo();
    },
    http: (path, handler) =>
      void keep(() => router.onRequest(path, handler, name, (error) => report(error, { phase: 'http' }))),
    accept: (offer) => parts.acceptor.accept(offer),
    upgrade: (path, handler) => void keep(() => router.onUpgrade(path, handler, name, settings.handshakeTimeout)),
    transport: (more) => void keep(() => hub.transport.settings.add(more, name)),
    health: (check, run) => void keep(() => statistics.healthChecks.add(check, run, name)),
    metrics: (collect) => void keep(() => statistics.collectors.add({ collect, owner: name }, name)),
    decorate(target, members) {
      keep(
        () => decorate(parts.decorated[target], target, members),
        `members of the ${target}: ${Reflect.ownKeys(members).map(String).join(', ')}`,
      );
    },
    onUnload: (cleanup) => void keep(() => cleanup, 'clean-up'),
  };
}

/** Creates the interface to the node for one plugin. It exposes nothing else of the kernel. */
function createNode(name: string, { dispatcher, hub, acceptor, loaded }: Parts, scope: Scope): Node {
  const { statistics } = hub.core;
  const assertOpen = (): void => { if (scope.closed) throw new ModuleError('CONTEXT_CLOSED', { plugin: name }); };
  return {
    id: hub.id,
    get isAlone() { return hub.isAlone; },
    useAdapter: (adapter) => hub.useAdapter(adapter),
    get peers() { return hub.cluster.peers.ids; },
    path: hub.core.settings.path,
    messageTimeout: hub.core.settings.message.timeout,
    connections: hub.connections,
    publish: (topic, message, options) => hub.publish(topic, message, options),
    deliver: (topic, message, position) => hub.deliver(topic, message, position),
    prepare: (topic, message) => hub.prepare(topic, message),
    deliverPrepared: (topic, message, options) => hub.deliverPrepared(topic, message, options),
    send: (connectionId, message) => hub.send(connectionId, message),
    subscribers: (topic) => hub.subscribers(topic),
    subscribe(connection, topic) {
      assertOpen();
      hub.subscribe(connection, topic, name);
    },
    whenSubscribed: (topic) => hub.cluster.whenSubscribed(topic),
    unsubscribe: (connection, topic) => hub.unsubscribe(connection, topic, name),
    identify(connection, user) {
      assertOpen();
      hub.identify(connection, user, name);
    },
    hold(connection, isHeld) {
      if (isHeld) assertOpen();
      hub.hold(connection, isHeld, name);
    },
    resume(connection, sessionId) {
      assertOpen();
      hub.resume(connection, sessionId, name);
    },
    drained: (target) => hub.drained(target),
    describeMetrics: () => statistics.describeMetrics(),
    health: () => statistics.health(acceptor.isClosed),
    metrics: () => statistics.metrics(),
    types: () => dispatcher.handlers.types(),
    loaded,
  };
}

/** Returns a function that undoes what was made. */
const undoOf = <T>(made: T, undo: (made: T) => unknown): Undo => () => undo(made);

function addLayer(layer: Layer, owner: string, { dispatcher, acceptor, hub }: Parts): Undo {
  switch (layer.type) {
    case 'message': return dispatcher.layers.add(layer, owner);
    case 'connection': return acceptor.connectionLayers.add(layer, owner);
    case 'upgrade': return acceptor.upgradeLayers.add(layer, owner);
    case 'send': return hub.sendLayers.add(layer, owner);
  }
}

function decorate(target: object, kind: string, members: PropertyDescriptorMap): Undo {
  const names = Reflect.ownKeys(members);
  const taken = names.find((name) => name in target && !isAbsent(target, name));
  if (taken) {
    throw new ModuleError('DUPLICATE', {
      kind: `member of the ${kind}`,
      name: String(taken),
      owner: 'the kernel or another plugin',
    });
  }
  const absent = names.map((name) => [name, Object.getOwnPropertyDescriptor(target, name)] as const);
  for (const name of names) Object.defineProperty(target, name, { ...members[name as string], configurable: true });
  return () => {
    for (const [name, descriptor] of absent) {
      Reflect.deleteProperty(target, name);
      // Restore the placeholder, which names the built-in to load.
      if (descriptor) Object.defineProperty(target, name, descriptor);
    }
  };
}
