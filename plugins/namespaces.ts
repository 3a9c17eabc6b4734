import {
  check, defineErrors, definePlugin, describe, ModuleError, Quota, rules,
  type Connection, type ErrorsOf, type LabelledValue, type Plugin, type PluginContext,
} from '../src/index.ts';
import { EventRouter } from './namespaces/event-router.ts';
import { LocalNamespace, type NamespaceHost } from './namespaces/local-namespace.ts';
import type { Namespace, NamespaceOptions } from './namespaces/namespace-contracts.ts';
import { NamespaceManager, once, type OpenNamespaces } from './namespaces/namespace-manager.ts';

export type * from './namespaces/namespace-contracts.ts';
export type { EventFilter, RoutedEvent, RouteHandler } from './namespaces/event-router.ts';
export { EventRouter, NamespaceManager };

export interface NamespacesOptions {
  /** Namespaces to begin with, and their options, by name. @default {} */
  readonly namespaces?: Readonly<Record<string, NamespaceOptions>> | undefined;
  /** Namespaces that are defined in a class. */
  readonly manager?: NamespaceManager | undefined;
  /** Handlers of several namespaces, behind filters. */
  readonly router?: EventRouter | undefined;
  /** Milliseconds for the checks of an entering connection, and then for the listeners to `connect`. @default 10_000 */
  readonly admitTimeout?: number | undefined;
  /** Rooms of all namespaces that the connections of one user, or of one address, may be in together. @default 2_500 */
  readonly maxRoomsPerClient?: number | undefined;
  /** Memberships in rooms of all namespaces, of all connections together. @default 1_000_000 */
  readonly maxRoomsInAll?: number | undefined;
}

export interface NamespacesApi {
  /**
   * The namespace of a name, which is created when it is missing. With options, it must be missing.
   * @throws NAMESPACE_NAME_INVALID, OPTION_INVALID, OPTION_UNKNOWN, DUPLICATE
   */
  of(name: string, options?: NamespaceOptions): Namespace;
  get(name: string): Namespace | undefined;
  readonly names: readonly string[];
  /** Puts all connections out of a namespace and deletes it. `false`: there is no such namespace. */
  delete(name: string): boolean;
  /** Opens the namespaces of a manager. Returns the undo. @throws DUPLICATE for a second one, or a namespace */
  setNamespaceManager(manager: NamespaceManager): () => void;
  /** Routes messages for which a namespace has no handler. Returns the undo. @throws DUPLICATE for a second router */
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
    (d: { given: string }) => 'a namespace\'s name must be a string of at most 128 characters, whose parts are "/" and '
      + `then ASCII letters, digits, "_", "-" or ".", like "/chat"; but is ${d.given}`,
    { expose: true },
  ],
  EVENT_REJECTED: [(d: { filter: string }) => `refused by the filter "${d.filter}"`, { expose: true }],
});

declare module '../src/index.ts' {
  interface Errors extends ErrorsOf<typeof namespacesErrors> {}
  interface PluginApis { namespaces: NamespacesApi }
  interface Hooks {
    'namespace:joined': (event: { readonly namespace: string; readonly connection: Connection }) => void;
    /** With the reason that the namespace's `disconnect` listeners get. */
    'namespace:left': (
      event: { readonly namespace: string; readonly connection: Connection; readonly reason: string },
    ) => void;
  }
  interface Connection {
    /** The names of the namespaces that the connection is in. There while `namespaces` is loaded. */
    readonly namespaces?: ReadonlySet<string> | undefined;
  }
  /** `of`, `setNamespaceManager` and `setEventRouter` are there while `namespaces` is loaded. */
  interface WebSocketManager extends Pick<NamespacesApi, 'of' | 'setNamespaceManager' | 'setEventRouter'> {}
}

const COUNT = rules.integer(1, 2 ** 31 - 1);
const RULES = {
  // Each is held to its own rules where it is created.
  namespaces: rules.group({ each: rules.rule('options of a namespace', () => true) }),
  manager: rules.rule('a NamespaceManager', (value) => value instanceof NamespaceManager),
  router: rules.rule('an EventRouter', (value) => value instanceof EventRouter),
  admitTimeout: rules.duration,
  maxRoomsPerClient: COUNT,
  maxRoomsInAll: COUNT,
};

/**
 * Parts of the server with members, layers, handlers and limits of their own. A client may be in several over one
 * connection. It enters one with a message `connect` whose `namespace` names it, and leaves with `disconnect`. The
 * manager's layers are around all namespaces, whatever the order of `use`.
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

      const host: NamespaceHost = {
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
          namespace.open(host);
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

      // First here and therefore undone last: nothing below may let a connection in afterwards.
      context.onUnload(() => {
        detach?.();
        for (const namespace of [...open.values()]) opened.remove(namespace);
      });
      context.on('connection:identified', (connection) => {
        for (const namespace of joinedBy(connection)) namespace.review(connection);
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
        namespace_connections: { type: 'gauge', help: 'Connections in each namespace, on this node.', value: sizes() },
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

/** There is one at a time. */
function assertFree(present: unknown, kind: string, { name }: PluginContext): void {
  if (present) throw new ModuleError('DUPLICATE', { kind, name, owner: 'this server' });
}

namespaces.namespaces = namespaces;
namespaces.NamespaceManager = NamespaceManager;
namespaces.EventRouter = EventRouter;
export { namespaces as default, namespaces as 'module.exports' };
