import { ModuleError, type Connection, type Outgoing } from '../../src/index.ts';
import { resolveConfig, type RoomConfig } from './config.ts';
import type { ConnectionManager, MembershipWatcher } from './connection-manager.ts';
import { Room } from './room.ts';

/**
 * Rooms and who is in them: silent primitives for a class of your own to build on. Nothing is refused but what cannot be,
 * and nobody is told. A member whose last connection closes leaves by `leaveRoom`, so that what it is overridden with runs.
 *
 * @example class CustomRoomManager extends RoomManager { … }  new CustomRoomManager(manager.connections)
 */
export class RoomManager {
  readonly rooms = new Map<string, Room>();
  protected readonly connectionManager: ConnectionManager;

  constructor(connectionManager: ConnectionManager) {
    this.connectionManager = connectionManager;
    const watcher: MembershipWatcher = {
      joined: (roomId, userId, connection) => this.#enter(roomId, userId, connection),
      left: (roomId, userId, _connection, isLast) => (isLast && this.rooms.get(roomId)?.users.has(userId) ? this.leaveRoom(roomId, userId) : undefined),
    };
    connectionManager.watch?.(watcher);
  }

  /** Makes a room whose id is its name. @throws ROOM_EXISTS */
  async createRoom(name: string, ownerId?: string, config: RoomConfig = {}): Promise<Room> {
    return this.add(new Room(name, name, ownerId, resolveConfig(config)));
  }

  getRoom(roomId: string): Room | undefined { return this.rooms.get(roomId); }

  roomExists(roomId: string): boolean { return this.rooms.has(roomId); }

  /** Makes somebody a member, with all connections that he has now. @throws ROOM_UNKNOWN, TOO_MANY_ROOMS */
  async joinRoom(roomId: string, userId: string, _password?: string): Promise<void> {
    if (!this.rooms.has(roomId)) throw unknown(roomId);
    this.#enter(roomId, userId);
    for (const { id } of this.connectionManager.getUserConnections(userId)) await this.connectionManager.joinRoom(id, roomId);
  }

  /** Ends a membership, of all connections. Who is not in it leaves nothing. */
  async leaveRoom(roomId: string, userId: string): Promise<void> {
    const room = this.rooms.get(roomId);
    if (room?.users.delete(userId)) this.left(room, userId);
    for (const { id } of this.connectionManager.getUserConnections(userId)) await this.connectionManager.leaveRoom(id, roomId);
  }

  /** Lets everybody out, and forgets the room. `false`: there was none. */
  async deleteRoom(roomId: string): Promise<boolean> {
    const room = this.rooms.get(roomId);
    if (!room || !this.rooms.delete(roomId)) return false;
    for (const userId of room.users) await this.leaveRoom(roomId, userId);
    return true;
  }

  /** Sends to the connections in a room. Returns how many are on this node. */
  broadcastToRoom(roomId: string, message: Outgoing, exceptId?: string): number {
    return this.connectionManager.broadcastToRoom(roomId, message, exceptId);
  }

  protected add(room: Room): Room {
    if (this.rooms.has(room.id)) throw new ModuleError('ROOM_EXISTS', { room: room.id }, { message: `there is a room "${room.id}" already` });
    this.rooms.set(room.id, room);
    return room;
  }

  /** Somebody became a member. */
  protected joined(_room: Room, _userId: string, _connection?: Connection): void { /* for those who want to know */ }

  /** Somebody is a member no more. */
  protected left(_room: Room, _userId: string, _connection?: Connection): void { /* for those who want to know */ }

  #enter(roomId: string, userId: string, connection?: Connection): void {
    const room = this.rooms.get(roomId);
    if (!room || room.users.has(userId)) return;
    room.users.add(userId);
    this.joined(room, userId, connection);
  }
}

const unknown = (room: string): ModuleError => new ModuleError('ROOM_UNKNOWN', { room }, { message: `there is no room "${room}"` });
