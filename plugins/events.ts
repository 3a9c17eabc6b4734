import { setMaxListeners } from 'node:events';
import {
  check, defineErrors, definePlugin, describe, ModuleError, rules, WebSocketManager,
  type Adapter, type Connection, type ErrorsOf, type Plugin,
} from '../src/index.ts';
import { AcknowledgementsMissing } from './events/broadcast.ts';
import { answerCall } from './events/event-answers.ts';
import type { Call } from './events/event-calls.ts';
import type { Server } from './events/event-contracts.ts';
import { assertFewParameters } from './events/event-handshake.ts';
import type { EventMembers } from './events/event-members.ts';
import { EventNodes, NodesMissing } from './events/event-nodes.ts';
import { EventServer } from './events/event-server.ts';
import { EventsRuntime } from './events/events-runtime.ts';
import { openMainNamespace } from './events/main-namespace.ts';
import { openNamedNamespace } from './events/named-namespace.ts';
import type { AnyEvents } from './events/typed-events.ts';

export type * from './events/event-contracts.ts';
export type { Handshake } from './events/event-handshake.ts';
export type { Layer } from './events/event-layers.ts';
export type { AnyEvents, DisconnectReason } from './events/typed-events.ts';

export interface EventsOptions {
  /**
   * How a client enters the main namespace: `implicit`, as soon as it is connected, with the credentials of its upgrade
   * request; or `explicit`, by a message `connect`. @default 'implicit'
   */
  readonly connect?: 'implicit' | 'explicit' | undefined;
  /**
   * Time limit in milliseconds for the layers of a namespace, and again for the listeners of `connection`. A rejected
   * client that is in no namespace after this time is closed. @default 10_000
   */
  readonly connectTimeout?: number | undefined;
  /** Milliseconds in which an acknowledgement must be called after the listeners returned. @default 10_000 */
  readonly ackTimeout?: number | undefined;
  /** Maximum rooms of one socket, without the room of its own id. @default 1_000 */
  readonly maxRooms?: number | undefined;
  /** Maximum rooms of all sockets of one user or, for anonymous clients, of one address. @default 2_500 */
  readonly maxRoomsPerClient?: number | undefined;
  /** Maximum rooms of all sockets, each room counted once per socket. @default 1_000_000 */
  readonly maxRoomsInAll?: number | undefined;
  /** Milliseconds that other nodes have to answer `fetchSockets` and `serverSideEmit`. @default 5_000 */
  readonly nodeTimeout?: number | undefined;
}

export const eventsErrors = defineErrors('events', {
  EVENT_REFUSED: [(_: { data?: unknown }) => 'the event was rejected', { expose: true }],
  EVENT_INVALID: [(d: { reason: string }) => `invalid event name: it ${d.reason}`, {}],
  PEER_ERROR: [
    (d: { event: string; connection: string; content?: unknown }) => ('content' in d
      ? `the client answered "${d.event}" with an error`
      : `the client's acknowledgement of "${d.event}" is invalid`),
    {},
  ],
  ACKNOWLEDGEMENTS_MISSING: [
    (d: { missing: number; received: number; nodes?: readonly string[] | undefined }) =>
      [
        `${d.missing} of ${d.missing + d.received} sockets did not acknowledge the event`,
        ...(d.nodes ? [`nodes that did not answer: ${d.nodes.join(', ')}`] : []),
      ].join('; '),
    {},
  ],
  NODES_MISSING: [(d: { nodes: readonly string[] }) => `nodes that did not answer: ${d.nodes.join(', ')}`, {}],
  DATA_NOT_JSON: [(d: { what: string; reason: string }) => `${d.what} cannot be sent to other nodes: ${d.reason}`, {}],
});

declare module '../src/index.ts' {
  interface Errors extends ErrorsOf<typeof eventsErrors> {}
  interface PluginApis { events: Server }
  interface WebSocketManager {
    /** The server of `events`, while the plugin is loaded. */
    readonly io: Server;
  }
}

