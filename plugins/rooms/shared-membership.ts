import {
  hasCode, isConnectionId, memberId, ModuleError, type Connection, type PluginContext,
} from '../../src/index.ts';
import type { MembershipNotices } from './membership-notices.ts';
import type { NodeConnections } from './connection-manager.ts';
import type { RoomLists } from './room-lists.ts';
import type { RoomMessenger } from './room-messenger.ts';
import type { RoomOwnership } from './room-ownership.ts';
import type { RoomRegistry } from './room-registry.ts';
import type { SharedMember } from './room-seat.ts';
import type { Room } from './room.ts';
import type { JoinAttempt } from './rooms-api.ts';
import type { RoomsSettings } from './rooms-options.ts';
import type { SharedRooms } from './shared-rooms.ts';

/** The parts of the plugin that membership needs. */
export interface MembershipParts {
  readonly registry: RoomRegistry;
  readonly connections: NodeConnections;
  readonly messenger: RoomMessenger;
  readonly lists: RoomLists;
  readonly ownership: RoomOwnership;
  readonly shared: SharedRooms | undefined;
}

/** What membership does in the same way with and without a shared store. */
export interface LocalMembership {
  readonly notices: MembershipNotices | undefined;
  readonly enter: (attempt: JoinAttempt) => void;
  readonly assertPossible: (attempt: JoinAttempt) => void;
  readonly refusal: (attempt: JoinAttempt, error: ModuleError) => ModuleError;
  readonly leave: (connection: Connection, roomId: string) => void;
  readonly updateName: (connection: Connection) => void;
  /** The user of a connection has changed, and the connection is a member as that user now. */
  readonly userChanged: (connection: Connection) => void;
  readonly removeOtherConnections: (room: Room, userId: string, except: string) => void;
}

/** Joins and leaves rooms that nodes share: the store has the seats, and its answers say who becomes a member. */
export class SharedMembership {
  readonly #context: PluginContext;
  readonly #parts: MembershipParts & { readonly shared: SharedRooms };
  readonly #settings: RoomsSettings;
  readonly #local: LocalMembership;
  /** Connections whose seats are passed to another member. */
  readonly #passing = new WeakMap<Connection, Promise<void>>();

  constructor(
    context: PluginContext, parts: MembershipParts & { readonly shared: SharedRooms }, settings: RoomsSettings,
    local: LocalMembership,
  ) {
    this.#context = context;
    this.#parts = parts;
    this.#settings = settings;
    this.#local = local;
  }

  /** Reads what this node does not know yet. @throws STORE_UNAVAILABLE, LEASE_LOST */
  async load(connection: Connection, roomId: string): Promise<void> {
    const { connections, registry, shared } = this.#parts;
    const userId = connections.memberOf(connection);
    shared.seats.assertServing('join a room');
    const loading = shared.copies.load(roomId, [userId]);
    if (loading) await loading;
    const room = registry.getRoom(roomId);
    // Only for rooms that admit members in another way: a user may be a member by a connection to another node.
    const isOpen = !room || room.users.has(userId) || isConnectionId(userId)
      || (!this.#settings.canJoin && !room.isPrivate && !registry.hasPassword(room));
    if (!isOpen) await shared.locate(room, [userId]);
  }

  /**
   * Lets a connection enter a room.
   * @param isStale whether the attempt must be repeated, because the user has changed
   * @returns whether the connection is in the room
   */
  async enter(attempt: JoinAttempt, isStale: () => boolean): Promise<boolean> {
    const { room, userId, connection } = attempt;
    const { assertPossible, enter, leave, refusal } = this.#local;
    try {
      await this.#parts.shared.seats.join(room, userId, connection, () => {
        if (isStale()) throw new ModuleError('STORE_CONFLICT', { key: room.id });
        assertPossible(attempt);
        enter(attempt);
      });
    } catch (error) {
      if (hasCode(error, 'ROOM_FULL')) throw refusal(attempt, error);
      if (this.#context.node.connections.has(connection.id) && isStale()) return false;
      throw error;
    }
    // A message that is published after the reply arrives.
    try {
      await this.#context.node.whenSubscribed(room.topic);
    } catch (error) {
      leave(connection, room.id);
      throw error;
    }
    return true;
  }

  /** Removes a member. Every node reads the ban or the kick, and releases the seats of its own connections. */
  async remove(room: Room, userId: string, isKicked: boolean): Promise<void> {
    const { registry, shared } = this.#parts;
    if (isKicked) await shared.changes.kick(room, userId);
    await registry.leaveRoom(room.id, userId);
  }

  // What happens on other nodes

  /** A user became a member, with the first connection on all nodes. */
  joined({ room, userId }: SharedMember, connection: Connection, isAnnounced: boolean): void {
    const { user, id } = connection;
    this.#context.emit('room:joined', { room, userId, connection });
    if (isAnnounced) this.#local.notices?.tell([{ type: 'joined', room, userId, user, except: id }]);
  }

