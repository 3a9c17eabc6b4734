import {
  check, definePlugin, ModuleError, rules, type Connection, type Outgoing, type Plugin, type PublishOptions,
} from '../src/index.ts';
import { resolveConfig, type RoomConfig } from './rooms/config.ts';
import { memberOf, NodeConnections } from './rooms/connection-manager.ts';
import { RoomManager } from './rooms/room-manager.ts';
import { Room } from './rooms/room.ts';

export type { Permission, ResolvedRoomConfig, Role, RoomBehavior, RoomConfig, RoomMessages, RoomModeration, RoomPermissions } from './rooms/config.ts';
export type { ConnectionManager, MembershipWatcher } from './rooms/connection-manager.ts';

export interface RoomsOptions {
  /** Rooms a connection may be in. @default 100 */
  readonly maxRoomsPerConnection?: number;
}

/** How a room is made. */
export interface RoomInit extends RoomConfig {
  /** @default the name */
  readonly id?: string;
  /** The member id of who makes it. */
  readonly owner?: string;
}

/** What anybody may know of a room. */
export interface RoomInfo {
  readonly id: string;
  readonly name: string;
  readonly owner: string | undefined;
  readonly memberCount: number;
  readonly maxUsers: number;
  readonly isPrivate: boolean;
  readonly hasPassword: boolean;
  /** ISO 8601. */
  readonly createdAt: string;
  readonly metadata: Readonly<Record<string, unknown>>;
}

/** Who acts on somebody. Without `by` it is the server itself, which may do everything. */
export interface Act {
  /** The member id of who acts. He needs the permission. */
  readonly by?: string;
  readonly reason?: string;
}

/** Who speaks, and how. */
export interface Speech {
  /** The connection that speaks, as its member. */
  readonly connectionId?: string;
  /** The member who speaks, where no connection of his does. */
  readonly userId?: string;
  /** @default 'room-message', in the application's naming */
  readonly type?: string;
}

/** A message to a room, before it is sent. */
export interface RoomMessage {
  readonly room: Room;
  readonly userId: string;
  readonly connection?: Connection;
  readonly content: unknown;
}
/** What a filter returns is the content from then on; `undefined` leaves it. It refuses by throwing. */
export type RoomFilter = (message: RoomMessage) => unknown;

export interface DeliveryOptions extends PublishOptions {
  /** Not to be held back. */
  readonly urgent?: boolean;
}
/** How messages leave for a room. Returns how many connections of this node get it. */
export type RoomDelivery = (room: Room, message: Outgoing, options: DeliveryOptions) => number;

