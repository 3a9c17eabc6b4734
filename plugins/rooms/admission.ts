import { check, ModuleError, toError, userTopic, type Connection, type PluginContext } from '../../src/index.ts';
import { Announcer, type Farewell } from './announcer.ts';
import type { CreateAttempt, JoinAttempt, RoomInit, Verdict } from './api.ts';
import { CONFIG_RULES, resolveConfig, type ResolvedRoomConfig } from './config.ts';
import { memberOf, type NodeConnections } from './connection-manager.ts';
import type { Memory } from './memory.ts';
import { checkName } from './names.ts';
import { assertPassword, Passwords } from './password.ts';
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
  readonly #memory: Memory;
  readonly #options: AdmissionOptions;
  readonly #announcer: Announcer | undefined;
  readonly #passwords = new Passwords();

  constructor(context: PluginContext, registry: RoomRegistry, connections: NodeConnections, speaking: Speaking, memory: Memory, options: AdmissionOptions) {
    this.#context = context;
    this.#registry = registry;
    this.#connections = connections;
    this.#speaking = speaking;
    this.#memory = memory;
    this.#options = options;
    this.#announcer = options.announce ? new Announcer(context, registry, speaking) : undefined;
    context.on('connection:identified', (connection) => this.#identified(connection));
    context.on('connection:removed', (connection) => this.#removed(connection));
  }

  async create(name: string, { id = name, owner, password, ...given }: RoomInit): Promise<Room> {
    const { canCreate, defaults, maxNameLength } = this.#options;
    checkName(name, maxNameLength);
    checkName(id, maxNameLength);
    const config = check(given, CONFIG_RULES, 'room');
    assertPassword(password);
    this.#registry.assertFree(id, name, owner);
    if (canCreate && !(await canCreate({ name, id, owner, config }))) throw new ModuleError('FORBIDDEN');
    const secret = password === undefined ? undefined : await this.#passwords.hash(password);
    const { isPrivate = secret !== undefined, persistent = owner === undefined } = { ...defaults, ...config };
    const resolved = resolveConfig({ ...config, isPrivate, persistent }, defaults);
    return this.#registry.addRoom(new Room(id, name, owner, resolved), secret);
  }

  async join(connectionId: string, roomId: string, password?: string): Promise<Room> {
    const connection = this.#connection(connectionId);
    if (this.#options.createOnJoin && !this.#registry.roomExists(roomId)) await this.#createFor(connection, roomId);
    const userId = this.#connections.memberOf(connection);
    const room = this.#registry.find(roomId);
    this.#assertRoomFor(connection, userId, room);
    // Another connection of a member's needs no permission of its own.
    if (!room.users.has(userId)) {
      await this.#assertMay({ room, userId, connection, password });
      // Whoever was asked took his time, and everything may be different now.
      this.#assertThere(connection);
      if (this.#connections.memberOf(connection) !== userId) return this.join(connectionId, roomId, password);
      if (this.#registry.find(roomId) !== room) throw refusal('ROOM_UNKNOWN', { room: roomId });
      this.#assertRoomFor(connection, userId, room);
    }
    const isNew = !room.users.has(userId);
    this.#connections.join(connection, roomId);
    if (isNew) this.#announcer?.joined(room, userId, connection.user, connectionId);
    const { welcomeMessage } = room.config.behavior;
    if (welcomeMessage) connection.send({ type: this.#context.named('system-message'), content: { roomId, content: welcomeMessage } });
    return room;
  }

  async leave(connectionId: string, roomId: string): Promise<void> {
    const connection = this.#connection(connectionId);
    const user = this.#connections.memberOf(connection);
    this.#registry.find(roomId);
    if (!this.#connections.roomsOf(connection).has(roomId)) throw refusal('NOT_IN_ROOM', { room: roomId, user });
    this.#leave(connection, [roomId]);
  }

  async leaveAll(connectionId: string): Promise<void> {
    const connection = this.#connection(connectionId);
    this.#leave(connection, this.#connections.roomsOf(connection));
  }

  async delete(room: Room): Promise<void> {
    this.#speaking.publish(room, { type: this.#context.named('room-deleted'), content: { roomId: room.id } });
    await this.#registry.deleteRoom(room.id);
  }

  /** Takes all connections of somebody out of a room. */
  async putOut(room: Room, userId: string): Promise<void> {
    const wasIn = room.users.has(userId);
    await this.#registry.leaveRoom(room.id, userId);
    if (wasIn) this.#announcer?.left([{ room, userId, user: this.#connections.getConnectionByUserId(userId)?.user }]);
  }

  /** @throws CONNECTION_UNKNOWN */
  #connection(id: string): Connection {
    const connection = this.#context.node.connections.get(id);
    // No failure where it asked itself, and left before it was heard.
    if (!connection) throw new ModuleError('CONNECTION_UNKNOWN', { connection: id }, { expose: true });
    return connection;
  }

  /** @throws CONNECTION_CLOSED */
  #assertThere({ id }: Connection): void {
    if (!this.#context.node.connections.has(id)) throw new ModuleError('CONNECTION_CLOSED', { connection: id }, { expose: true });
  }

  async #createFor(connection: Connection, roomId: string): Promise<void> {
    this.#connections.assertSpace(connection);
    await this.create(roomId, { owner: this.#connections.memberOf(connection) }).catch((error: unknown) => {
      // Somebody else may have made it meanwhile, which is as good.
      if (!this.#registry.roomExists(roomId)) throw error;
    });
    this.#registry.catchUp(connection);
    this.#assertThere(connection);
  }

  /** What no policy can allow. @throws ALREADY_IN_ROOM, TOO_MANY_ROOMS, BANNED, ROOM_FULL */
  #assertRoomFor(connection: Connection, user: string, room: Room): void {
    if (this.#connections.roomsOf(connection).has(room.id)) throw refusal('ALREADY_IN_ROOM', { room: room.id });
    this.#connections.assertSpace(connection);
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

  #leave(connection: Connection, roomIds: Iterable<string>): void {
    const userId = this.#connections.memberOf(connection);
    const farewells: Farewell[] = [];
    for (const roomId of roomIds) {
      const room = this.#registry.getRoom(roomId);
      this.#connections.leave(connection, roomId);
      if (room && !room.users.has(userId) && this.#isHeardIn(room)) farewells.push({ room, userId, user: connection.user });
    }
    this.#announcer?.left(farewells);
  }

  /** Whether somebody may be left to be told. */
  #isHeardIn(room: Room): boolean { return room.users.size > 0 || !this.#context.node.isAlone; }

  #removed(connection: Connection): void {
    // Nobody can come back as this one.
    const forgotten = connection.user ? undefined : this.#roomsOf(connection);
    this.#leave(connection, [...this.#connections.roomsOf(connection)]);
    if (forgotten) this.#memory.forget(connection.id, forgotten);
    this.#registry.orphan(connection.id);
  }

  #roomsOf(connection: Connection): Room[] { return [...this.#connections.roomsOf(connection)].flatMap((roomId) => this.#registry.getRoom(roomId) ?? []); }

  /** Who was nobody is somebody now, perhaps in the middle of his rooms. */
  #identified(connection: Connection): void {
    const before = this.#connections.memberOf(connection);
    const userId = memberOf(connection);
    const bannedNow = this.#memory.rename(connection.id, userId, before === userId ? [] : this.#roomsOf(connection));
    this.#registry.inherit(connection.id, userId);
    for (const room of bannedNow) this.#putOutOthers(room, userId, connection);
    if (before === userId) return;
    const banned = this.#roomsOf(connection).filter((room) => room.isBanned(userId)).map(({ id }) => id);
    this.#leave(connection, banned);
    for (const roomId of banned) connection.send({ type: this.#context.named('banned'), content: { roomId } });
    const rooms = this.#roomsOf(connection);
    const isNew = new Set(rooms.filter((room) => !room.users.has(userId)));
    this.#connections.rename(connection, userId);
    this.#announcer?.left(rooms.map((room) => ({ room, userId: before, user: undefined })));
    for (const room of isNew) this.#announcer?.joined(room, userId, connection.user, connection.id);
  }

  /** He was banned as a nobody, and knows it; as a user he may be there by other connections. */
  #putOutOthers(room: Room, userId: string, { id }: Connection): void {
    if (!room.users.has(userId)) return;
    this.#context.node.publish(userTopic(userId), { type: this.#context.named('banned'), content: { roomId: room.id } }, { except: id });
    this.putOut(room, userId).catch((error: unknown) => this.#context.emit('error', toError(error), { phase: 'plugin', plugin: this.#context.name }));
  }
}
