import { check, definePlugin, describe, ModuleError, rules, toError, type Connection, type Message, type Next, type Plugin } from '../src/index.ts';
import type { Namespace, NamespaceOptions } from './namespaces/contracts.ts';
import { EventRouter } from './namespaces/event-router.ts';
import { LocalNamespace, type Host } from './namespaces/local-namespace.ts';
import { NamespaceManager, type Places } from './namespaces/namespace-manager.ts';
import { once } from './namespaces/once.ts';
import { refusals } from './namespaces/refusals.ts';

export type * from './namespaces/contracts.ts';
export type { EventFilter, RoutedEvent, RouteHandler } from './namespaces/event-router.ts';
export { EventRouter, NamespaceManager };

export interface NamespacesOptions {
  /** Namespaces to begin with, and their options, by name. @default {} */
  readonly namespaces?: Readonly<Record<string, NamespaceOptions>>;
  /** Namespaces that are defined in a class of their own. */
  readonly manager?: NamespaceManager;
  /** Handlers of several namespaces, behind filters. */
  readonly router?: EventRouter;
  /** Milliseconds that letting somebody in may take, and then who listens to `connect`; less than `message.timeout`. @default 10_000 */
  readonly admitTimeout?: number;
}

export interface NamespacesApi {
  /**
   * The namespace of a name, made where there is none.
   * @throws NAMESPACE_NAME_INVALID, OPTION_INVALID, OPTION_UNKNOWN, and DUPLICATE where options are given for one that there is
   */
  of(name: string, options?: NamespaceOptions): Namespace;
  get(name: string): Namespace | undefined;
  readonly names: readonly string[];
  /** Puts everybody out of a namespace, and forgets it. `false`: there is none. */
  delete(name: string): boolean;
  /** Opens the namespaces of a class of one's own. Returns the undo. @throws DUPLICATE where there is one, or a namespace of a name */
  setNamespaceManager(manager: NamespaceManager): () => void;
  /** Routes what the namespaces have no handler for. Returns the undo. @throws DUPLICATE where there is one */
  setEventRouter(router: EventRouter): () => void;
}

declare module '../src/index.ts' {
  interface PluginApis { namespaces: NamespacesApi }
  interface Hooks {
    'namespace:joined': (event: { readonly namespace: string; readonly connection: Connection }) => void;
    /** With the reason that the namespace's `disconnect` listeners get. */
    'namespace:left': (event: { readonly namespace: string; readonly connection: Connection; readonly reason: string }) => void;
  }
  interface Connection {
    /** Names of the namespaces that it is in. There while `namespaces` is loaded. */
    readonly namespaces?: ReadonlySet<string>;
  }
  /** `of`, `setNamespaceManager` and `setEventRouter` are there while `namespaces` is loaded. */
  interface WebSocketManager extends Pick<NamespacesApi, 'of' | 'setNamespaceManager' | 'setEventRouter'> {}
}

/**
 * Parts of the server with members, layers, handlers and limits of their own, several of which a client may be in over one
 * connection. It enters one with a message `connect` whose `namespace` names it, and leaves with `disconnect`.
 *
 * @throws OPTION_INVALID, OPTION_UNKNOWN
 * @example
 * await manager.use(namespaces()).ready();
 * const chat = manager.of('/chat', { auth: { roles: ['user', 'admin'] }, rateLimit: { messagesPerMinute: 60 } });
 * chat.registerHandler('say', ({ content }) => void chat.publish({ type: 'said', content }));
 */
