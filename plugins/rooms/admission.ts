import { check, ModuleError, type Connection, type PluginContext } from '../../src/index.ts';
import type { CreateAttempt, JoinAttempt, RoomInit, Verdict } from './api.ts';
import { CONFIG_RULES, resolveConfig, type ResolvedRoomConfig } from './config.ts';
import { memberOf, type NodeConnections } from './connection-manager.ts';
import { checkName } from './names.ts';
import { Passwords } from './password.ts';
import { refusal } from './refusals.ts';
import type { RoomRegistry } from './registry.ts';
import { Room } from './room.ts';
import type { Speaking } from './speaking.ts';

export interface AdmissionOptions {
  readonly defaults: ResolvedRoomConfig;
  readonly maxNameLength: number;
  /** Whether who joins a room that is not there makes it. */
  readonly createOnJoin: boolean;
  /** Whether a room is told who comes and goes. */
  readonly announce: boolean;
  readonly canCreate?: ((attempt: CreateAttempt) => Verdict) | undefined;
  readonly canJoin?: ((attempt: JoinAttempt, standard: () => Promise<boolean>) => Verdict) | undefined;
}

/** How rooms come to be, and who comes in and goes out. */
export class Admission {
  readonly #context: PluginContext;
  readonly #registry: RoomRegistry;
  readonly #connections: NodeConnections;
  readonly #speaking: Speaking;
  readonly #options: AdmissionOptions;
  readonly #passwords = new Passwords();

