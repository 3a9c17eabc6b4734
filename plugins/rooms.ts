import { check, definePlugin, rules, toError, type Connection, type Outgoing, type Plugin, type Rules } from '../src/index.ts';
import { Admission } from './rooms/admission.ts';
import type { CreateAttempt, JoinAttempt, RoomMessage, RoomsApi, Verdict } from './rooms/api.ts';
import { Authority } from './rooms/authority.ts';
import { CONFIG_RULES, resolveConfig, type RoomConfig } from './rooms/config.ts';
import { NodeConnections, type ConnectionManager } from './rooms/connection-manager.ts';
import { registerHandlers } from './rooms/handlers.ts';
import { Memory } from './rooms/memory.ts';
import { RoomRegistry } from './rooms/registry.ts';
import { RoomManager } from './rooms/room-manager.ts';
import { Room } from './rooms/room.ts';
import { Speaking } from './rooms/speaking.ts';

export type * from './rooms/api.ts';
export type { Permission, ResolvedRoomConfig, Role, RoomBehavior, RoomConfig, RoomMessages, RoomModeration, RoomPermissions } from './rooms/config.ts';
export type { ConnectionManager, MembershipWatcher } from './rooms/connection-manager.ts';

export interface RoomsOptions {
  /** Rooms in all. @default 10_000 */
  readonly maxRooms?: number;
  /** Rooms that one member may own. @default 10 */
  readonly maxRoomsPerOwner?: number;
  /** Rooms that one connection may be in. @default 100 */
  readonly maxRoomsPerConnection?: number;
  /** Characters that the name and the id of a room may have, up to 128. @default 64 */
  readonly maxNameLength?: number;
  /** What holds in rooms that do not say otherwise; clients may ask for fewer `maxUsers`, not for more. @default {} */
  readonly defaults?: Omit<RoomConfig, 'password'>;
  /** Whether who joins a room that is not there makes it, and owns it. @default false */
  readonly createOnJoin?: boolean;
  /** Whether the others in a room are told who comes and goes. @default true */
  readonly announce?: boolean;
  /** Whether who speaks gets his own message, too. @default true */
  readonly echo?: boolean;
  /** Whether a room may be made. @default everybody's may */
  readonly canCreate?: (attempt: CreateAttempt) => Verdict;
  /** Whether somebody may come in. `standard()` is what holds without it. @default who knows the password, or is invited */
  readonly canJoin?: (attempt: JoinAttempt, standard: () => Promise<boolean>) => Verdict;
  /** Whether somebody may speak. `standard()` is what holds without it. @default whose role has `canSendMessage` */
  readonly canSend?: (attempt: RoomMessage, standard: () => boolean) => Verdict;
}

declare module '../src/index.ts' {
  interface PluginApis { rooms: RoomsApi }
  interface Connection {
    /** Ids of the rooms that it is in; there while `rooms` is loaded. */
    readonly rooms?: ReadonlySet<string>;
  }
  interface Connections extends ConnectionManager {}
  interface Hooks {
    'room:created': (event: { readonly room: Room }) => void;
    'room:deleted': (event: { readonly room: Room }) => void;
    /** Once per member: the first connection of a user's came. */
    'room:joined': (event: { readonly room: Room; readonly userId: string; readonly connection?: Connection }) => void;
    /** Once per member: the last connection of a user's left, by itself or with its socket; without `connection` he was put out. */
    'room:left': (event: { readonly room: Room; readonly userId: string; readonly connection?: Connection }) => void;
    /** What was said was sent. Without `userId` it was the server who said it. */
    'room:message': (event: { readonly room: Room; readonly message: Outgoing; readonly userId?: string; readonly connection?: Connection }) => void;
  }
}

const { boolean, callback, group, integer } = rules;
const RULES: Rules<RoomsOptions> = {
  maxRooms: integer(1, 10_000_000),
  maxRoomsPerOwner: integer(0, 10_000_000),
  maxRoomsPerConnection: integer(1, 1_000_000),
  maxNameLength: integer(1, 128),
  defaults: group({ fields: CONFIG_RULES }),
  createOnJoin: boolean,
  announce: boolean,
  echo: boolean,
  canCreate: callback,
  canJoin: callback,
  canSend: callback,
};

/**
 * Rooms: made, joined, spoken in and left by messages of clients or by `manager.api('rooms')`, with roles, passwords, invitations,
 * bans and mutes. Membership is per connection and per user; what is sent to a room reaches its members on every node.
 *
 * @throws OPTION_INVALID, OPTION_UNKNOWN
 * @example manager.use(rooms({ defaults: { maxUsers: 50 }, canCreate: ({ owner }) => owner === undefined }))
 */
