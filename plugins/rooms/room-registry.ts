import { actorKey, check, ModuleError, type Connection, type PluginContext } from '../../src/index.ts';
import type { NodeConnections } from './connection-manager.ts';
import { checkName, nameKeys } from './names.ts';
import { CONFIG_RULES, resolveConfig, type RoomConfig } from './room-config.ts';
import { RoomManager } from './room-manager.ts';
import { assertPassword, RoomPasswords, type Secret } from './room-passwords.ts';
import { assertMemberId, MAX_ID_LENGTH } from './room-request.ts';
import { Room } from './room.ts';
import type { RoomInfo, RoomInit } from './rooms-api.ts';
import type { RoomsSettings } from './rooms-options.ts';

/** The rooms of the plugin: bounded, with events, passwords and owners. Rooms that stay empty are deleted. */
export class RoomRegistry extends RoomManager {
  readonly #context: PluginContext;
  readonly #connections: NodeConnections;
  readonly #settings: RoomsSettings;
  readonly #public = new Set<Room>();
  /** Rooms by the keys of their names. */
  readonly #named = new Map<string, Room>();
  /** Rooms by the actor that owns them. */
  readonly #owned = new Map<string, Set<Room>>();
  readonly #actors = new WeakMap<Room, string>();
  readonly #secrets = new WeakMap<Room, Secret>();
  readonly #passwords = new RoomPasswords();
  /** Empty rooms, each with the undo of the deadline at which it is deleted. */
  readonly #endings = new Map<Room, () => void>();

  constructor(context: PluginContext, connections: NodeConnections, settings: RoomsSettings) {
    super(connections);
    this.#context = context;
    this.#connections = connections;
    this.#settings = settings;
  }

  /** The rooms that everyone may see. */
  get public(): ReadonlySet<Room> { return this.#public; }

  /**
   * The room of this id. A room that a member may not see is unknown to that member.
   * @throws ROOM_UNKNOWN
   */
  find(roomId: string, memberId?: string): Room {
    const room = this.rooms.get(roomId);
    if (room && (memberId === undefined || this.isVisible(room, memberId))) return room;
    throw new ModuleError('ROOM_UNKNOWN', { room: roomId });
  }

  isVisible(room: Room, memberId: string): boolean {
    return !room.isPrivate || room.users.has(memberId) || room.expects(memberId);
  }

  hasPassword(room: Room): boolean { return this.#secrets.has(room); }

  /** @throws SERVER_OVERLOADED */
  async isPassword(room: Room, password: string): Promise<boolean> {
    const secret = this.#secrets.get(room);
    return secret !== undefined && this.#passwords.matches(password, secret);
  }

  infoOf(room: Room): RoomInfo {
    const { id, name, owner, users: { size: memberCount }, config: { maxUsers }, isPrivate, metadata } = room;
    const [hasPassword, createdAt] = [this.#secrets.has(room), room.createdAt.toISOString()];
    return { id, name, owner, memberCount, maxUsers, isPrivate, hasPassword, createdAt, metadata };
  }

  /** As `create` of the API. */
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
    if (secret) this.#secrets.set(room, secret);
    return this.addRoom(room);
  }

  override async deleteRoom(roomId: string): Promise<boolean> {
    const room = this.rooms.get(roomId);
    const done = super.deleteRoom(roomId);
    if (room) {
      this.#stopEnding(room);
      this.#public.delete(room);
      for (const key of nameKeys(room.name)) this.#named.delete(key);
      this.#disown(room);
      this.#context.emit('room:deleted', { room });
    }
    return done;
  }

  /** Forgets everything, without notices. */
  clear(): void {
    for (const all of [this.rooms, this.#public, this.#named, this.#owned]) all.clear();
  }

  /** The rooms that an anonymous connection created, also those that were finished when it had a user or was gone. */
  ownedByConnection({ id, ip }: Pick<Connection, 'id' | 'ip'>): Room[] {
    const actors = [actorKey({ id, ip }), `user:${id}`];
    return actors.flatMap((actor) => [...this.#owned.get(actor) ?? []]).filter((room) => room.owner === id);
  }

  mayOwnMore(memberId: string): boolean {
    return (this.#owned.get(this.#connections.actorOf(memberId))?.size ?? 0) < this.#settings.maxRoomsPerOwner;
  }

  /** The error of a member who may own no further room. */
  ownerFull(): ModuleError {
    return new ModuleError('TOO_MANY_ROOMS', { of: 'owner', limit: this.#settings.maxRoomsPerOwner });
  }

  /** Gives a room another owner. */
  hand(room: Room, owner: string | undefined): void {
    this.#disown(room);
    room.owner = owner;
    this.#own(room);
  }

  /** Whether a room is empty and waits to be deleted. */
  isEnding(room: Room): boolean { return this.#endings.has(room); }

  protected override addRoom(room: Room): Room {
    super.addRoom(room);
    for (const key of nameKeys(room.name)) this.#named.set(key, room);
    if (!room.isPrivate) this.#public.add(room);
    this.#own(room);
    this.#endIfEmpty(room);
    this.#context.emit('room:created', { room });
    return room;
  }

  protected override memberJoined(room: Room, userId: string, connection?: Connection): void {
    this.#stopEnding(room);
    this.#context.emit('room:joined', { room, userId, ...(connection && { connection }) });
  }

  protected override memberLeft(room: Room, userId: string, connection?: Connection): void {
    this.#endIfEmpty(room);
    this.#context.emit('room:left', { room, userId, ...(connection && { connection }) });
  }

  /** @throws ROOM_EXISTS, ROOM_NAME_TAKEN, TOO_MANY_ROOMS, CONTEXT_CLOSED */
  #assertFree(room: string, name: string, owner: string | undefined): void {
    const { maxRooms } = this.#settings;
    if (this.#context.signal.aborted) throw new ModuleError('CONTEXT_CLOSED', { plugin: this.#context.name });
    // The application may have put connections into a room that does not exist.
    if (this.rooms.has(room) || this.#connections.isOccupied(room)) throw new ModuleError('ROOM_EXISTS', { room });
    if (nameKeys(name).some((key) => this.#named.has(key))) throw new ModuleError('ROOM_NAME_TAKEN', { name });
    if (this.rooms.size >= maxRooms) throw new ModuleError('TOO_MANY_ROOMS', { of: 'server', limit: maxRooms });
    if (owner !== undefined && !this.mayOwnMore(owner)) throw this.ownerFull();
  }

  #endIfEmpty(room: Room): void {
    const { autoDeleteWhenEmpty, emptyTimeout } = room.config.behavior;
    if (room.users.size > 0 || room.isPersistent || !autoDeleteWhenEmpty || this.#endings.has(room)) return;
    this.#endings.set(room, this.#context.after(emptyTimeout, () => void this.deleteRoom(room.id)));
  }

  #stopEnding(room: Room): void {
    this.#endings.get(room)?.();
    this.#endings.delete(room);
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

/** A character may have several UTF-16 units, but clients send ids of at most so many. @throws ROOM_NAME_INVALID */
function checkId({ length }: string): void {
  if (length <= MAX_ID_LENGTH) return;
  const reason = `has ${length} UTF-16 units; an id may have ${MAX_ID_LENGTH}`;
  throw new ModuleError('ROOM_NAME_INVALID', { reason });
}
