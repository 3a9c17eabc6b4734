import {
  actorKey, check, describe, hasCode, ModuleError, newId, type Connection, type PluginContext,
} from '../../src/index.ts';
import type { NodeConnections } from './connection-manager.ts';
import { checkName, nameKeys } from './room-names.ts';
import { CONFIG_RULES, resolveConfig, type RoomConfig } from './room-config.ts';
import { encodeHash, toJson, type RoomDocument } from './room-documents.ts';
import { RoomManager } from './room-manager.ts';
import { assertPassword, RoomPasswords, type PasswordHash } from './room-passwords.ts';
import { assertMemberId, MAX_ID_LENGTH } from './room-request.ts';
import { Room } from './room.ts';
import type { RoomInfo, RoomInit } from './rooms-api.ts';
import type { RoomsSettings } from './rooms-options.ts';
import type { SharedRooms } from './shared-rooms.ts';

/** The rooms of the plugin, with limits, events, passwords and owners. Deletes rooms that stay empty. */
export class RoomRegistry extends RoomManager {
  readonly #context: PluginContext;
  readonly #connections: NodeConnections;
  readonly #settings: RoomsSettings;
  readonly #public = new Set<Room>();
  /** Rooms by name keys; see nameKeys(). */
  readonly #named = new Map<string, Room>();
  /** Rooms by owner. Anonymous owners with the same address are one actor. */
  readonly #owned = new Map<string, Set<Room>>();
  readonly #actors = new WeakMap<Room, string>();
  readonly #passwordHashes = new WeakMap<Room, PasswordHash>();
  readonly #passwords = new RoomPasswords();
  /** Empty rooms, each with a function that cancels its deletion. */
  readonly #deletions = new Map<Room, () => void>();
  /** What nodes share. Then `rooms` are those that this node uses. */
  #shared: SharedRooms | undefined;

  constructor(context: PluginContext, connections: NodeConnections, settings: RoomsSettings) {
    super(connections);
    this.#context = context;
    this.#connections = connections;
    this.#settings = settings;
  }

