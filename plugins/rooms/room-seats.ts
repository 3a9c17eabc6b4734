import {
  hasCode, inTurns, isConnectionId, isRecord, isStoreUnavailable, ModuleError, publicProfile, type Connection,
  type PluginContext, type Reaped, type SeatName, type SharedStore,
} from '../../src/index.ts';
import { memberKey } from './connection-manager.ts';
import { whenSettled } from './room-changes.ts';
import { splitKey, toJson } from './room-documents.ts';
import type { Leaving, Seat, SeatEvents, SeatPartsOfRooms } from './room-seat.ts';
import type { Room } from './room.ts';

/** Milliseconds between two attempts to leave after the store could not be reached. */
const RETRY_INTERVAL = 1_000;
/** Maximum number of seats that are entered at once after a lapse. */
const MAX_AT_ONCE = 100;
/** Holds a seat in the store for each connection of this node in a room. So limits and lists hold on all nodes. */
export class RoomSeats {
  readonly #context: PluginContext;
  readonly #store: SharedStore;
  readonly #parts: SeatPartsOfRooms;
  readonly #events: SeatEvents;
  /** By connection and room. */
  readonly #seats = new Map<string, Seat>();
  /** Seats whose release failed, and is repeated. */
  readonly #leaving = new Map<string, Leaving>();
  readonly #releasing = new Set<Promise<unknown>>();
  /** Joins that run, by connection and room, so that two of them do not overlap. */
  readonly #joining = new Map<string, Promise<unknown>>();
  /** Connections that broke: their users may return. */
  readonly #broken = new WeakSet<Connection>();
  #passing: Connection | undefined;
  #isLapsed = false;

