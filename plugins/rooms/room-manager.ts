import type { Connection, Outgoing } from '../../src/index.ts';
import { resolveConfig, type RoomConfig } from './config.ts';
import type { ConnectionManager } from './connection-manager.ts';
import { refusal } from './refusals.ts';
import { Room } from './room.ts';

/**
 * Rooms and who is in them: silent primitives for a class of your own to build on. They refuse nothing but what cannot be done, and
 * tell nobody. A member whose last connection closes leaves by `leaveRoom`, so that what overrides it runs then, too.
 *
 * @example const roomManager = new CustomRoomManager(manager.connections);
 */
export class RoomManager {
  readonly rooms = new Map<string, Room>();
  protected readonly connectionManager: ConnectionManager;

  /** @param connectionManager `manager.connections`, or whatever can do the same; it is watched for as long as it is there */
  constructor(connectionManager: ConnectionManager) {
    this.connectionManager = connectionManager;
    connectionManager.watch?.({
      joined: (roomId, userId, connection) => this.#enter(roomId, userId, connection),
      left: (roomId, userId, connection, isLast) => {
        return isLast && this.rooms.get(roomId)?.users.has(userId) ? this.leaveRoom(roomId, userId, connection) : undefined;
      },
    });
  }

  /** Makes a room whose id is its name. @throws ROOM_EXISTS */
  async createRoom(name: string, ownerId?: string, config: RoomConfig = {}): Promise<Room> {
    // Who overrides leaveRoom goes by what this says of empty rooms: one that is to stay is not deleted, unless both was said.
    const behavior = config.persistent ? { autoDeleteWhenEmpty: false, ...config.behavior } : config.behavior;
    return this.addRoom(new Room(name, name, ownerId, resolveConfig({ ...config, ...(behavior && { behavior }) })));
  }

  getRoom(roomId: string): Room | undefined { return this.rooms.get(roomId); }

  roomExists(roomId: string): boolean { return this.rooms.has(roomId); }

  /** Makes somebody a member, with all connections that he has now. @throws ROOM_UNKNOWN, TOO_MANY_ROOMS */
  async joinRoom(roomId: string, userId: string, _password?: string): Promise<void> {
    if (!this.rooms.has(roomId)) throw refusal('ROOM_UNKNOWN', { room: roomId });
    const isNew = this.#enter(roomId, userId);
    try {
      await this.#each(userId, (id) => this.connectionManager.joinRoom(id, roomId));
    } catch (error) {
      if (isNew) await this.#exit(roomId, userId);
      throw error;
    }
  }

  /** Ends a membership, of all connections. Who is not in the room leaves nothing. @param connection the last one, where it left by itself */
  async leaveRoom(roomId: string, userId: string, connection?: Connection): Promise<void> { await this.#exit(roomId, userId, connection); }

  /** Lets everybody out, and forgets the room. `false`: there was none. */
  async deleteRoom(roomId: string): Promise<boolean> {
    const room = this.rooms.get(roomId);
    if (!room) return false;
    // At once for all of them, so that nobody comes between.
    const leaving = [...room.users].map((userId) => this.leaveRoom(roomId, userId));
    this.rooms.delete(roomId);
    await Promise.all(leaving);
    return true;
  }

  /** Sends to the connections in a room. Returns how many are on this node. */
  broadcastToRoom(roomId: string, message: Outgoing, exceptId?: string): number {
    return this.connectionManager.broadcastToRoom(roomId, message, exceptId);
  }

  /** @throws ROOM_EXISTS */
  protected addRoom(room: Room): Room {
    if (this.rooms.has(room.id)) throw refusal('ROOM_EXISTS', { room: room.id });
    this.rooms.set(room.id, room);
    return room;
  }

  /** Somebody became a member. */
  protected memberJoined(_room: Room, _userId: string, _connection?: Connection): void { /* for those who want to know */ }

  /** Somebody is a member no more. */
  protected memberLeft(_room: Room, _userId: string, _connection?: Connection): void { /* for those who want to know */ }

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
    // Where the last one left by itself there are no others to be looked for: a client that disconnects leaves a thousand rooms at once.
    if (!connection) await this.#each(userId, (id) => this.connectionManager.leaveRoom(id, roomId));
  }

  async #each(userId: string, work: (connectionId: string) => Promise<void>): Promise<void> {
    await Promise.all(this.connectionManager.getUserConnections(userId).map(({ id }) => work(id)));
  }
}
