import {
  check, defineErrors, definePlugin, describe, ModuleError, Quota, rules,
  type Connection, type ErrorsOf, type LabelledValue, type Plugin, type PluginContext,
} from '../src/index.ts';
import { EventRouter } from './namespaces/event-router.ts';
import { LocalNamespace, type NamespaceServer } from './namespaces/local-namespace.ts';
import type { Namespace, NamespaceOptions } from './namespaces/namespace-contracts.ts';
import { NamespaceManager, once, type OpenNamespaces } from './namespaces/namespace-manager.ts';

export type * from './namespaces/namespace-contracts.ts';
export type { EventFilter, RoutedEvent, RouteHandler } from './namespaces/event-router.ts';
export { EventRouter, NamespaceManager };

export interface NamespacesOptions {
  /** Namespaces to create when the plugin is loaded: options by name. @default {} */
  readonly namespaces?: Readonly<Record<string, NamespaceOptions>> | undefined;
  /** A class that defines namespaces. */
  readonly manager?: NamespaceManager | undefined;
  /** A class with handlers of several namespaces, and filters. */
  readonly router?: EventRouter | undefined;
  /** Time limit in milliseconds for admission checks, and again for the listeners of `connect`. @default 10_000 */
  readonly admitTimeout?: number | undefined;
  /** Maximum rooms of all connections of one user or, for anonymous clients, of one address. @default 2_500 */
  readonly maxRoomsPerClient?: number | undefined;
  /** Maximum rooms of all connections, each room counted once per connection. @default 1_000_000 */
  readonly maxRoomsInAll?: number | undefined;
}

export interface NamespacesApi {
  /**
   * Returns the namespace of a name, or creates it. With options, the namespace must not exist yet.
   * @throws NAMESPACE_NAME_INVALID, OPTION_INVALID, OPTION_UNKNOWN, DUPLICATE
   */
  of(name: string, options?: NamespaceOptions): Namespace;
  get(name: string): Namespace | undefined;
  readonly names: readonly string[];
  /** Removes all connections from a namespace and deletes it. `false`: the namespace does not exist. */
  delete(name: string): boolean;
  /** Opens the namespaces of a manager. Returns its undo. @throws DUPLICATE for a second manager or an existing name */
  setNamespaceManager(manager: NamespaceManager): () => void;
  /** Routes messages without a handler in their namespace. Returns its undo. @throws DUPLICATE for a second router */
  setEventRouter(router: EventRouter): () => void;
}

export const namespacesErrors = defineErrors('namespaces', {
  NAMESPACE_UNKNOWN: [(d: { namespace: string }) => `there is no namespace "${d.namespace}"`, { expose: true }],
  NAMESPACE_NOT_JOINED: [
    (d: { namespace: string }) => `the connection is not in "${d.namespace}"; send "connect" first`, { expose: true },
  ],
  NAMESPACE_ALREADY_JOINED: [
    (d: { namespace: string }) => `the connection is already in "${d.namespace}"`, { expose: true },
  ],
  NAMESPACE_TIMEOUT: [(d: { namespace: string }) => `entering "${d.namespace}" took too long`, { expose: true }],
  NAMESPACE_NAME_INVALID: [
    (d: { given: string }) => 'the name of a namespace must be a string like "/chat", up to 128 characters: "/" and '
      + `then ASCII letters, digits, "_", "-" or "." in each part; but is ${d.given}`,
    { expose: true },
  ],
  EVENT_REJECTED: [(d: { filter: string }) => `rejected by the filter "${d.filter}"`, { expose: true }],
});

declare module '../src/index.ts' {
  interface Errors extends ErrorsOf<typeof namespacesErrors> {}
  interface PluginApis { namespaces: NamespacesApi }
  interface Hooks {
    'namespace:joined': (event: { readonly namespace: string; readonly connection: Connection }) => void;
    /** `reason` is the one that the namespace's `disconnect` listeners get. */
    'namespace:left': (
      event: { readonly namespace: string; readonly connection: Connection; readonly reason: string },
    ) => void;
  }
  interface Connection {
    /** The names of the connection's namespaces, while `namespaces` is loaded. */
    readonly namespaces?: ReadonlySet<string> | undefined;
  }
  /** `of`, `setNamespaceManager` and `setEventRouter` exist while `namespaces` is loaded. */
  interface WebSocketManager extends Pick<NamespacesApi, 'of' | 'setNamespaceManager' | 'setEventRouter'> {}
}

const COUNT = rules.integer(1, 2 ** 31 - 1);
const RULES = {
  // The options of each namespace are checked when it is created.
  namespaces: rules.group({ each: rules.rule('options of a namespace', () => true) }),
  manager: rules.rule('a NamespaceManager', (value) => value instanceof NamespaceManager),
  router: rules.rule('an EventRouter', (value) => value instanceof EventRouter),
  admitTimeout: rules.duration,
  maxRoomsPerClient: COUNT,
  maxRoomsInAll: COUNT,
};

