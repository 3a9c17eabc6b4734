import {
  memberId, ModuleError, reconnectPolicy, userTopic, type Connection, type PluginContext,
} from '../../src/index.ts';
import { MembershipNotices, type Change } from './membership-notices.ts';
import type { Room } from './room.ts';
import type { JoinAttempt, Verdict } from './rooms-api.ts';
import type { RoomsSettings } from './rooms-options.ts';
import { SeatKeeper } from './seat-keeper.ts';
import { SharedMembership, type MembershipParts } from './shared-membership.ts';

/** Milliseconds after which a repeated `canJoin` counts as rejected. */
const MAX_CHECK_TIME = 30_000;

/** Joins and leaves rooms, and updates memberships when a connection closes or its user changes. */
export class RoomMembership {
  readonly #context: PluginContext;
  readonly #parts: MembershipParts;
  readonly #settings: RoomsSettings;
  readonly #notices: MembershipNotices | undefined;
  readonly #seats: SeatKeeper;
  /** Connections whose rooms are being checked again. `true`: the user changed meanwhile, so check once more. */
  readonly #checking = new WeakMap<Connection, boolean>();
  /** What nodes with a shared store do in another way. */
  readonly #shared: SharedMembership | undefined;

  constructor(context: PluginContext, parts: MembershipParts, settings: RoomsSettings) {
    this.#context = context;
    this.#parts = parts;
    this.#settings = settings;
    this.#notices = settings.announce ? new MembershipNotices(context, parts.registry, parts.messenger) : undefined;
    // A shared store keeps the seats itself.
    this.#seats = new SeatKeeper(parts.shared ? 0 : settings.seatGrace);
    this.#shared = parts.shared && new SharedMembership(context, { ...parts, shared: parts.shared }, settings, {
      notices: this.#notices,
      enter: (attempt) => this.#enter(attempt),
      assertPossible: (attempt) => this.#assertPossible(attempt),
      refusal: (attempt, error) => this.#refusal(attempt, error),
      leave: (connection, roomId) => this.#leave(connection, [roomId]),
      updateName: (connection) => this.#updateName(connection),
      userChanged: (connection) => { if (settings.canJoin) void this.#checkAgain(connection); },
      removeOtherConnections: (...member) => this.#removeOtherConnections(...member),
    });
    context.on('connection:identified', (connection) => this.#identified(connection));
    context.on('connection:removed', (connection, { code }) => this.#removed(connection, code));
    context.on('room:deleted', ({ room }) => this.#seats.forget(room));
  }

  async join(connectionId: string, roomId: string, password?: string): Promise<Room> {
    const { connections, registry } = this.#parts;
    const shared = this.#shared;
    const connection = this.#connection(connectionId);
    // Checked before the lookup, so that the error is the same for private and for missing rooms.
    if (!connections.roomsOf(connection).has(roomId)) connections.assertSpace(connection);
    if (shared) await shared.load(connection, roomId);
    if (this.#settings.createOnJoin && !registry.roomExists(roomId)) await this.#createFor(connection, roomId);
    const room = registry.find(roomId);
    const { user } = connection;
    const attempt = this.#attempt(room, connection, password);
    this.#assertPossible(attempt);
    if (!(await this.#ask(attempt))) throw this.#refusal(attempt, new ModuleError('FORBIDDEN'));
    // State may have changed during the await; check it again.
    const isStale = (): boolean => {
      this.#assertConnected(connection);
      if (registry.getRoom(roomId) !== room) throw new ModuleError('ROOM_UNKNOWN', { room: roomId });
      return connection.user !== user || connections.memberOf(connection) !== attempt.userId
        || (attempt.isMember && !room.hasMember(attempt.userId));
    };
    if (isStale()) return this.join(connectionId, roomId, password);
    this.#assertPossible(attempt);
    if (!shared) this.#enter(attempt);
    else if (!await shared.enter(attempt, isStale)) return this.join(connectionId, roomId, password);
    return room;
  }

  async leave(connectionId: string, roomId: string): Promise<void> {
    const { connections, registry } = this.#parts;
    const connection = this.#connection(connectionId);
    const user = connections.memberOf(connection);
    registry.find(roomId, user);
    if (!connections.roomsOf(connection).has(roomId)) throw new ModuleError('NOT_IN_ROOM', { room: roomId, user });
    this.#leave(connection, [roomId]);
  }

  async leaveAll(connectionId: string): Promise<void> {
    const connection = this.#connection(connectionId);
    this.#leave(connection, this.#parts.connections.roomsOf(connection));
  }

  /** What other nodes need to be told, and what they tell. `undefined` without a shared store. */
  get shared(): SharedMembership | undefined { return this.#shared; }

  /** Removes all connections of a member from a room. */
  async removeMember(room: Room, userId: string, isKicked = false): Promise<void> {
    const { connections, lists, registry } = this.#parts;
    if (this.#shared) return this.#shared.remove(room, userId, isKicked);
    const wasIn = room.users.has(userId);
    this.#seats.release(room, userId);
    await registry.leaveRoom(room.id, userId);
    if (!wasIn) return;
    lists.left(room, userId);
    this.#notices?.tell([{ type: 'left', room, userId, user: connections.getConnectionByUserId(userId)?.user }]);
  }

  #attempt(room: Room, connection: Connection, password?: string): JoinAttempt {
    const userId = this.#parts.connections.memberOf(connection);
    return { room, userId, connection, password, isMember: room.hasMember(userId) };
  }

  /** @throws CONNECTION_UNKNOWN */
  #connection(id: string): Connection {
    const connection = this.#context.node.connections.get(id);
    // The client may disconnect before its message is handled; that is not a server error.
    if (!connection) throw new ModuleError('CONNECTION_UNKNOWN', { connection: id }, { expose: true });
    return connection;
  }

  /** @throws CONNECTION_CLOSED */
  #assertConnected({ id }: Connection): void {
    if (this.#context.node.connections.has(id)) return;
    throw new ModuleError('CONNECTION_CLOSED', { connection: id }, { expose: true });
  }

  async #createFor(connection: Connection, roomId: string): Promise<void> {
    const { connections, ownership, registry, shared } = this.#parts;
    await registry.create(roomId, { owner: connections.memberOf(connection) }).catch(async (error: unknown) => {
      // Another client may have created the room meanwhile.
      if (shared) await shared.copies.load(roomId);
      if (!registry.roomExists(roomId)) throw error;
    });
    ownership.update(connection);
    this.#assertConnected(connection);
  }

  /** Checks that `canJoin` cannot override. @throws ALREADY_IN_ROOM, BANNED, ROOM_FULL, ROOM_UNKNOWN */
  #assertPossible(attempt: JoinAttempt): void {
    const { room, userId, connection } = attempt;
    const refuse = (error: ModuleError): never => { throw this.#refusal(attempt, error); };
    const isIn = this.#parts.connections.roomsOf(connection).has(room.id);
    if (isIn) refuse(new ModuleError('ALREADY_IN_ROOM', { room: room.id }));
    if (room.isBanned(userId)) refuse(new ModuleError('BANNED', { room: room.id, user: userId }));
    if (!room.users.has(userId) && this.#seats.isFull(room, userId)) {
      refuse(new ModuleError('ROOM_FULL', { room: room.id, limit: room.config.maxUsers }));
    }
  }

  #ask(attempt: JoinAttempt): Verdict {
    const { canJoin } = this.#settings;
    const standard = (): Promise<boolean> => this.#standard(attempt);
    return canJoin ? canJoin(attempt, standard) : standard();
  }

  /** The default of `canJoin`: the room is public, or the user is a member, needs no password, or knows it. */
  async #standard({ room, userId, password, isMember }: JoinAttempt): Promise<boolean> {
    const { registry } = this.#parts;
    const hasPassword = registry.hasPassword(room);
    if (isMember || room.needsNoPassword(userId) || !(room.isPrivate || hasPassword)) return true;
    if (!hasPassword) throw new ModuleError('ROOM_UNKNOWN', { room: room.id });
    if (password === undefined) throw new ModuleError('PASSWORD_REQUIRED', { room: room.id });
    if (!(await registry.matchesPassword(room, password))) throw new ModuleError('PASSWORD_WRONG', { room: room.id });
    return true;
  }

  /** The error for a rejected join. Hides private rooms, except rooms that ask for a password. */
  #refusal({ room, userId }: JoinAttempt, error: ModuleError): ModuleError {
    const { registry } = this.#parts;
    if (registry.isVisible(room, userId) || registry.hasPassword(room)) return error;
    return new ModuleError('ROOM_UNKNOWN', { room: room.id });
  }

  #enter({ room, userId, connection }: JoinAttempt): void {
    const { user, id } = connection;
    // With a shared store, its answer says whether a user becomes a member.
    const isNew = !this.#shared && !room.users.has(userId);
    this.#parts.connections.join(connection, room.id);
    this.#seats.release(room, userId);
    if (isNew) this.#notices?.tell([{ type: 'joined', room, userId, user, except: id }]);
    const { welcomeMessage: content } = room.config.behavior;
    if (content) this.#send(connection, 'system-message', { roomId: room.id, content });
  }