  constructor(context: PluginContext, registry: RoomRegistry, connections: NodeConnections, speaking: Speaking, options: AdmissionOptions) {
    this.#context = context;
    this.#registry = registry;
    this.#connections = connections;
    this.#speaking = speaking;
    this.#options = options;
    context.on('connection:identified', (connection) => this.#identified(connection));
    context.on('connection:removed', (connection) => this.#removed(connection));
  }

  async create(name: string, { id = name, owner, ...given }: RoomInit = {}): Promise<Room> {
    const { canCreate, defaults, maxNameLength } = this.#options;
    checkName(name, maxNameLength);
    checkName(id, maxNameLength);
    const { password, ...config } = check(given, CONFIG_RULES, 'room');
    this.#registry.assertFree(id, owner);
    if (canCreate && !(await canCreate({ name, id, owner, config }))) throw new ModuleError('FORBIDDEN');
    const secret = password === undefined ? undefined : await this.#passwords.hash(password);
    return this.#registry.add(new Room(id, name, owner, resolveConfig({ isPrivate: secret !== undefined, ...config }, defaults)), secret);
  }

  async join(connectionId: string, roomId: string, password?: string): Promise<Room> {
    const connection = this.#connection(connectionId);
    const userId = this.#connections.memberOf(connection);
    if (this.#options.createOnJoin && !this.#registry.roomExists(roomId)) await this.create(roomId, { owner: userId });
    const room = this.#registry.find(roomId);
    this.#assertRoomFor(connection, userId, room);
    // Another connection of a member's needs no permission of its own.
    if (!room.users.has(userId)) {
      await this.#assertMay({ room, userId, connection, password });
      // Whoever was asked took his time, and everything may be different now.
      if (!this.#context.node.connections.has(connectionId)) throw new ModuleError('CONNECTION_CLOSED', { connection: connectionId }, { expose: true });
      if (this.#connections.memberOf(connection) !== userId) return this.join(connectionId, roomId, password);
      if (this.#registry.find(roomId) !== room) throw refusal('ROOM_UNKNOWN', { room: roomId });
      this.#assertRoomFor(connection, userId, room);
    }
    const isNew = !room.users.has(userId);
    this.#connections.join(connection, roomId);
    if (isNew) this.#announce('user-joined', room, userId, connection);
    const { welcomeMessage } = room.config.behavior;
    if (welcomeMessage) connection.send({ type: this.#context.named('system-message'), content: { roomId, content: welcomeMessage } });
    return room;
  }

  async leave(connectionId: string, roomId: string): Promise<void> {
    const connection = this.#connection(connectionId);
    const room = this.#registry.find(roomId);
    const user = this.#connections.memberOf(connection);
    if (!this.#connections.roomsOf(connection).has(roomId)) throw refusal('NOT_IN_ROOM', { room: roomId, user });
    this.#leave(connection, roomId, user, room);
  }

  async leaveAll(connectionId: string): Promise<void> { this.#leaveAll(this.#connection(connectionId)); }

  async delete(room: Room): Promise<void> {
    this.#speaking.publish(room, { type: this.#context.named('room-deleted'), content: { roomId: room.id } });
    await this.#registry.deleteRoom(room.id);
  }

  /** Takes all connections of somebody out of a room. */
  async putOut(room: Room, userId: string): Promise<void> {
    const wasIn = room.users.has(userId);
    await this.#registry.leaveRoom(room.id, userId);
    if (wasIn) this.#announce('user-left', room, userId);
  }

  /** @throws CONNECTION_UNKNOWN */
  #connection(id: string): Connection {
    const connection = this.#context.node.connections.get(id);
    if (!connection) throw new ModuleError('CONNECTION_UNKNOWN', { connection: id });
    return connection;
  }

  /** What no policy can allow. @throws ALREADY_IN_ROOM, BANNED, ROOM_FULL */
  #assertRoomFor(connection: Connection, user: string, room: Room): void {
    if (this.#connections.roomsOf(connection).has(room.id)) throw refusal('ALREADY_IN_ROOM', { room: room.id });
    if (room.isBanned(user)) throw refusal('BANNED', { room: room.id, user });
    const { maxUsers } = room.config;
    if (room.users.size >= maxUsers && !room.users.has(user)) throw refusal('ROOM_FULL', { room: room.id, limit: maxUsers });
  }

  async #assertMay(attempt: JoinAttempt): Promise<void> {
    const { canJoin } = this.#options;
    const standard = (): Promise<boolean> => this.#standard(attempt);
    if (!(await (canJoin ? canJoin(attempt, standard) : standard()))) throw new ModuleError('FORBIDDEN');
  }

  /** Whether somebody is expected, or knows the password. */
  async #standard({ room, userId, password }: JoinAttempt): Promise<boolean> {
    const secret = this.#registry.secretOf(room);
    if (room.expects(userId)) return true;
    if (!secret && room.isPrivate) throw refusal('ROOM_PRIVATE', { room: room.id });
    if (!secret) return true;
    if (password === undefined) throw refusal('PASSWORD_REQUIRED', { room: room.id });
    if (!(await this.#passwords.matches(password, secret))) throw refusal('PASSWORD_WRONG', { room: room.id });
    return true;
  }

  #leave(connection: Connection, roomId: string, userId: string, room = this.#registry.getRoom(roomId)): void {
    this.#connections.leave(connection, roomId);
    if (room && !room.users.has(userId)) this.#announce('user-left', room, userId, connection);
  }

  #leaveAll(connection: Connection): void {
    const userId = this.#connections.memberOf(connection);
    for (const roomId of this.#connections.roomsOf(connection)) this.#leave(connection, roomId, userId);
  }

  #removed(connection: Connection): void {
    this.#leaveAll(connection);
    if (!connection.user) this.#registry.orphan(connection.id);
  }

  /** Who was nobody is somebody now, perhaps in the middle of his rooms. */
  #identified(connection: Connection): void {
    const before = this.#connections.memberOf(connection);
    const userId = memberOf(connection);
    this.#registry.inherit(connection.id, userId);
    if (before === userId) return;
    for (const roomId of this.#connections.roomsOf(connection)) {
      const room = this.#registry.getRoom(roomId);
      if (!room?.isBanned(userId)) continue;
      this.#leave(connection, roomId, before, room);
      connection.send({ type: this.#context.named('banned'), content: { roomId } });
    }
    const known = new Set([...this.#connections.roomsOf(connection)].filter((roomId) => this.#registry.getRoom(roomId)?.users.has(userId)));
    this.#connections.rename(connection, userId);
    for (const roomId of this.#connections.roomsOf(connection)) {
      const room = this.#registry.getRoom(roomId);
      if (room) this.#announce('user-left', room, before, connection);
      if (room && !known.has(roomId)) this.#announce('user-joined', room, userId, connection);
    }
  }

  #announce(type: 'user-joined' | 'user-left', room: Room, userId: string, connection?: Connection): void {
    if (!this.#options.announce) return;
    const username = connection?.user?.username;
    const named = typeof username === 'string' ? { username } : {};
    const content = { roomId: room.id, userId, ...named, memberCount: room.users.size };
    this.#speaking.publish(room, { type: this.#context.named(type), content }, connection ? { except: connection.id } : {});
  }
}