/**
 * Namespaces are parts of the server with members, layers, handlers and limits of their own. A client may be in several
 * namespaces over one connection. It enters by a message `connect` with the name in `namespace`, and leaves by
 * `disconnect`. Layers of the manager run before those of namespaces, in any order of `use`.
 *
 * @throws OPTION_INVALID, OPTION_UNKNOWN
 * @example
 * await manager.use(namespaces()).ready();
 * const chat = manager.of('/chat', { auth: { roles: ['user', 'admin'] }, rateLimit: { messagesPerMinute: 60 } });
 * chat.registerHandler('say', ({ payload }) => void chat.publish({ type: 'said', content: payload }));
 */
export function namespaces(options: NamespacesOptions = {}): Plugin<'namespaces', never, NamespacesApi> {
  const given = check(options, RULES, 'namespaces');
  const { admitTimeout = 10_000, maxRoomsPerClient = 2_500, maxRoomsInAll = 1_000_000 } = given;

  return definePlugin({
    name: 'namespaces',
    events: ['namespace:joined', 'namespace:left'],
    setup(context): NamespacesApi {
      const open = new Map<string, LocalNamespace>();
      /** The namespaces that connections are in, by connection id. */
      const joined = new Map<string, Set<LocalNamespace>>();
      let manager: NamespaceManager | undefined;
      let detach: (() => void) | undefined;
      let router: EventRouter | undefined;

      const server: NamespaceServer = {
        context,
        admitTimeout,
        rooms: new Quota({ max: maxRoomsInAll, maxPerOwner: maxRoomsPerClient }),
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
      const opened: OpenNamespaces = {
        add(namespace) {
          const { name } = namespace;
          if (open.has(name)) throw new ModuleError('DUPLICATE', { kind: 'namespace', name, owner: context.name });
          namespace.open(server);
          open.set(name, namespace);
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
          opened.add(namespace);
          return namespace;
        },
        get: (name) => open.get(name),
        get names() { return [...open.keys()]; },
        delete(name) {
          const namespace = open.get(name);
          if (namespace && !manager?.deleteNamespace(name)) opened.remove(namespace);
          return namespace !== undefined;
        },
        setNamespaceManager(next) {
          assertInstance(next, NamespaceManager, 'setNamespaceManager(manager)');
          assertFree(manager, 'namespace manager', context);
          const undo = next.attach(opened);
          manager = next;
          return (detach = once(() => {
            manager = undefined;
            undo();
          }));
        },
        setEventRouter(next) {
          assertInstance(next, EventRouter, 'setEventRouter(router)');
          assertFree(router, 'event router', context);
          router = next;
          return once(() => (router = undefined));
        },
      };
      const joinedBy = ({ id }: Connection): LocalNamespace[] => [...(joined.get(id) ?? [])];

      // Registered first and therefore undone last, so that no connection can enter afterwards.
      context.onUnload(() => {
        detach?.();
        for (const namespace of [...open.values()]) opened.remove(namespace);
      });
      context.on('connection:identified', (connection) => {
        for (const namespace of joinedBy(connection)) namespace.recheck(connection);
      });
      context.on('connection:removed', (connection) => {
        for (const namespace of joinedBy(connection)) namespace.remove(connection, 'closed');
      });
      context.decorate('connection', {
        namespaces: { get(this: Connection) { return new Set(joinedBy(this).map(({ name }) => name)); } },
      });
      context.decorate('manager', {
        of: { value: api.of.bind(api) },
        setNamespaceManager: { value: api.setNamespaceManager.bind(api) },
        setEventRouter: { value: api.setEventRouter.bind(api) },
      });
      const sizes = (): LabelledValue[] => [...open.values()]
        .map(({ name, connections }) => ({ labels: { namespace: name }, value: connections.size }));
      context.metrics(() => ({
        namespace_connections: { type: 'gauge', help: 'Number of connections, by namespace.', value: sizes() },
      }));
      context.route((message, connection) => {
        const { namespace } = message;
        if (namespace === undefined || namespace === '/') return undefined;
        const found = open.get(namespace);
        if (!found) throw new ModuleError('NAMESPACE_UNKNOWN', { namespace });
        return found.find(message, connection);
      });
      for (const [name, namespaceOptions] of Object.entries(given.namespaces ?? {})) api.of(name, namespaceOptions);
      if (given.manager) api.setNamespaceManager(given.manager);
      if (given.router) api.setEventRouter(given.router);
      return api;
    },
  });
}

function assertInstance<T>(value: unknown, expected: new () => T, path: string): asserts value is T {
  if (value instanceof expected) return;
  const { name } = expected;
  throw new ModuleError('OPTION_INVALID', { path, given: describe(value), expected: `an instance of ${name}` });
}

function assertFree(present: unknown, kind: string, { name }: PluginContext): void {
  if (present) throw new ModuleError('DUPLICATE', { kind, name, owner: 'this server' });
}

namespaces.namespaces = namespaces;
namespaces.NamespaceManager = NamespaceManager;
namespaces.EventRouter = EventRouter;
export { namespaces as default, namespaces as 'module.exports' };