const COUNT = rules.integer(1, 2 ** 31 - 1);
const RULES = {
  connect: rules.oneOf('implicit', 'explicit'),
  connectTimeout: rules.duration,
  ackTimeout: rules.duration,
  maxRooms: rules.integer(1, 1_000_000),
  maxRoomsPerClient: COUNT,
  maxRoomsInAll: COUNT,
  nodeTimeout: rules.duration,
};

/**
 * Sockets that emit events and listen to them, as in Socket.IO, with acknowledgements, rooms, namespaces and layers.
 * The API of the plugin is the server, which is also `manager.io`.
 *
 * @throws OPTION_INVALID, OPTION_UNKNOWN
 * @example manager.use(namespaces()).use(events());
 */
export function events(options: EventsOptions = {}): Plugin<'events', 'namespaces', Server> {
  return serve(new EventServer(), options);
}

function serve(server: EventServer, options: EventsOptions): Plugin<'events', 'namespaces', Server> {
  const {
    connect = 'implicit', connectTimeout = 10_000, ackTimeout = 10_000,
    maxRooms = 1_000, maxRoomsPerClient = 2_500, maxRoomsInAll = 1_000_000, nodeTimeout = 5_000,
  } = check(options, RULES, 'events');

  return definePlugin({
    name: 'events',
    requires: ['namespaces'],
    setup(context, { namespaces }): Server {
      // Each entering client adds a listener to the signal, and Node warns when there are more than ten.
      setMaxListeners(0, context.signal);
      const settings = { connectTimeout, ackTimeout, maxRooms, maxRoomsPerClient, maxRoomsInAll };
      const isEntered = ({ id, namespaces: names }: Connection): boolean =>
        server.sockets.sockets.has(id) || (names !== undefined && names.size > 0);
      const answer = (call: Call): unknown => answerCall(server.find(call.namespace), call);
      const nodes = new EventNodes(context, answer, nodeTimeout);
      const runtime = new EventsRuntime(context, settings, nodes, isEntered);
      const open = (members: EventMembers): (() => void) => (members.name === '/'
        ? openMainNamespace(members, runtime, connect)
        : openNamedNamespace(members, runtime, namespaces));
      context.use({ type: 'upgrade', name: 'events', handler: assertFewParameters });
      context.use({
        type: 'connection',
        name: 'events',
        handler: (_ws, request, metadata) => runtime.handshakes.keep(request, metadata),
      });
      const useAdapter = (adapter: unknown): void => {
        context.node.useAdapter(adapter as Adapter)
          .catch((error: unknown) => context.report(error, { phase: 'adapter' }));
      };
      context.onUnload(server.attach({ open, clients: context.node.connections, useAdapter }));
      context.decorate('manager', { io: { get: () => server } });
      return server;
    },
  });
}

/**
 * Adds the plugin and returns the server at once. Layers and listeners may be added before the plugin is loaded.
 *
 * @throws OPTION_INVALID, OPTION_UNKNOWN
 * @example
 * const manager = WebSocketModule.create({ server, plugins: ['namespaces'] });
 * const io = events.io(manager);
 */
export function io<
  Listen extends object = AnyEvents, Emit extends object = AnyEvents, Data = any, Nodes extends object = AnyEvents,
>(manager: WebSocketManager, options: EventsOptions = {}): Server<Listen, Emit, Data, Nodes> {
  // Code written for Socket.IO passes the http server.
  if (!(manager instanceof WebSocketManager)) {
    const expected = 'a manager, created by WebSocketModule.create({ server })';
    throw new ModuleError('OPTION_INVALID', { path: 'events.io()', given: describe(manager), expected });
  }
  const server = new EventServer();
  manager.use(serve(server, options));
  // The implementation accepts any events.
  return server as Server<any, any> as Server<Listen, Emit, Data, Nodes>;
}

events.events = events;
events.io = io;
events.AcknowledgementsMissing = AcknowledgementsMissing;
events.NodesMissing = NodesMissing;
export { AcknowledgementsMissing, NodesMissing, events as default, events as 'module.exports' };