export function namespaces(options: NamespacesOptions = {}): Plugin<'namespaces', never, NamespacesApi> {
  const { namespaces: given = {}, manager: namespaceManager, router: eventRouter, admitTimeout = 10_000 } = check(options, {
    // Each is held to its own rules where it is made.
    namespaces: rules.group({ each: rules.rule('options of a namespace', () => true) }),
    manager: rules.rule('a NamespaceManager', (value) => value instanceof NamespaceManager),
    router: rules.rule('an EventRouter', (value) => value instanceof EventRouter),
    admitTimeout: rules.duration,
  }, 'namespaces');

  return definePlugin({
    name: 'namespaces',
    setup(context): NamespacesApi {
      const open = new Map<string, LocalNamespace>();
      /** The namespaces that connections are in, by connection id. */
      const joined = new Map<string, Set<LocalNamespace>>();
      let manager: NamespaceManager | undefined;
      let detach: (() => void) | undefined;
      let router: EventRouter | undefined;
      const report = (error: unknown, connection: Connection): void => context.emit('error', toError(error), { phase: 'listener', plugin: context.name, connection });

      const host: Host = {
        node: context.node,
        named: (type) => context.named(type),
        escape: context.escape,
        report,
        within: (work, namespace, connection) => new Promise((resolve, reject) => {
          let isLate = false;
          const cancel = context.after(admitTimeout, () => {
            isLate = true;
            reject(refusals.timeout(namespace));
          });
          work.then(resolve, (error: unknown) => (isLate ? report(error, connection) : reject(error as Error))).finally(cancel);
        }),
        route: (namespace, type) => router?.find(namespace, type),
        joined(namespace, connection) {
          joined.set(connection.id, (joined.get(connection.id) ?? new Set()).add(namespace));
          context.emit('namespace:joined', { namespace: namespace.name, connection });
        },
        left(namespace, connection, reason) {
          const all = joined.get(connection.id);
          all?.delete(namespace);
          if (all?.size === 0) joined.delete(connection.id);
          context.emit('namespace:left', { namespace: namespace.name, connection, reason });
        },
      };
      const places: Places = {
        add(namespace) {
          if (open.has(namespace.name)) throw new ModuleError('DUPLICATE', { kind: 'namespace', name: namespace.name, owner: context.name });
          namespace.open(host);
          open.set(namespace.name, namespace);
        },
        remove(namespace) {
          if (open.get(namespace.name) === namespace) open.delete(namespace.name);
          namespace.close();
        },
      };
      const api: NamespacesApi = {
        of(name, namespaceOptions) {
          const present = open.get(name);
          if (present && namespaceOptions === undefined) return present;
          const namespace = new LocalNamespace(name, namespaceOptions);
          places.add(namespace);
          return namespace;
        },
        get: (name) => open.get(name),
        get names() { return [...open.keys()]; },
        delete(name) {
          const namespace = open.get(name);
          if (namespace && !manager?.deleteNamespace(name)) places.remove(namespace);
          return namespace !== undefined;
        },
        setNamespaceManager(next) {
          assertInstance(next, NamespaceManager, 'setNamespaceManager(manager)');
          if (manager) throw new ModuleError('DUPLICATE', { kind: 'namespace manager', name: context.name, owner: 'this server' });
          const undo = next.attach(places);
          manager = next;
          return (detach = once(() => {
            manager = undefined;
            undo();
          }));
        },
        setEventRouter(next) {
          assertInstance(next, EventRouter, 'setEventRouter(router)');
          if (router) throw new ModuleError('DUPLICATE', { kind: 'event router', name: context.name, owner: 'this server' });
          router = next;
          return once(() => (router = undefined));
        },
      };

      // First here, last to be undone: nothing below may still bring somebody in.
      context.onUnload(() => {
        detach?.();
        for (const namespace of [...open.values()]) places.remove(namespace);
      });
      context.on('connection:identified', (connection) => {
        for (const namespace of [...(joined.get(connection.id) ?? [])]) namespace.review(connection);
      });
      context.on('connection:removed', (connection) => {
        for (const namespace of [...(joined.get(connection.id) ?? [])]) namespace.remove(connection, 'closed');
      });
      context.decorate('connection', { namespaces: { get(this: Connection) { return new Set([...(joined.get(this.id) ?? [])].map(({ name }) => name)); } } });
      context.decorate('manager', {
        of: { value: api.of.bind(api) },
        setNamespaceManager: { value: api.setNamespaceManager.bind(api) },
        setEventRouter: { value: api.setEventRouter.bind(api) },
      });
      context.metrics(() => ({
        namespace_connections: {
          type: 'gauge',
          help: 'Connections in each namespace, on this node.',
          value: [...open.values()].map(({ name, connections }) => ({ labels: { namespace: name }, value: connections.size })),
        },
      }));
      context.use({
        type: 'message',
        name: 'namespaces',
        handler(message: Message, connection: Connection, next: Next) {
          const { namespace } = message;
          if (namespace === undefined || namespace === '/') return next();
          const found = open.get(namespace);
          if (!found) throw refusals.unknown(namespace);
          return found.receive(message, connection);
        },
      });
      for (const [name, namespaceOptions] of Object.entries(given)) api.of(name, namespaceOptions);
      if (namespaceManager) api.setNamespaceManager(namespaceManager);
      if (eventRouter) api.setEventRouter(eventRouter);
      return api;
    },
  });
}

function assertInstance<T>(value: unknown, expected: new () => T, path: string): asserts value is T {
  if (!(value instanceof expected)) throw new ModuleError('OPTION_INVALID', { path, given: describe(value), expected: `an instance of ${expected.name}` });
}

namespaces.namespaces = namespaces;
namespaces.NamespaceManager = NamespaceManager;
namespaces.EventRouter = EventRouter;
export { namespaces as default, namespaces as 'module.exports' };
