import { ModuleError, type Connection, type Outgoing } from '../../src/index.ts';
import type { ConnectionManager } from './connection-manager.ts';
import { resolveConfig, type RoomConfig } from './room-config.ts';
import './room-errors.ts';
import { Room } from './room.ts';

/**
 * Rooms and their members, as a base for a class of your own. Methods send no notices and check no permissions. When
 * the last connection of a member closes, `leaveRoom` is called, including your override of it.
 *
 * @example const roomManager = new CustomRoomManager(manager.connections);
 */
export class RoomManager {
  readonly rooms = new Map<string, Room>();
  protected readonly connectionManager: ConnectionManager;

  /** @param connectionManager `manager.connections`, or an object with the same methods */
  constructor(connectionManager: ConnectionManager) {
    this.connectionManager = connectionManager;
    connectionManager.watch?.({
      joined: (roomId, userId, connection) => this.#enter(roomId, userId, connection),
      left: (roomId, userId, connection, isLast) => {
        const isMember = this.rooms.get(roomId)?.users.has(userId);
        return isLast && isMember ? this.leaveRoom(roomId, userId, connection) : undefined;
      },
    });
  }

  /** Creates a room whose id is its name. @throws ROOM_EXISTS */
  async createRoom(name: string, ownerId?: string, config: RoomConfig = {}): Promise<Room> {
    // An override of leaveRoom may read autoDeleteWhenEmpty: false for persistent rooms unless it was given.
    const behavior = config.persistent ? { autoDeleteWhenEmpty: false, ...config.behavior } : config.behavior;
    return this.addRoom(new Room(name, name, ownerId, resolveConfig({ ...config, ...(behavior && { behavior }) })));
  }

  getRoom(roomId: string): Room | undefined { return this.rooms.get(roomId); }

  roomExists(roomId: string): boolean { return this.rooms.has(roomId); }

  /** Adds a member to a room, with all current connections of that user. @throws ROOM_UNKNOWN, TOO_MANY_ROOMS */
  async joinRoom(roomId: string, userId: string, _password?: string): Promise<void> {
    if (!this.rooms.has(roomId)) throw new ModuleError('ROOM_UNKNOWN', { room: roomId });
    const isNew = this.#enter(roomId, userId);
    try {
      await this.#each(userId, (id) => this.connectionManager.joinRoom(id, roomId));
    } catch (error) {
      if (isNew) await this.#exit(roomId, userId);
      throw error;
    }
  }

  /**
   * Removes a member from a room, with all connections. Does nothing if the user is not in the room.
   * @param connection the member's last connection in the room, if it left or closed by itself
   */
  async leaveRoom(roomId: string, userId: string, connection?: Connection): Promise<void> {
    await this.#exit(roomId, userId, connection);
  }

  /** Removes all members and deletes the room. Resolves to `false` when the room does not exist. */
  async deleteRoom(roomId: string): Promise<boolean> {
    const room = this.rooms.get(roomId);
    if (!room) return false;
    // All leave in one turn, so that no member joins in between.
    const leaving = [...room.users].map((userId) => this.leaveRoom(roomId, userId));
    this.rooms.delete(roomId);
    await Promise.all(leaving);
    return true;
  }

  /** Sends to the connections in a room. Returns the number of recipients on this node. */
  broadcastToRoom(roomId: string, message: Outgoing, exceptId?: string): number {
    return this.connectionManager.broadcastToRoom(roomId, message, exceptId);
  }

  /** @throws ROOM_EXISTS */
  protected addRoom(room: Room): Room {
    if (this.rooms.has(room.id)) throw new ModuleError('ROOM_EXISTS', { room: room.id });
    this.rooms.set(room.id, room);
    return room;
  }

  /** Called when a user has become a member. */
  protected memberJoined(_room: Room, _userId: string, _connection?: Connection): void { /* for subclasses */ }

  /** Called when a user is no longer a member. */
  protected memberLeft(_room: Room, _userId: string, _connection?: Connection): void { /* for subclasses */ }

  #enter(roomId: string, userId: string, connection?: Connection): boolean {
    const room = this.rooms.get(roomId);
    if (!room || room.users.has(userId)) return false;
    room.users.add(userId);
    this.memberJoined(room, userId, connection);
    return true;
  }

  async #exit(roomId: string, userId: string, connection?: Connection): Promise<void> {
    const room = this.rooms.get(roomId);
    if (room?.users.delete(userId)) this.memberLeft(room, userId, connection);
    // If the last connection left by itself, none remain. Skipping the loop keeps disconnects from 1,000 rooms fast.
    if (!connection) await this.#each(userId, (id) => this.connectionManager.leaveRoom(id, roomId));
  }

  async #each(userId: string, work: (connectionId: string) => Promise<void>): Promise<void> {
    await Promise.all(this.connectionManager.getUserConnections(userId).map(({ id }) => work(id)));
  }
}