  constructor(context: PluginContext, store: SharedStore, parts: SeatPartsOfRooms, events: SeatEvents) {
    this.#context = context;
    this.#store = store;
    this.#parts = parts;
    this.#events = events;
    parts.connections.watch({
      joined: (roomId, userId, connection) => this.#joined(roomId, userId, connection),
      left: (roomId, _, connection) => this.#left(roomId, connection),
    });
    context.every(RETRY_INTERVAL, () => this.#retry());
    context.seats({
      lapsed: () => this.#lapse(),
      enterAgain: () => this.#enterAgain(),
      reaped: (seat) => this.#reaped(seat),
      holds: (seat) => this.#holds(seat),
    });
  }

  get isLapsed(): boolean { return this.#isLapsed; }

  /** @throws STORE_UNAVAILABLE */
  assertServing(action: string): void {
    if (this.#isLapsed) throw new ModuleError('STORE_UNAVAILABLE', { store: this.#store.name, action });
  }

  /** Keeps the seats of a connection that broke, for the time that its user may need to return. */
  keep(connection: Connection): void { if (this.#parts.grace > 0) this.#broken.add(connection); }

  /**
   * Enters a seat, then reads what decides whether the user may stay, then lets the connection join. If anything fails,
   * the seat is released.
   * @param join joins the connection, or throws
   * @throws ROOM_FULL, STORE_UNAVAILABLE, LEASE_LOST, and what `join` throws
   */
  async join(room: Room, userId: string, connection: Connection, join: () => void): Promise<void> {
    const key = memberKey(connection.id, room.id);
    // A second join of this connection waits; then it finds that the connection is in the room.
    while (this.#joining.has(key)) await this.#joining.get(key);
    if (this.#seats.has(key)) return join();
    const seat = this.#seatOf(room, userId, connection);
    const joining = whenSettled(this.#store, () => this.#enter(key, seat, join));
    this.#joining.set(key, joining.catch(() => undefined));
    try {
      await joining;
    } finally {
      this.#joining.delete(key);
    }
  }

  async #enter(key: string, seat: Seat, join: () => void): Promise<void> {
    const { room, userId, connection } = seat;
    const [entered, read] = await Promise.allSettled([this.#take(seat), this.#parts.copies.reread(room, userId)]);
    let isFirst = false;
    try {
      if (entered.status === 'rejected') throw entered.reason;
      if (read.status === 'rejected') throw read.reason;
      const { first, size } = entered.value;
      isFirst = first;
      await this.#reopen(room);
      room.countMembers(size);
      this.#seats.set(key, seat);
      join();
      this.#parts.members.add(room, userId, connection.id);
      if (first) this.#events.joined(seat, connection, true);
    } catch (error) {
      this.#seats.delete(key);
      const isSilent = isFirst ? 'first' : 'further';
      // Without an answer it is unknown whether the seat was taken.
      if (entered.status === 'fulfilled' || isStoreUnavailable(error)) this.#release({ seat, userId, isSilent });
      throw error;
    }
  }

  /** Removes the mark of a room that is about to be deleted because it was empty. @throws ROOM_UNKNOWN */
  async #reopen(room: Room): Promise<void> {
    if (this.#parts.copies.of(room).document.state !== 'closing') return;
    await this.#parts.changes.changeRoom(room, (document) => ({ ...document, state: undefined }));
  }

  /** @throws ROOM_FULL */
  async #take(
    { room, set, userId, connection }: Seat, { isReturning, replaces }: {
      readonly isReturning?: boolean | undefined; readonly replaces?: string | undefined;
    } = {},
  ): Promise<{ first: boolean; size: number }> {
    this.#leaving.delete(leavingKey(connection, room, userId));
    const { maxUsers } = room.config;
    const value = toJson(publicProfile(connection.user));
    try {
      return await this.#store.enter(set, userId, {
        holder: connection.id, max: maxUsers, replaces, value, isReturning,
      });
    } catch (error) {
      if (!hasCode(error, 'STORE_FULL')) throw error;
      throw new ModuleError('ROOM_FULL', { room: room.id, limit: maxUsers });
    }
  }

  /**
   * Passes the seat of a connection to another member: its new user, or, without a user, the connection itself.
   * @returns whether the new member was not in the room before
   * @throws ROOM_FULL, STORE_UNAVAILABLE, LEASE_LOST
   */
  async pass(room: Room, userId: string, connection: Connection): Promise<boolean> {
    const seat = this.#seats.get(memberKey(connection.id, room.id));
    if (!seat || seat.userId === userId) return false;
    const { userId: before } = seat;
    const isAnonymous = isConnectionId(before);
    if (!isAnonymous) this.#release({ seat, userId: before });
    seat.userId = userId;
    try {
      const { first, size } = await this.#take(seat, {
        replaces: isAnonymous ? before : undefined, isReturning: true,
      });
      room.countMembers(size);
      this.#parts.members.add(room, userId, connection.id);
      return first;
    } catch (error) {
      seat.userId = before;
      // Without an answer it is unknown whether the seat was passed.
      if (isStoreUnavailable(error)) this.#release({ seat, userId, isSilent: 'further' });
      throw error;
    }
  }

  /** The member that holds the seat of a connection. */
  memberOf(by: Connection, roomId: string): string | undefined {
    return this.#seats.get(memberKey(by.id, roomId))?.userId;
  }

  /** Runs work that assigns a connection to the new member, after its seats were passed. */
  whilePassing(connection: Connection, userId: string, work: () => void): void {
    for (const roomId of this.#parts.connections.roomsOf(connection)) {
      const seat = this.#seats.get(memberKey(connection.id, roomId));
      // After a lapse, it is entered again for the new member.
      if (seat) seat.userId = userId;
    }
    this.#passing = connection;
    work();
    this.#passing = undefined;
  }

  /** Called before the connections of a member are removed from a room. */
  removing(roomId: string, userId: string): void {
    for (const { id } of this.#parts.connections.getUserConnections(userId)) {
      const seat = this.#seats.get(memberKey(id, roomId));
      if (seat) seat.isRemoved = true;
    }
  }

  /** Resolves when the seats of the connections that have left are released. */
  async released(): Promise<void> { await Promise.all(this.#releasing); }

  /** Releases all seats, when the plugin is unloaded. */
  async releaseAll(): Promise<void> {
    const seats = [...this.#seats.values()];
    this.#seats.clear();
    const leaving = seats.map(({ room, set, userId, connection }) => {
      this.#parts.members.remove(room, userId, connection.id);
      return this.#store.leave(set, userId, { holder: connection.id });
    });
    await Promise.allSettled([...leaving, ...this.#releasing]);
  }

  // Seats

  #seatOf(room: Room, userId: string, connection: Connection): Seat {
    return { room, set: this.#parts.copies.setOf(room), userId, connection, isRemoved: false };
  }

  /** A connection that has no seat was added by the application, by `manager.connections`: nothing is checked. */
  #joined(roomId: string, userId: string, connection: Connection): void {
    const room = this.#parts.registry.getRoom(roomId);
    const key = memberKey(connection.id, roomId);
    if (!room || this.#seats.has(key)) return;
    const seat = this.#seatOf(room, userId, connection);
    this.#seats.set(key, seat);
    const options = { holder: connection.id, value: toJson(publicProfile(connection.user)) };
    this.#store.enter(seat.set, userId, options).then(({ first, size }) => {
      room.countMembers(size);
      this.#parts.members.add(room, userId, connection.id);
      if (first) this.#events.joined(seat, connection, false);
      // From now on, this node hears of changes that concern the member.
      return this.#parts.copies.load(roomId, [userId]);
    }).catch((error: unknown) => this.#unlessUnavailable(error));
  }

  #left(roomId: string, connection: Connection): void {
    const key = memberKey(connection.id, roomId);
    const seat = this.#seats.get(key);
    if (!seat || connection === this.#passing) return;
    this.#seats.delete(key);
    this.#release({ seat, userId: seat.userId, keepFor: this.#broken.has(connection) ? this.#parts.grace : undefined });
  }

  #release(leaving: Leaving): void {
    const { seat: { room, connection }, userId } = leaving;
    const releasing = this.#leave(leaving).catch((error: unknown) => {
      // After a lapse, another node clears the seat.
      if (hasCode(error, 'LEASE_LOST')) return;
      const key = memberKey(connection.id, room.id);
      // The same seat was entered after the release.
      if (this.#joining.has(key) || this.#seats.get(key)?.userId === userId) return;
      if (isStoreUnavailable(error)) this.#leaving.set(leavingKey(connection, room, userId), leaving);
      else this.#context.report(error);
    }).finally(() => this.#releasing.delete(releasing));
    this.#releasing.add(releasing);
  }

  async #leave({ seat: { room, set, connection, isRemoved }, userId, keepFor, isSilent }: Leaving): Promise<void> {
    const { user } = connection;
    this.#parts.members.remove(room, userId, connection.id);
    const { last, size } = await this.#store.leave(set, userId, { holder: connection.id, keepFor });
    room.countMembers(size);
    if (!last && isSilent === 'first') await this.#events.overtaken({ room, userId }, connection);
    if (last && !isSilent) this.#events.left({ room, userId, user }, isRemoved ? undefined : connection);
  }

  #retry(): void {
    const leaving = [...this.#leaving.values()];
    this.#leaving.clear();
    for (const one of leaving) this.#release(one);
  }

  // The lease of the node

  #lapse(): void {
    this.#isLapsed = true;
    this.#leaving.clear();
    this.#parts.connections.suspend();
  }

  async #enterAgain(): Promise<void> {
    await this.#events.returned();
    await inTurns([...this.#seats], MAX_AT_ONCE, ([key, seat]) => this.#takeAgain(key, seat));
    this.#isLapsed = false;
    this.#parts.connections.resume();
  }

  async #takeAgain(key: string, seat: Seat): Promise<void> {
    if (this.#seats.get(key) !== seat) return;
    const { room, userId, connection } = seat;
    try {
      const { first, size } = await this.#take(seat, { isReturning: true });
      // The connection left during the await.
      if (this.#seats.get(key) !== seat) return this.#release({ seat, userId, isSilent: first ? 'first' : undefined });
      room.countMembers(size);
      this.#parts.members.add(room, userId, connection.id);
      if (first) this.#events.joined(seat, connection, true);
    } catch (error) {
      if (!(error instanceof ModuleError) || isStoreUnavailable(error)) throw error;
      this.#seats.delete(key);
      this.#events.refused(seat, error.code);
    }
  }

  /** Announces that a member of a dead node has left. */
  async #reaped({ set, member: userId, last, value }: Reaped): Promise<void> {
    const [kind, rest] = splitKey(set);
    if (kind !== 'members' || !last) return;
    const [uid, roomId] = splitKey(rest);
    await this.#parts.copies.load(roomId);
    const { room } = this.#parts.copies.byUid(uid) ?? {};
    if (!room) return;
    const [size = 0] = await this.#store.sizes([set]);
    room.countMembers(size);
    this.#events.left({ room, userId, user: { ...(isRecord(value) && value), id: userId } });
  }

  #holds({ set, member, holder }: SeatName): boolean {
    const [kind, rest] = splitKey(set);
    const [uid, name] = splitKey(rest);
    const roomId = kind === 'members' ? name : this.#parts.copies.byUid(uid)?.room.id;
    if (roomId === undefined) return false;
    const key = memberKey(holder, roomId);
    const seat = this.#seats.get(key);
    return this.#joining.has(key) || (seat !== undefined && (kind !== 'members' || seat.userId === member));
  }

  #unlessUnavailable(error: unknown): void { if (!isStoreUnavailable(error)) this.#context.report(error); }
}

const leavingKey = (by: Connection, { id }: Room, userId: string): string => memberKey(memberKey(by.id, id), userId);
