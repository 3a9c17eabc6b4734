import { setMaxListeners } from 'node:events';
import {
  check, defineErrors, definePlugin, describe, ModuleError, rules, WebSocketManager,
  type Connection, type ErrorsOf, type Plugin,
} from '../src/index.ts';
import { AcknowledgementsMissing } from './events/broadcast.ts';
import type { Server } from './events/event-contracts.ts';
import { assertFewParameters } from './events/event-handshake.ts';
import type { EventMembers } from './events/event-members.ts';
import { EventServer } from './events/event-server.ts';
import { EventsHost } from './events/events-host.ts';
import { openMain } from './events/main-door.ts';
import { openNamed } from './events/named-door.ts';
import type { AnyEvents } from './events/typed-events.ts';

export type * from './events/event-contracts.ts';
export type { Handshake } from './events/event-handshake.ts';
export type { Layer } from './events/event-layers.ts';
export type { AnyEvents, DisconnectReason } from './events/typed-events.ts';

export interface EventsOptions {
  /**
   * When a client enters the main namespace: `implicit` by being connected, with the credentials of its upgrade, or
   * `explicit` by a message `connect`. @default 'implicit'
   */
  readonly connect?: 'implicit' | 'explicit' | undefined;
  /**
   * Milliseconds for the layers before entering, and then for the listeners of `connection`, during which the client's
   * events wait. A refused client that is in no namespace by then is closed. @default 10_000
   */
  readonly connectTimeout?: number | undefined;
  /** Milliseconds for which an acknowledgement may still be called after its listeners returned. @default 10_000 */
  readonly ackTimeout?: number | undefined;
  /** Rooms of a namespace that one socket may be in, beside its own. @default 1_000 */
  readonly maxRooms?: number | undefined;
  /** Rooms that all sockets of one user, or of one address, may be in together. @default 2_500 */
  readonly maxRoomsPerClient?: number | undefined;
  /** Memberships in rooms of all sockets together. @default 1_000_000 */
  readonly maxRoomsInAll?: number | undefined;
}

export const eventsErrors = defineErrors('events', {
  EVENT_REFUSED: [(_: { data?: unknown }) => 'the event was refused', { expose: true }],
  EVENT_INVALID: [(d: { reason: string }) => `this cannot be the name of an event: it ${d.reason}`, {}],
  PEER_ERROR: [
    (d: { event: string; connection: string; content?: unknown }) => ('content' in d
      ? `the client answered "${d.event}" with an error`
      : `the answer to "${d.event}" cannot be read`),
    {},
  ],
  ACKNOWLEDGEMENTS_MISSING: [
    (d: { missing: number; received: number }) =>
      `${d.missing} of ${d.missing + d.received} sockets did not acknowledge the event`,
    {},
  ],
});

declare module '../src/index.ts' {
  interface Errors extends ErrorsOf<typeof eventsErrors> {}
  interface PluginApis { events: Server }
  interface WebSocketManager {
    /** The server of sockets. There while `events` is loaded. */
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
};

/**
 * Sockets that emit events and listen to them, as in Socket.IO: acknowledgements, rooms, namespaces, layers. Its API is
 * the server of sockets, which is also `manager.io`.
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
    maxRooms = 1_000, maxRoomsPerClient = 2_500, maxRoomsInAll = 1_000_000,
  } = check(options, RULES, 'events');

  return definePlugin({
    name: 'events',
    requires: ['namespaces'],
    setup(context, { namespaces }): Server {
      // Each client that a layer is asked about waits for it too; Node warns from the eleventh.
      setMaxListeners(0, context.signal);
      const settings = { connectTimeout, ackTimeout, maxRooms, maxRoomsPerClient, maxRoomsInAll };
      const isEntered = ({ id, namespaces: names }: Connection): boolean =>
        server.sockets.sockets.has(id) || (names !== undefined && names.size > 0);
      const host = new EventsHost(context, settings, isEntered);
      const open = (members: EventMembers): (() => void) =>
        members.name === '/' ? openMain(members, host, connect) : openNamed(members, host, namespaces);
      context.use({ type: 'upgrade', name: 'events', handler: assertFewParameters });
      context.use({
        type: 'connection',
        name: 'events',
        handler: (_ws, request, metadata) => host.handshakes.keep(request, metadata),
      });
      const warn = (text: string): void => context.log.warn(text);
      context.onUnload(server.attach({ open, clients: context.node.connections, warn }));
      context.decorate('manager', { io: { get: () => server } });
      return server;
    },
  });
}

/**
 * Uses the plugin, and returns its server at once: layers and listeners that are added before the plugin is loaded are
 * there when it is.
 *
 * @throws OPTION_INVALID, OPTION_UNKNOWN
 * @example
 * const manager = WebSocketModule.create({ server, plugins: ['namespaces'] });
 * const io = events.io(manager);
 */
export function io<Listen extends object = AnyEvents, Emit extends object = AnyEvents, Data = any>(
  manager: WebSocketManager, options: EventsOptions = {},
): Server<Listen, Emit, Data> {
  // Code that comes from Socket.IO gives it the http server.
  if (!(manager instanceof WebSocketManager)) {
    const expected = 'given a manager, as WebSocketModule.create({ server }) makes it';
    throw new ModuleError('OPTION_INVALID', { path: 'events.io()', given: describe(manager), expected });
  }
  const server = new EventServer();
  manager.use(serve(server, options));
  // Its own types hold for any map.
  return server as Server<any, any> as Server<Listen, Emit, Data>;
}

events.events = events;
events.io = io;
events.AcknowledgementsMissing = AcknowledgementsMissing;
export { AcknowledgementsMissing, events as default, events as 'module.exports' };