export function rooms(options: RoomsOptions = {}): Plugin<'rooms', never, RoomsApi> {
  const given = check(options, RULES, 'rooms');
  const { maxRooms = 10_000, maxRoomsPerOwner = 10, maxRoomsPerConnection = 100, maxNameLength = 64 } = given;
  const { createOnJoin = false, announce = true, echo = true, canCreate, canJoin, canSend } = given;
  // Nobody asks the plugin for a history; who wants one says how long.
  const defaults = resolveConfig({ ...given.defaults, message: { historySize: 0, ...given.defaults?.message } });

  return definePlugin({
    name: 'rooms',
    events: ['room:created', 'room:deleted', 'room:joined', 'room:left', 'room:message'],
    setup(context): RoomsApi {
      const { node } = context;
      const failed = (error: unknown): void => context.emit('error', toError(error), { phase: 'plugin', plugin: context.name });
      const connections = new NodeConnections(node, maxRoomsPerConnection, failed);
      const registry = new RoomRegistry(connections, context, { maxRooms, maxRoomsPerOwner });
      const speaking = new Speaking(context, registry, connections, { canSend, echo });
      const memory = new Memory(context);
      const admission = new Admission(context, registry, connections, speaking, memory, {
        defaults, maxNameLength, createOnJoin, announce, canCreate, canJoin,
      });
      registry.make = (name, init) => admission.create(name, init);
      const authority = new Authority(context, registry, admission, memory);

      const api: RoomsApi = {
        manager: registry,
        create: (name, init = {}) => admission.create(name, init),
        join: (connectionId, roomId, password) => admission.join(connectionId, roomId, password),
        leave: (connectionId, roomId) => admission.leave(connectionId, roomId),
        leaveAll: (connectionId) => admission.leaveAll(connectionId),
        delete: (roomId, act) => authority.delete(roomId, act),
        get: (roomId) => registry.getRoom(roomId),
        list: () => [...registry.public].map((room) => registry.infoOf(room)),
        info: (roomId) => registry.infoOf(registry.find(roomId)),
        members: (roomId) => [...registry.find(roomId).users],
        of: (connectionId) => connections.roomsOf(node.connections.get(connectionId)),
        ofUser: (userId) => new Set(connections.getUserConnections(userId).flatMap((connection) => [...connections.roomsOf(connection)])),
        send: (roomId, content, from) => speaking.send(roomId, content, from),
        maySend: (roomId, from) => speaking.maySend(roomId, from),
        publish: (roomId, message, publishing) => speaking.publish(registry.find(roomId), message, publishing),
        can: (roomId, userId, permission) => authority.can(roomId, userId, permission),
        setRole: (roomId, userId, role, act) => authority.setRole(roomId, userId, role, act),
        promote: (roomId, userId, act) => authority.promote(roomId, userId, act),
        demote: (roomId, userId, act) => authority.demote(roomId, userId, act),
        invite: (roomId, userId, act) => authority.invite(roomId, userId, act),
        kick: (roomId, userId, act) => authority.kick(roomId, userId, act),
        ban: (roomId, userId, act) => authority.ban(roomId, userId, act),
        unban: (roomId, userId, act) => authority.unban(roomId, userId, act),
        mute: (roomId, userId, duration, act) => authority.mute(roomId, userId, duration, act),
        unmute: (roomId, userId, act) => authority.unmute(roomId, userId, act),
        warn: (roomId, userId, act) => authority.warn(roomId, userId, act),
        filter: (step) => speaking.filter(step),
        deliverWith: (delivery, settle) => speaking.deliverWith(delivery, settle),
      };

      registerHandlers(context, api, registry, { maxUsers: defaults.maxUsers, memberOf: (connection) => connections.memberOf(connection) });
      context.decorate('connection', { rooms: { get(this: Connection) { return connections.roomsOf(this); } } });
      context.decorate('connections', connections.members());
      context.metrics(() => ({
        rooms: { type: 'gauge', help: 'Rooms that there are.', value: registry.rooms.size },
        room_memberships: { type: 'gauge', help: 'Memberships: connections in rooms, each as often as it is in one.', value: connections.size },
        room_messages_total: { type: 'counter', help: 'Messages that members sent to rooms since start.', value: speaking.sent },
      }));
      context.onUnload(() => {
        connections.clear();
        registry.clear();
      });
      return api;
    },
  });
}

rooms.rooms = rooms;
rooms.Room = Room;
rooms.RoomManager = RoomManager;
export { Room, RoomManager, rooms as default, rooms as 'module.exports' };
