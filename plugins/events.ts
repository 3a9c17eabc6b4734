import { setMaxListeners } from 'node:events';
import { check, definePlugin, describe, ModuleError, rules, WebSocketManager, type Plugin } from '../src/index.ts';
import { AcknowledgementsMissing } from './events/broadcast.ts';
import type { Server } from './events/contracts.ts';
import { Handshakes } from './events/handshake.ts';
import type { Host } from './events/host.ts';
import { LocalServer } from './events/local-server.ts';
import { openMain } from './events/main-door.ts';
import type { Members } from './events/members.ts';
import { openNamed } from './events/named-door.ts';
import type { AnyEvents } from './events/typed-events.ts';

export type * from './events/contracts.ts';
export type { DisconnectReason } from './events/disconnect-reason.ts';
export type { Handshake } from './events/handshake.ts';
export type { Layer } from './events/layers.ts';
export type { AnyEvents } from './events/typed-events.ts';

export interface EventsOptions {
  /**
   * When a client enters the main namespace: `implicit`, by being connected, with the credentials of its upgrade; `explicit`, by a
   * message `connect`. @default 'implicit'
   */
  readonly connect?: 'implicit' | 'explicit';
  /** Milliseconds that the layers may take to let somebody in, and then what listens to `connection`, while its events wait. @default 10_000 */
  readonly connectTimeout?: number;
  /** Milliseconds for which an acknowledgement may still be called when the listeners have returned, and gave no promise. @default 10_000 */
  readonly ackTimeout?: number;
  /** Rooms of a namespace that one socket may be in, beside its own. @default 1_000 */
  readonly maxRooms?: number;
}

declare module '../src/index.ts' {
  interface PluginApis { events: Server }
  interface WebSocketManager {
    /** The server of sockets. There while `events` is loaded. */
    readonly io: Server;
  }
}

/**
 * Sockets that emit events and listen to them, in the manner of Socket.IO: acknowledgements, rooms, namespaces, layers. Its API is
 * the server of sockets, which is `manager.io`, too.
 *
 * @throws OPTION_INVALID, OPTION_UNKNOWN
 * @example manager.use(namespaces()).use(events());
 */
export function events(options: EventsOptions = {}): Plugin<'events', 'namespaces', Server> { return serve(new LocalServer(), options); }

function serve(server: LocalServer, options: EventsOptions): Plugin<'events', 'namespaces', Server> {
  const { connect = 'implicit', connectTimeout = 10_000, ackTimeout = 10_000, maxRooms = 1_000 } = check(options, {
    connect: rules.oneOf('implicit', 'explicit'),
    connectTimeout: rules.duration,
    ackTimeout: rules.duration,
    maxRooms: rules.integer(1, 1_000_000),
  }, 'events');

  return definePlugin({
    name: 'events',
    requires: ['namespaces'],
    setup(context, { namespaces }): Server {
      // Everybody whom a layer is asked about waits for it, too; Node warns from the eleventh.
      setMaxListeners(0, context.signal);
      const handshakes = new Handshakes();
      const host: Host = { context, settings: { connectTimeout, ackTimeout, maxRooms } };
      const open = (members: Members): (() => void) =>
        members.name === '/' ? openMain(members, host, handshakes, connect) : openNamed(members, host, handshakes, namespaces);
      context.use({ type: 'connection', name: 'events', handler: (_ws, request, metadata) => handshakes.keep(request, metadata) });
      context.onUnload(server.attach({ open, clients: context.node.connections, warn: (text) => context.log.warn(text) }));
      context.decorate('manager', { io: { get: () => server } });
      return server;
    },
  });
}

/**
 * Uses the plugin, and gives its server at once: layers and listeners that are added before everything is in place are there when it is.
 *
 * @throws OPTION_INVALID, OPTION_UNKNOWN
 * @example
 * const manager = WebSocketModule.create({ server, plugins: ['namespaces'] });
 * const io = events.io(manager);
 */
export function io<Listen extends object = AnyEvents, Emit extends object = AnyEvents, Data = any>(
  manager: WebSocketManager, options: EventsOptions = {},
): Server<Listen, Emit, Data> {
  // Who comes from Socket.IO gives it the http server.
  if (!(manager instanceof WebSocketManager)) {
    throw new ModuleError('OPTION_INVALID', { path: 'events.io()', given: describe(manager), expected: 'given a manager, as WebSocketModule.create({ server }) makes it' });
  }
  const server = new LocalServer();
  manager.use(serve(server, options));
  // Its own types hold for any map.
  return server as Server<any, any> as Server<Listen, Emit, Data>;
}

events.events = events;
events.io = io;
events.AcknowledgementsMissing = AcknowledgementsMissing;
export { AcknowledgementsMissing, events as default, events as 'module.exports' };