export interface RoomsApi {
  readonly manager: RoomManager;
  /** @throws ROOM_EXISTS, ROOM_NAME_INVALID, TOO_MANY_ROOMS, OPTION_INVALID */
  create(name: string, init?: RoomInit): Promise<Room>;
  /** @throws ROOM_UNKNOWN, ALREADY_IN_ROOM, BANNED, ROOM_FULL, PASSWORD_REQUIRED, PASSWORD_WRONG, ROOM_PRIVATE, TOO_MANY_ROOMS, CONNECTION_UNKNOWN */
  join(connectionId: string, roomId: string, password?: string): Promise<Room>;
  /** @throws ROOM_UNKNOWN, NOT_IN_ROOM, CONNECTION_UNKNOWN */
  leave(connectionId: string, roomId: string): Promise<void>;
  leaveAll(connectionId: string): Promise<void>;
  /** @throws ROOM_UNKNOWN */
  delete(roomId: string, act?: Act): Promise<void>;
  get(roomId: string): Room | undefined;
  /** The public ones. */
  list(): RoomInfo[];
  /** @throws ROOM_UNKNOWN */
  info(roomId: string): RoomInfo;
  /** Ids of members. @throws ROOM_UNKNOWN */
  members(roomId: string): readonly string[];
  /** Ids of the rooms that a connection is in. */
  of(connectionId: string): ReadonlySet<string>;
  /** Ids of the rooms that a user is in, over his connections. */
  ofUser(userId: string): ReadonlySet<string>;
  /**
   * Says something in a room: held to permission, mute, length, rate and filters, in this order. Without `from` it is the server's word.
   * @throws ROOM_UNKNOWN, NOT_IN_ROOM, FORBIDDEN, MUTED, MESSAGE_TOO_LONG, RATE_LIMITED, and what filters throw
   */
  send(roomId: string, content: unknown, from?: Speech): Promise<Outgoing>;
  /** Sends a message to a room as it is. Returns how many connections of this node get it. @throws ROOM_UNKNOWN */
  publish(roomId: string, message: Outgoing, options?: DeliveryOptions): number;
  /** Whether a member has a permission. @throws ROOM_UNKNOWN */
  can(roomId: string, userId: string, permission: string): boolean;
  /** Gives a member a role. @throws ROLE_UNKNOWN, LAST_OWNER, NOT_IN_ROOM, FORBIDDEN */
  setRole(roomId: string, userId: string, role: string, act?: Act): Promise<void>;
  /** One step up: guest, member, admin, owner. Resolves to the new role. */
  promote(roomId: string, userId: string, act?: Act): Promise<string>;
  /** One step down. Resolves to the new role. */
  demote(roomId: string, userId: string, act?: Act): Promise<string>;
  /** Lets somebody in without a password, also where the room is private. */
  invite(roomId: string, userId: string, act?: Act): Promise<void>;
  /** Puts a member out. */
  kick(roomId: string, userId: string, act?: Act): Promise<void>;
  /** Puts somebody out, who does not come back. */
  ban(roomId: string, userId: string, act?: Act): Promise<void>;
  unban(roomId: string, userId: string, act?: Act): Promise<void>;
  /** @param duration milliseconds */
  mute(roomId: string, userId: string, duration: number, act?: Act): Promise<void>;
  unmute(roomId: string, userId: string, act?: Act): Promise<void>;
  /** Counts a warning and tells it. What follows from it is for whoever calls this. Resolves to how many there are. */
  warn(roomId: string, userId: string, act?: Act): Promise<number>;
  /** A step that every message to a room passes, in order of addition. Returns its undo. */
  filter(step: RoomFilter): () => void;
  /** How messages leave for rooms, instead of `node.publish`; one at a time. Returns its undo. @throws DUPLICATE */
  deliverWith(delivery: RoomDelivery): () => void;
}

declare module '../src/index.ts' {
  interface PluginApis { rooms: RoomsApi }
  interface Connection {
    /** Ids of the rooms that it is in. */
    readonly rooms?: ReadonlySet<string>;
  }
  interface Hooks {
    'room:created': (event: { readonly room: Room }) => void;
    'room:deleted': (event: { readonly room: Room }) => void;
    /** Once per member: the first connection of a user's came. */
    'room:joined': (event: { readonly room: Room; readonly userId: string; readonly connection?: Connection }) => void;
    /** Once per member: the last connection of a user's left. */
    'room:left': (event: { readonly room: Room; readonly userId: string; readonly connection?: Connection }) => void;
    /** What somebody said was sent. */
    'room:message': (event: { readonly room: Room; readonly userId?: string; readonly message: Outgoing; readonly connection?: Connection }) => void;
  }
}

const notYet = (): never => { throw new ModuleError('INTERNAL_ERROR'); };

