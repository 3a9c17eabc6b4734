import { ModuleError, type Connection, type PluginContext } from '../../src/index.ts';
import type { RoomInfo, RoomInit } from './api.ts';
import type { RoomConfig } from './config.ts';
import type { NodeConnections } from './connection-manager.ts';
import { Endings } from './endings.ts';
import { nameKeys } from './names.ts';
import type { Secret } from './password.ts';
import { refusal } from './refusals.ts';
import { RoomManager } from './room-manager.ts';
import type { Room } from './room.ts';

/** How many rooms there may be. */
export interface Bounds { readonly maxRooms: number; readonly maxRoomsPerOwner: number }

/** The plugin's rooms: bounded, with hooks, each with its password's hash, and deleted when they have been empty for long enough. */
export class RoomRegistry extends RoomManager {
  readonly #context: PluginContext;
  readonly #connections: NodeConnections;
  readonly #bounds: Bounds;
  readonly #public = new Set<Room>();
  /** Rooms by the keys of their names. */
  readonly #named = new Map<string, Room>();
  readonly #owned = new Map<string, Set<Room>>();
  readonly #secrets = new WeakMap<Room, Secret>();
  readonly #endings: Endings;
  /** Makes a room with all that holds for one. */
  make!: (name: string, init: RoomInit) => Promise<Room>;

  constructor(connections: NodeConnections, context: PluginContext, bounds: Bounds) {
    super(connections);
    this.#connections = connections;
    this.#context = context;
    this.#bounds = bounds;
    this.#endings = new Endings(context, (room) => void this.deleteRoom(room.id));
  }

  /** @throws ROOM_UNKNOWN */
  find(roomId: string): Room {
    const room = this.rooms.get(roomId);
    if (!room) throw refusal('ROOM_UNKNOWN', { room: roomId });
    return room;
  }

  /** The rooms that anybody may see. */
  get public(): ReadonlySet<Room> { return this.#public; }

  secretOf(room: Room): Secret | undefined { return this.#secrets.get(room); }

  infoOf(room: Room): RoomInfo {
    const { id, name, owner, users, config: { maxUsers }, isPrivate, createdAt, metadata } = room;
    const hasPassword = this.#secrets.has(room);
    return { id, name, owner, memberCount: users.size, maxUsers, isPrivate, hasPassword, createdAt: createdAt.toISOString(), metadata };
  }

  /** @throws ROOM_EXISTS, ROOM_NAME_TAKEN, TOO_MANY_ROOMS, CONTEXT_CLOSED */
  assertFree(roomId: string, name: string, owner: string | undefined): void {
    const { maxRooms, maxRoomsPerOwner } = this.#bounds;
    if (this.#context.signal.aborted) throw new ModuleError('CONTEXT_CLOSED', { plugin: this.#context.name });
    // Whom an application put somewhere in silence, nobody is to make a room about.
    if (this.rooms.has(roomId) || this.#connections.isIn(roomId)) throw refusal('ROOM_EXISTS', { room: roomId });
    if (nameKeys(name).some((key) => this.#named.has(key))) throw refusal('ROOM_NAME_TAKEN', { name });
    if (this.rooms.size >= maxRooms) throw refusal('TOO_MANY_ROOMS', { of: 'server', limit: maxRooms });
    if (owner !== undefined && !this.#mayOwnMore(owner)) throw refusal('TOO_MANY_ROOMS', { of: 'owner', limit: maxRoomsPerOwner });
  }

  /** As the API's `create`. */
  override async createRoom(name: string, owner?: string, config: RoomConfig = {}): Promise<Room> {
    return this.make(name, { ...config, ...(owner !== undefined && { owner }) });
  }

  /** @throws as assertFree */
  override addRoom(room: Room, secret?: Secret): Room {
    this.assertFree(room.id, room.name, room.owner);
    super.addRoom(room);
    for (const key of nameKeys(room.name)) this.#named.set(key, room);
    if (secret) this.#secrets.set(room, secret);
    if (!room.isPrivate) this.#public.add(room);
    this.#own(room, room.owner);
    this.#endIfEmpty(room);
    this.#context.emit('room:created', { room });
    return room;
  }

  override async deleteRoom(roomId: string): Promise<boolean> {
    const room = this.rooms.get(roomId);
    const done = super.deleteRoom(roomId);
    if (room) {
      this.#endings.delete(room);
      this.#public.delete(room);
      for (const key of nameKeys(room.name)) this.#named.delete(key);
      this.#disown(room);
      this.#context.emit('room:deleted', { room });
    }
    return done;
  }

  /** Forgets everything, and tells nobody. */
  clear(): void {
    for (const all of [this.rooms, this.#public, this.#named, this.#owned]) all.clear();
  }

  /** A room goes over to another owner. */
  hand(room: Room, owner: string | undefined): void {
    this.#disown(room);
    room.owner = owner;
    this.#own(room, owner);
  }

  /** Who made rooms as a nobody owns them as who he is. Those that are too many for one stay the connection's, and go with it. */
  inherit(connectionId: string, userId: string): void {
    for (const room of [...this.#owned.get(connectionId) ?? []]) {
      if (!this.#mayOwnMore(userId)) return;
      this.hand(room, userId);
      room.rename(connectionId, userId);
    }
  }

  /** Whoever was asked whether somebody may make a room took his time: he may have said who he is meanwhile, or have left. */
  catchUp({ id, user }: Connection): void {
    if (user) this.inherit(id, user.id);
    if (!this.#context.node.connections.has(id)) this.orphan(id);
  }

  /** An owner who cannot come back, since nobody knows him, has left: what he leaves empty is of no use to anybody. */
  orphan(connectionId: string): void {
    for (const room of [...this.#owned.get(connectionId) ?? []]) if (this.#endings.has(room)) void this.deleteRoom(room.id);
  }

  protected override memberJoined(room: Room, userId: string, connection?: Connection): void {
    this.#endings.delete(room);
    this.#context.emit('room:joined', { room, userId, ...(connection && { connection }) });
  }

  protected override memberLeft(room: Room, userId: string, connection?: Connection): void {
    this.#endIfEmpty(room);
    this.#context.emit('room:left', { room, userId, ...(connection && { connection }) });
  }

  #endIfEmpty(room: Room): void {
    if (room.users.size === 0 && !room.isPersistent && room.config.behavior.autoDeleteWhenEmpty) this.#endings.add(room);
  }

  #mayOwnMore(owner: string): boolean { return (this.#owned.get(owner)?.size ?? 0) < this.#bounds.maxRoomsPerOwner; }

  #own(room: Room, owner: string | undefined): void {
    if (owner === undefined) return;
    let rooms = this.#owned.get(owner);
    if (!rooms) this.#owned.set(owner, (rooms = new Set()));
    rooms.add(room);
  }

  #disown(room: Room): void {
    const rooms = room.owner === undefined ? undefined : this.#owned.get(room.owner);
    if (rooms?.delete(room) && rooms.size === 0) this.#owned.delete(room.owner!);
  }
}
