import { definePlugin, type Connection, type Outgoing, type Plugin } from '../src/index.ts';
import { NodeConnections, type ConnectionManager } from './rooms/connection-manager.ts';
import { MemberActions } from './rooms/member-actions.ts';
import './rooms/room-errors.ts';
import { registerHandlers } from './rooms/room-handlers.ts';
import { RoomManager } from './rooms/room-manager.ts';
import { RoomMembership } from './rooms/room-membership.ts';
import { RoomReader } from './rooms/room-reader.ts';
import { RoomLists } from './rooms/room-lists.ts';
import { RoomOwnership } from './rooms/room-ownership.ts';
import { RoomRegistry } from './rooms/room-registry.ts';
import { Room } from './rooms/room.ts';
import type { RoomsApi } from './rooms/rooms-api.ts';
import { resolveOptions, type RoomsOptions } from './rooms/rooms-options.ts';
import { RoomMessenger } from './rooms/room-messenger.ts';
import { SharedRooms } from './rooms/shared-rooms.ts';

export type { ConnectionManager, MembershipWatcher } from './rooms/connection-manager.ts';
export type {
  Permission, ResolvedRoomConfig, Role, RoomBehavior, RoomConfig, RoomMessages, RoomModeration, RoomPermissions,
} from './rooms/room-config.ts';
export type * from './rooms/rooms-api.ts';
export type { RoomsOptions } from './rooms/rooms-options.ts';

declare module '../src/index.ts' {
  interface PluginApis { rooms: RoomsApi }
  interface Connection {
    /** Ids of the rooms of this connection, while `rooms` is loaded. */
    readonly rooms?: ReadonlySet<string> | undefined;
  }
  interface Connections extends ConnectionManager {}
  interface Hooks {
    'room:created': (event: { readonly room: Room }) => void;
    'room:deleted': (event: { readonly room: Room }) => void;
    /** The plugin is loaded, or another plugin has asked for it with `rooms:wanted`. */
    'rooms:loaded': (api: RoomsApi) => void;
    'rooms:wanted': () => void;
    /** A user became a member: their first connection joined. */
    'room:joined': (event: {
      readonly room: Room; readonly userId: string; readonly connection?: Connection | undefined;
    }) => void;
    /** A user is no longer a member: their last connection left or closed. Without `connection` they were removed. */
    'room:left': (event: {
      readonly room: Room; readonly userId: string; readonly connection?: Connection | undefined;
    }) => void;
    /** A message was sent to a room. Without `userId`, the server sent it. */
    'room:message': (event: {
      readonly room: Room; readonly message: Outgoing;
      readonly userId?: string | undefined; readonly connection?: Connection | undefined;
    }) => void;
  }
}

/**
 * Rooms with roles, passwords, invitations, bans and mutes. Clients use them by messages, applications by
 * `manager.api('rooms')`. A user with several connections is one member. Messages to a room reach its members on
 * every node.
 *
 * @throws OPTION_INVALID, OPTION_UNKNOWN
 * @example manager.use(rooms({ defaults: { maxUsers: 50 }, canCreate: ({ owner }) => owner === undefined }))
 */
export function rooms(options: RoomsOptions = {}): Plugin<'rooms', never, RoomsApi> {
  const settings = resolveOptions(options);

  return definePlugin({
    name: 'rooms',
    events: [
      'room:created', 'room:deleted', 'room:joined', 'room:left', 'room:message', 'rooms:loaded', 'rooms:wanted',
    ],
    setup(context): RoomsApi {
      const { node } = context;
      const connections = new NodeConnections(context, settings.maxRoomsPerConnection);
      const registry = new RoomRegistry(context, connections, settings);
      const { store } = context;
      const base = { registry, connections };
      const shared: SharedRooms | undefined = store && new SharedRooms(context, store, base, settings, {
        joined: (...joining) => membership.shared!.joined(...joining),
        left: (...leaving) => membership.shared!.left(...leaving),
        overtaken: (...member): Promise<void> => membership.shared!.overtaken(...member),
        removed: (...member) => membership.shared!.removed(...member),
        refused: (...seat) => membership.shared!.refused(...seat),
        deleted: (room): Promise<void> => membership.shared!.deleted(room),
        changed(room, userId) {
          if (userId === undefined) ownership.changed(room);
          else lists.changed(room, userId);
        },
      });
      if (shared) registry.share(shared);
      const messenger = new RoomMessenger(context, { registry, connections, shared }, settings);
      const lists = new RoomLists(context, { connections, shared }, (...member) => actions.tellUnmuted(...member));
      const ownership = new RoomOwnership(
        context, { registry, shared }, settings, (...owner): void => actions.tellOwner(...owner),
      );
      const parts = { registry, connections, messenger, lists, ownership, shared };
      const membership: RoomMembership = new RoomMembership(context, parts, settings);
      const actions = new MemberActions(context, { ...parts, membership }, settings.maxActionsPerMinute);

      const api: RoomsApi = {
        ...methods(registry, 'create', 'ensure'),
        ...methods(membership, 'join', 'leave', 'leaveAll'),
        ...methods(messenger, 'send', 'maySend', 'filter', 'deliverWith', 'recordWith'),
        ...methods(actions, 'delete', 'can', 'setRole', 'promote', 'demote'),
        ...methods(actions, 'invite', 'kick', 'ban', 'unban', 'mute', 'unmute', 'warn'),
        manager: registry,
        get: (roomId) => registry.getRoom(roomId),
        list: () => [...registry.public].map((room) => registry.infoOf(room)),
        info: (roomId) => registry.infoOf(registry.find(roomId)),
        members: (roomId) => [...registry.find(roomId).users],
        ...methods(new RoomReader(registry, shared), 'fetchRoom', 'fetchInfo', 'fetchList', 'fetchMembers'),
        of: (connectionId) => connections.roomsOf(node.connections.get(connectionId)),
        ofUser: (userId) => connections.roomsOfMember(userId),
        watch: (watcher) => connections.watch(watcher),
        publish: (roomId, message, publishing) => messenger.publish(registry.find(roomId), message, publishing),
      };

      context.on('rooms:wanted', () => context.emit('rooms:loaded', api));
      registerHandlers(context, settings.defaults, { api, ...parts });
      context.decorate('connection', { rooms: { get(this: Connection) { return connections.roomsOf(this); } } });
      context.decorate('connections', connections.decorations());
      context.metrics(() => ({
        rooms: { type: 'gauge', help: 'Number of rooms.', value: registry.rooms.size },
        room_memberships: { type: 'gauge', help: 'Number of memberships in rooms.', value: connections.size },
        room_messages_total: { type: 'counter', help: 'Number of messages of members.', value: messenger.sent },
      }));
      context.onUnload(async () => {
        if (shared) await shared.seats.releaseAll();
        connections.clear();
        registry.clear();
      });
      context.emit('rooms:loaded', api);
      return api;
    },
  });
}

/** Binds methods to their object. */
function methods<T extends object, K extends keyof T>(object: T, ...names: readonly K[]): Pick<T, K> {
  return Object.fromEntries(names.map((name) => [name, (object[name] as () => unknown).bind(object)])) as Pick<T, K>;
}

rooms.rooms = rooms;
rooms.Room = Room;
rooms.RoomManager = RoomManager;
export { Room, RoomManager, rooms as default, rooms as 'module.exports' };