  /** The first connection of a user did not join after all. Another one that has joined meanwhile is announced. */
  async overtaken({ room, userId }: SharedMember, connection: Connection): Promise<void> {
    const { registry, shared } = this.#parts;
    if (registry.getRoom(room.id) !== room) return;
    await shared.locate(room, [userId]);
    if (room.hasMember(userId)) this.joined({ room, userId }, connection, true);
  }

  /** The last connection of a user on all nodes has left. Without `connection`, they were removed. */
  left({ room, userId, user }: SharedMember, connection?: Connection): void {
    const { lists, registry, shared } = this.#parts;
    this.#context.emit('room:left', { room, userId, ...(connection && { connection }) });
    if (registry.getRoom(room.id) !== room) return;
    // A closed anonymous connection cannot come back.
    if (!isConnectionId(userId) || this.#context.node.connections.has(userId)) lists.left(room, userId);
    this.#local.notices?.tell([{ type: 'left', room, userId, user }]);
    if (room.memberCount === 0) shared.directory.scheduleDeletion(room);
  }

  /** Removes the connections of a user who was banned or kicked on another node. */
  removed(room: Room, userId: string): void {
    this.#parts.registry.leaveRoom(room.id, userId).catch((error: unknown) => this.#context.report(error));
  }

  /** Removes a room that was deleted. */
  async deleted(room: Room): Promise<void> {
    const { connections, messenger, registry, shared } = this.#parts;
    const message = { type: this.#context.named('room-deleted'), content: { roomId: room.id } };
    if (!shared.seats.isLapsed) messenger.publish(room, message, { local: true, urgent: true });
    // Without a lease, nothing is published to the members.
    else for (const connection of connections.inRoom(room.id)) connection.send(message);
    await registry.removeRoom(room);
  }

  /** Removes a connection that may not return after the node lost its lease. */
  refused({ room, connection }: { readonly room: Room; readonly connection: Connection }, code: string): void {
    this.#parts.connections.leave(connection, room.id);
    connection.send({ type: this.#context.named('kicked'), content: { roomId: room.id, code } });
  }

  /** Until the store has answered, the connection stays in its rooms as the member that it was. */
  identified(connection: Connection): void {
    const { connections, ownership } = this.#parts;
    const { updateName, userChanged } = this.#local;
    if (connection.user) ownership.update(connection);
    const before = this.#passing.get(connection);
    if (!before && connections.memberOf(connection) === memberId(connection)) {
      updateName(connection);
      return userChanged(connection);
    }
    const passing = (before ?? Promise.resolve()).then(() => this.#pass(connection));
    const report = (error: unknown): void => this.#context.report(error);
    const passed = passing.then(() => userChanged(connection)).catch(report).finally(() => {
      if (this.#passing.get(connection) === passed) this.#passing.delete(connection);
    });
    this.#passing.set(connection, passed);
  }

  /** Assigns a connection to another member in all its rooms. */
  async #pass(connection: Connection): Promise<void> {
    const { connections, registry, shared } = this.#parts;
    const before = connections.memberOf(connection);
    const userId = memberId(connection);
    if (before === userId) return this.#local.updateName(connection);
    const added = new Map<string, boolean>();
    // The connection may leave rooms and join others meanwhile.
    while (!shared.seats.isLapsed) {
      const next = [...connections.roomsOf(connection)].filter((roomId) => {
        // Without a seat, the connection is in a room that does not exist.
        return ![undefined, userId].includes(shared.seats.memberOf(connection, roomId));
      });
      if (next.length === 0) break;
      await Promise.all(next.map(async (roomId) => {
        added.set(roomId, await this.#passOne(connection, roomId, before, userId));
      }));
    }
    const rooms = [...connections.roomsOf(connection)].flatMap((roomId) => registry.getRoom(roomId) ?? []);
    shared.seats.whilePassing(connection, userId, () => connections.changeMember(connection, userId));
    for (const room of rooms) {
      // The store has passed the seat of an anonymous connection on. That of a user is released by itself.
      if (isConnectionId(before)) this.left({ room, userId: before }, connection);
      if (added.get(room.id)) this.joined({ room, userId }, connection, true);
    }
  }

  /** @returns whether the new member was not in the room before */
  async #passOne(connection: Connection, roomId: string, before: string, userId: string): Promise<boolean> {
    const { lists, registry, shared } = this.#parts;
    const room = registry.getRoom(roomId);
    if (!room) return false;
    try {
      await shared.copies.load(roomId, [userId]);
      const wasBanned = room.isBanned(userId);
      if (connection.user) await lists.moveShared(room, before, userId);
      if (!room.isBanned(userId)) return await shared.seats.pass(room, userId, connection);
      this.#local.leave(connection, roomId);
      connection.send({ type: this.#context.named('banned'), content: { roomId } });
      if (!wasBanned) this.#local.removeOtherConnections(room, userId, connection.id);
    } catch (error) {
      // While the store is out of reach, the connection keeps its seat: it is entered again for the new member.
      if (hasCode(error, 'LEASE_LOST')) return false;
      this.refused({ room, connection }, error instanceof ModuleError ? error.code : 'INTERNAL_ERROR');
      if (!(error instanceof ModuleError)) this.#context.report(error);
    }
    return false;
  }
}