  /** @param isBroken whether the connection broke, so that the user may reconnect */
  #leave(connection: Connection, roomIds: Iterable<string>, isBroken = false): void {
    const { connections, lists, registry, shared } = this.#parts;
    const { node } = this.#context;
    const userId = connections.memberOf(connection);
    // The answer of the store says whether a member has left.
    if (shared) {
      if (isBroken) shared.seats.keep(connection);
      for (const roomId of [...roomIds]) connections.leave(connection, roomId);
      return;
    }
    // A closed anonymous connection cannot come back.
    const isRemembered = connection.user !== undefined || node.connections.has(connection.id);
    const changes: Change[] = [];
    for (const roomId of roomIds) {
      const room = registry.getRoom(roomId);
      connections.leave(connection, roomId);
      if (!room || room.users.has(userId)) continue;
      if (isRemembered) lists.left(room, userId);
      if (isBroken) this.#seats.keep(room, userId);
      if (room.users.size > 0 || !node.isAlone) changes.push({ type: 'left', room, userId, user: connection.user });
    }
    this.#notices?.tell(changes);
  }

  #send(connection: Connection, type: string, content: object): void {
    connection.send({ type: this.#context.named(type), content });
  }

  #rooms(ids: ReadonlySet<string>): Room[] { return [...ids].flatMap((id) => this.#parts.registry.getRoom(id) ?? []); }

  #removed(connection: Connection, code: number): void {
    const { connections, lists, ownership } = this.#parts;
    const isBroken = connection.user !== undefined && reconnectPolicy(code) !== 'never';
    this.#leave(connection, [...connections.roomsOf(connection)], isBroken);
    lists.forget(connection.id);
    ownership.update(connection);
  }

  /** The user of a connection was set, changed or, after `auth` was unloaded, removed. */
  #identified(connection: Connection): void {
    if (this.#shared) return this.#shared.identified(connection);
    const { connections, lists, ownership } = this.#parts;
    const { id, user } = connection;
    const before = connections.memberOf(connection);
    const userId = memberId(connection);
    if (user) {
      const bannedNow = lists.move(id, userId);
      ownership.update(connection);
      for (const room of bannedNow) if (room.users.has(userId)) this.#removeOtherConnections(room, userId, id);
    }
    if (before !== userId) this.#rename(connection, before, userId);
    else this.#updateName(connection);
    if (this.#settings.canJoin) void this.#checkAgain(connection);
  }

  #updateName(connection: Connection): void {
    const { connections } = this.#parts;
    if (!connections.updateName(connection)) return;
    const { user } = connection;
    const userId = memberId(connection);
    const rooms = this.#rooms(connections.roomsOfMember(userId));
    this.#notices?.tell(rooms.map((room) => ({ type: 'renamed', room, userId, user })));
  }

  /** Assigns a connection to another member in all its rooms. Leaves the rooms where that member is banned. */
  #rename(connection: Connection, before: string, userId: string): void {
    const { connections } = this.#parts;
    const { id, user } = connection;
    for (const room of this.#rooms(connections.roomsOf(connection))) {
      if (!room.isBanned(userId)) continue;
      this.#leave(connection, [room.id]);
      this.#send(connection, 'banned', { roomId: room.id });
    }
    const rooms = this.#rooms(connections.roomsOf(connection));
    const added = rooms.filter((room) => !room.users.has(userId));
    connections.changeMember(connection, userId);
    const left = rooms.filter((room) => !room.users.has(before));
    this.#notices?.tell(left.map((room) => ({ type: 'left', room, userId: before })));
    this.#notices?.tell(added.map((room) => ({ type: 'joined', room, userId, user, except: id })));
  }

  /** Removes the other connections of a user who was banned while anonymous. */
  #removeOtherConnections(room: Room, userId: string, except: string): void {
    const message = { type: this.#context.named('banned'), content: { roomId: room.id } };
    this.#context.node.publish(userTopic(userId), message, { except });
    this.removeMember(room, userId).catch((error: unknown) => this.#context.report(error));
  }

  /** Asks `canJoin` again for each room of a connection whose user has changed. */
  async #checkAgain(connection: Connection): Promise<void> {
    const { connections, registry } = this.#parts;
    if (this.#checking.has(connection)) return void this.#checking.set(connection, true);
    do {
      this.#checking.set(connection, false);
      // All rooms at once: a slow check of one room must not keep a member in the others.
      await Promise.all(this.#rooms(connections.roomsOf(connection)).map(async (room) => {
        const mayStay = await this.#mayStay(this.#attempt(room, connection));
        const isIn = registry.getRoom(room.id) === room && connections.roomsOf(connection).has(room.id);
        if (mayStay || !isIn) return;
        this.#leave(connection, [room.id]);
        this.#send(connection, 'kicked', { roomId: room.id });
      }));
    } while (this.#checking.get(connection));
    this.#checking.delete(connection);
  }

  async #mayStay(attempt: JoinAttempt): Promise<boolean> {
    try {
      return await this.#context.within(MAX_CHECK_TIME, (async () => this.#ask(attempt))(), () => false);
    } catch (error) {
      // A failed check rejects.
      if (!(error instanceof ModuleError)) this.#context.report(error);
      return false;
    }
  }
}