  share(shared: SharedRooms): void { this.#shared = shared; }

  /** Rooms that every client may see. */
  get public(): ReadonlySet<Room> { return this.#public; }

  /**
   * Finds a room that the member may see. Private rooms look like missing ones.
   * @throws ROOM_UNKNOWN
   */
  find(roomId: string, memberId?: string): Room {
    const room = this.rooms.get(roomId);
    if (room && (memberId === undefined || this.isVisible(room, memberId))) return room;
    throw new ModuleError('ROOM_UNKNOWN', { room: roomId });
  }

  isVisible(room: Room, memberId: string): boolean {
    return !room.isPrivate || room.hasMember(memberId) || room.needsNoPassword(memberId);
  }

  hasPassword(room: Room): boolean { return this.#passwordHashes.has(room); }

  /** @throws SERVER_OVERLOADED */
  async matchesPassword(room: Room, password: string): Promise<boolean> {
    const secret = this.#passwordHashes.get(room);
    return secret !== undefined && this.#passwords.matches(password, secret);
  }

  infoOf(room: Room): RoomInfo {
    const { id, name, owner, memberCount, config: { maxUsers }, isPrivate, metadata } = room;
    const [hasPassword, createdAt] = [this.#passwordHashes.has(room), room.createdAt.toISOString()];
    return { id, name, owner, memberCount, maxUsers, isPrivate, hasPassword, createdAt, metadata };
  }

  /** Creates a room like `create` of the API. */
  override async createRoom(name: string, owner?: string, config: RoomConfig = {}): Promise<Room> {
    return this.create(name, { ...config, ...(owner !== undefined && { owner }) });
  }

  async create(name: string, { id = name, owner, password, ...given }: RoomInit = {}): Promise<Room> {
    const { canCreate, defaults, maxNameLength } = this.#settings;
    checkName(name, maxNameLength);
    checkId(checkName(id, maxNameLength));
    const shared = this.#shared;
    const config = shared ? asJson(check(given, CONFIG_RULES, 'room')) : check(given, CONFIG_RULES, 'room');
    assertPassword(password);
    if (owner !== undefined) assertMemberId(owner, 'owner');
    this.#assertFree(id, name, owner);
    if (canCreate && !(await canCreate({ name, id, owner, config }))) throw new ModuleError('FORBIDDEN');
    const secret = password === undefined ? undefined : await this.#passwords.hash(password);
    // State may have changed during the await; check it again.
    this.#assertFree(id, name, owner);
    const { isPrivate = secret !== undefined, persistent = owner === undefined } = { ...defaults, ...config };
    const room = new Room(id, name, owner, resolveConfig({ ...config, isPrivate, persistent }, defaults));
    if (secret) this.#passwordHashes.set(room, secret);
    if (shared) {
      const document: RoomDocument = {
        uid: newId(), name, createdAt: Number(room.createdAt), owner, owners: owner === undefined ? [] : [owner],
        actor: owner === undefined ? undefined : this.#connections.actorOf(owner),
        config: { ...config, isPrivate, persistent, maxUsers: room.config.maxUsers },
        password: secret && encodeHash(secret),
      };
      const version = await shared.create(room, document);
      const known = this.rooms.get(id);
      // Another connection of this node may have read the room already.
      if (known && shared.copies.of(known).document.uid === document.uid) return known;
      // An earlier room with this id was deleted, and this node has not heard of it yet.
      if (known) await shared.deleted(known);
      shared.copies.add(room, document, version);
    }
    return this.addRoom(room);
  }

  /** Returns the room with this id, or creates it. */
  async ensure(name: string, init: RoomInit = {}): Promise<Room> {
    const { id = name } = init;
    await this.#shared?.copies.load(id);
    const room = this.rooms.get(id);
    if (room) return room;
    try {
      return await this.create(name, init);
    } catch (error) {
      // Another node may have created it meanwhile.
      if (!hasCode(error, 'ROOM_EXISTS')) throw error;
      await this.#shared?.copies.load(id);
      return this.find(id);
    }
  }

  /** Adds a room that another node has created. */
  adopt(room: Room, secret: PasswordHash | undefined): void {
    if (secret) this.#passwordHashes.set(room, secret);
    this.#insert(room);
  }

  override async deleteRoom(roomId: string): Promise<boolean> {
    if (!this.#shared) return this.removeRoom(this.rooms.get(roomId));
    await this.#shared.copies.load(roomId);
    const room = this.rooms.get(roomId);
    const isDeleted = room !== undefined && await this.#shared.directory.delete(room);
    if (room) await this.#shared.deleted(room);
    return isDeleted;
  }

  /** Removes a room from this node. */
  async removeRoom(room: Room | undefined): Promise<boolean> {
    if (!room || this.rooms.get(room.id) !== room) return false;
    const done = super.deleteRoom(room.id);
    this.#cancelDeletion(room);
    this.#public.delete(room);
    for (const key of nameKeys(room.name)) this.#named.delete(key);
    this.#disown(room);
    this.#shared?.copies.drop(room);
    if (this.#shared) await this.#shared.seats.released();
    this.#context.emit('room:deleted', { room });
    return done;
  }

  override async leaveRoom(roomId: string, userId: string, connection?: Connection): Promise<void> {
    if (!connection) this.#shared?.seats.removing(roomId, userId);
    return super.leaveRoom(roomId, userId, connection);
  }

  /** Deletes all rooms, without events and notices. */
  clear(): void {
    for (const all of [this.rooms, this.#public, this.#named, this.#owned]) all.clear();
    this.#shared?.copies.clear();
  }

  /** Rooms owned by an anonymous connection, including those created after it authenticated or closed. */
  ownedByConnection({ id, ip }: Pick<Connection, 'id' | 'ip'>): Room[] {
    const actors = [actorKey({ id, ip }), `user:${id}`];
    return actors.flatMap((actor) => [...this.#owned.get(actor) ?? []]).filter((room) => room.owner === id);
  }

  mayOwnMore(memberId: string): boolean {
    return (this.#owned.get(this.#connections.actorOf(memberId))?.size ?? 0) < this.#settings.maxRoomsPerOwner;
  }

  /** The error for a member who owns the maximum number of rooms. */
  ownerLimitError(): ModuleError {
    return new ModuleError('TOO_MANY_ROOMS', { of: 'owner', limit: this.#settings.maxRoomsPerOwner });
  }

  setOwner(room: Room, owner: string | undefined): void {
    this.#disown(room);
    room.owner = owner;
    this.#own(room);
  }

  /** Whether a room is empty and will be deleted. */
  isDeletionScheduled(room: Room): boolean { return this.#deletions.has(room); }

  protected override addRoom(room: Room): Room {
    this.#insert(room);
    this.#scheduleDeletion(room);
    this.#context.emit('room:created', { room });
    return room;
  }

  #insert(room: Room): void {
    super.addRoom(room);
    for (const key of nameKeys(room.name)) this.#named.set(key, room);
    if (!room.isPrivate) this.#public.add(room);
    this.#own(room);
  }

  protected override memberJoined(room: Room, userId: string, connection?: Connection): void {
    this.#cancelDeletion(room);
    // The store knows whether it is the member's first connection on all nodes.
    if (!this.#shared) this.#context.emit('room:joined', { room, userId, ...(connection && { connection }) });
  }

  protected override memberLeft(room: Room, userId: string, connection?: Connection): void {
    if (this.#shared) return;
    this.#scheduleDeletion(room);
    this.#context.emit('room:left', { room, userId, ...(connection && { connection }) });
  }

  /** @throws ROOM_EXISTS, ROOM_NAME_TAKEN, TOO_MANY_ROOMS, CONTEXT_CLOSED */
  #assertFree(room: string, name: string, owner: string | undefined): void {
    const { maxRooms } = this.#settings;
    if (this.#context.signal.aborted) throw new ModuleError('CONTEXT_CLOSED', { plugin: this.#context.name });
    // The store decides, because this node may not know yet that a room was deleted.
    if (this.#shared && (this.rooms.has(room) || !this.#connections.isOccupied(room))) return;
    // The application may have added connections to a missing room by `manager.connections`.
    if (this.rooms.has(room) || this.#connections.isOccupied(room)) throw new ModuleError('ROOM_EXISTS', { room });
    if (nameKeys(name).some((key) => this.#named.has(key))) throw new ModuleError('ROOM_NAME_TAKEN', { name });
    if (this.rooms.size >= maxRooms) throw new ModuleError('TOO_MANY_ROOMS', { of: 'server', limit: maxRooms });
    if (owner !== undefined && !this.mayOwnMore(owner)) throw this.ownerLimitError();
  }

  #scheduleDeletion(room: Room): void {
    if (this.#shared) return this.#shared.directory.scheduleDeletion(room);
    const { autoDeleteWhenEmpty, emptyTimeout } = room.config.behavior;
    if (room.users.size > 0 || room.isPersistent || !autoDeleteWhenEmpty || this.#deletions.has(room)) return;
    this.#deletions.set(room, this.#context.after(emptyTimeout, () => void this.deleteRoom(room.id)));
  }

  #cancelDeletion(room: Room): void {
    this.#shared?.directory.cancelDeletion(room);
    this.#deletions.get(room)?.();
    this.#deletions.delete(room);
  }

  #own(room: Room): void {
    if (room.owner === undefined) return;
    const actor = this.#connections.actorOf(room.owner);
    this.#actors.set(room, actor);
    this.#owned.set(actor, (this.#owned.get(actor) ?? new Set()).add(room));
  }

  #disown(room: Room): void {
    const actor = this.#actors.get(room) ?? '';
    const rooms = this.#owned.get(actor);
    if (rooms?.delete(room) && rooms.size === 0) this.#owned.delete(actor);
  }
}

/** A configuration as other nodes read it. @throws OPTION_INVALID */
function asJson(config: RoomConfig): RoomConfig {
  try {
    return toJson(config) as RoomConfig;
  } catch (cause) {
    const expected = 'data that JSON can represent, because nodes share it';
    const details = { path: 'room.metadata', given: describe(config.metadata), expected };
    throw new ModuleError('OPTION_INVALID', details, { cause });
  }
}

/** Ids have a limit in UTF-16 units, because clients cannot send longer ones. @throws ROOM_NAME_INVALID */
function checkId({ length }: string): void {
  if (length <= MAX_ID_LENGTH) return;
  const reason = `has ${length} UTF-16 units; at most ${MAX_ID_LENGTH} are allowed in an id`;
  throw new ModuleError('ROOM_NAME_INVALID', { reason });
}