/** Rooms. */
export function rooms(options: RoomsOptions = {}): Plugin<'rooms', never, RoomsApi> {
  const { maxRoomsPerConnection = 100 } = check(options, { maxRoomsPerConnection: rules.integer(1, 1_000_000) }, 'rooms');

  return definePlugin({
    name: 'rooms',
    setup(context): RoomsApi {
      const { node } = context;
      const fail = (error: unknown): void => context.emit('error', error as Error, { phase: 'plugin', plugin: 'rooms' });
      const connections = new NodeConnections(node, maxRoomsPerConnection, fail);
      class Manager extends RoomManager {
        override add(room: Room): Room {
          super.add(room);
          context.emit('room:created', { room });
          return room;
        }

        override joined(room: Room, userId: string, connection?: Connection): void {
          context.emit('room:joined', { room, userId, ...(connection && { connection }) });
        }

        override left(room: Room, userId: string, connection?: Connection): void {
          context.emit('room:left', { room, userId, ...(connection && { connection }) });
        }
      }
      const manager = new Manager(connections);
      const filters = new Set<{ readonly step: RoomFilter }>();
      const direct: RoomDelivery = (room, message, { except }) => node.publish(room.topic, message, except === undefined ? {} : { except });
      let deliver = direct;
      const find = (roomId: string): Room => {
        const room = manager.getRoom(roomId);
        if (!room) throw new ModuleError('ROOM_UNKNOWN', { room: roomId }, { message: `there is no room "${roomId}"` });
        return room;
      };
      const connectionOf = (id: string): Connection => {
        const connection = node.connections.get(id);
        if (!connection) throw new ModuleError('CONNECTION_UNKNOWN', { connection: id });
        return connection;
      };
      const infoOf = (room: Room): RoomInfo => ({
        id: room.id, name: room.name, owner: room.owner, memberCount: room.users.size, maxUsers: room.config.maxUsers, isPrivate: room.isPrivate,
        hasPassword: false, createdAt: room.createdAt.toISOString(), metadata: room.metadata,
      });

      context.decorate('connection', { rooms: { get(this: Connection) { return connections.roomsOf(this); } } });
      context.on('connection:removed', (connection) => connections.leaveAll(connection));
      context.onUnload(() => connections.clear());

      return {
        manager,
        async create(name, { id = name, owner, ...config } = {}) { return manager.add(new Room(id, name, owner, resolveConfig(config))); },
        async join(connectionId, roomId) {
          const connection = connectionOf(connectionId);
          const room = find(roomId);
          if (connections.roomsOf(connection).has(roomId)) throw new ModuleError('ALREADY_IN_ROOM', { room: roomId }, { message: `you are in "${roomId}" already` });
          connections.join(connection, roomId);
          return room;
        },
        async leave(connectionId, roomId) { connections.leave(connectionOf(connectionId), find(roomId).id); },
        async leaveAll(connectionId) { connections.leaveAll(connectionOf(connectionId)); },
        async delete(roomId) {
          const room = find(roomId);
          await manager.deleteRoom(roomId);
          context.emit('room:deleted', { room });
        },
        get: (roomId) => manager.getRoom(roomId),
        list: () => [...manager.rooms.values()].filter(({ isPrivate }) => !isPrivate).map(infoOf),
        info: (roomId) => infoOf(find(roomId)),
        members: (roomId) => [...find(roomId).users],
        of: (connectionId) => connections.roomsOf(connectionOf(connectionId)),
        ofUser: (userId) => new Set(connections.getUserConnections(userId).flatMap((connection) => [...connections.roomsOf(connection)])),
        async send(roomId, content, { connectionId, userId, type = context.named('room-message') } = {}) {
          const room = find(roomId);
          const connection = connectionId === undefined ? undefined : connectionOf(connectionId);
          const speaker = connection ? memberOf(connection) : userId;
          let said = content;
          if (speaker !== undefined) {
            for (const { step } of filters) said = (await step({ room, userId: speaker, content: said, ...(connection && { connection }) })) ?? said;
          }
          const message = { type, content: { roomId, userId: speaker, content: said } };
          deliver(room, message, {});
          context.emit('room:message', { room, message, ...(speaker !== undefined && { userId: speaker }), ...(connection && { connection }) });
          return message;
        },
        publish: (roomId, message, publishing = {}) => deliver(find(roomId), message, publishing),
        can: (roomId, userId, permission) => find(roomId).can(userId, permission),
        filter(step) {
          const filter = { step };
          filters.add(filter);
          return () => filters.delete(filter);
        },
        deliverWith(delivery) {
          if (deliver !== direct) throw new ModuleError('DUPLICATE', { kind: 'delivery', name: 'of rooms', owner: 'another plugin' });
          deliver = delivery;
          return () => { if (deliver === delivery) deliver = direct; };
        },
        async warn(roomId, userId) {
          const { userWarnings } = find(roomId);
          const count = (userWarnings.get(userId) ?? 0) + 1;
          userWarnings.set(userId, count);
          return count;
        },
        setRole: notYet, promote: notYet, demote: notYet, invite: notYet, kick: notYet, ban: notYet, unban: notYet, unmute: notYet,
        async mute(roomId, userId, duration) { find(roomId).mutedUsers.set(userId, new Date(Date.now() + duration)); },
      };
    },
  });
}

rooms.rooms = rooms;
rooms.Room = Room;
rooms.RoomManager = RoomManager;
export { Room, RoomManager, rooms as default, rooms as 'module.exports' };
