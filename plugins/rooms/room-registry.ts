import { actorKey, check, ModuleError, type Connection, type PluginContext } from '../../src/index.ts';
import type { NodeConnections } from './connection-manager.ts';
import { checkName, nameKeys } from './room-names.ts';
import { CONFIG_RULES, resolveConfig, type RoomConfig } from './room-config.ts';
import { RoomManager } from './room-manager.ts';
import { assertPassword, RoomPasswords, type PasswordHash } from './room-passwords.ts';
import { assertMemberId, MAX_ID_LENGTH } from './room-request.ts';
import { Room } from './room.ts';
import type { RoomInfo, RoomInit } from './rooms-api.ts';
import type { RoomsSettings } from './rooms-options.ts';

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

  constructor(context: PluginContext, connections: NodeConnections, settings: RoomsSettings) {
    super(connections);
    this.#context = context;
    this.#connections = connections;
    this.#settings = settings;
  }

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
    return !room.isPrivate || room.users.has(memberId) || room.needsNoPassword(memberId);
  }

  hasPassword(room: Room): boolean { return this.#passwordHashes.has(room); }

  /** @throws SERVER_OVERLOADED */
  async matchesPassword(room: Room, password: string): Promise<boolean> {
    const secret = this.#passwordHashes.get(room);
    return secret !== undefined && this.#passwords.matches(password, secret);
  }

  infoOf(room: Room): RoomInfo {
    const { id, name, owner, users: { size: memberCount }, config: { maxUsers }, isPrivate, metadata } = room;
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
    const config = check(given, CONFIG_RULES, 'room');
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
    return this.addRoom(room);
  }

  override async deleteRoom(roomId: string): Promise<boolean> {
    const room = this.rooms.get(roomId);
    const done = super.deleteRoom(roomId);
    if (room) {
      this.#cancelDeletion(room);
      this.#public.delete(room);
      for (const key of nameKeys(room.name)) this.#named.delete(key);
      this.#disown(room);
      this.#context.emit('room:deleted', { room });
    }
    return done;
  }

  /** Deletes all rooms, without events and notices. */
  clear(): void {
    for (const all of [this.rooms, this.#public, this.#named, this.#owned]) all.clear();
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
    super.addRoom(room);
    for (const key of nameKeys(room.name)) this.#named.set(key, room);
    if (!room.isPrivate) this.#public.add(room);
    this.#own(room);
    this.#scheduleDeletion(room);
    this.#context.emit('room:created', { room });
    return room;
  }

  protected override memberJoined(room: Room, userId: string, connection?: Connection): void {
    this.#cancelDeletion(room);
    this.#context.emit('room:joined', { room, userId, ...(connection && { connection }) });
  }

  protected override memberLeft(room: Room, userId: string, connection?: Connection): void {
    this.#scheduleDeletion(room);
    this.#context.emit('room:left', { room, userId, ...(connection && { connection }) });
  }

  /** @throws ROOM_EXISTS, ROOM_NAME_TAKEN, TOO_MANY_ROOMS, CONTEXT_CLOSED */
  #assertFree(room: string, name: string, owner: string | undefined): void {
    const { maxRooms } = this.#settings;
    if (this.#context.signal.aborted) throw new ModuleError('CONTEXT_CLOSED', { plugin: this.#context.name });
    // The application may have added connections to a missing room by `manager.connections`.
    if (this.rooms.has(room) || this.#connections.isOccupied(room)) throw new ModuleError('ROOM_EXISTS', { room });
    if (nameKeys(name).some((key) => this.#named.has(key))) throw new ModuleError('ROOM_NAME_TAKEN', { name });
    if (this.rooms.size >= maxRooms) throw new ModuleError('TOO_MANY_ROOMS', { of: 'server', limit: maxRooms });
    if (owner !== undefined && !this.mayOwnMore(owner)) throw this.ownerLimitError();
  }

  #scheduleDeletion(room: Room): void {
    const { autoDeleteWhenEmpty, emptyTimeout } = room.config.behavior;
    if (room.users.size > 0 || room.isPersistent || !autoDeleteWhenEmpty || this.#deletions.has(room)) return;
    this.#deletions.set(room, this.#context.after(emptyTimeout, () => void this.deleteRoom(room.id)));
  }

  #cancelDeletion(room: Room): void {
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

/** Ids have a limit in UTF-16 units, because clients cannot send longer ones. @throws ROOM_NAME_INVALID */
function checkId({ length }: string): void {
  if (length <= MAX_ID_LENGTH) return;
  const reason = `has ${length} UTF-16 units; at most ${MAX_ID_LENGTH} are allowed in an id`;
  throw new ModuleError('ROOM_NAME_INVALID', { reason });
}
