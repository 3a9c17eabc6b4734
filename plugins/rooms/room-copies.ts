import {
  isStoreUnavailable, ModuleError, type Json, type PluginContext, type SharedStore, type Versioned,
} from '../../src/index.ts';
import { resolveConfig, type ResolvedRoomConfig } from './room-config.ts';
import type { RoomCopy, UserCopy } from './room-copy.ts';
import {
  decodeHash, isEmptyEntry, membersSet, readRoom, readUser, roomKey, splitKey, toEntry, userKey, type RoomDocument,
} from './room-documents.ts';
import type { PasswordHash } from './room-passwords.ts';
import { Room } from './room.ts';

/** Maximum number of documents in one read. */
const MAX_READ = 500;
/** Milliseconds after which a copy is read again, and how often the copies are looked through. */
const REFRESH_AFTER = 25_000;
const LOOK_INTERVAL = 1_000;
/**
 * Milliseconds after which a room whose document is missing counts as deleted, if no notice said so: by then, this node
 * knows whether the store has lost its data. The time while the store is out of reach does not count.
 */
const MISSING_FOR = 5_000;

/** The rooms that this node uses. */
export interface KnownRooms {
  getRoom(roomId: string): Room | undefined;
  roomExists(roomId: string): boolean;
  adopt(room: Room, secret: PasswordHash | undefined): void;
  setOwner(room: Room, owner: string | undefined): void;
}

/** What a changed document means for the members on this node. */
export interface CopyEvents {
  /** The user was banned or kicked. */
  removed(room: Room, userId: string): void;
  deleted(room: Room): Promise<void>;
  changed(room: Room, userId?: string): void;
}

/**
 * Keeps copies of the documents of rooms that this node uses, and of their members on this node. Messages read the
 * copies; changes are written to the store first.
 */
export class RoomCopies {
  readonly #context: PluginContext;
  readonly #store: SharedStore;
  readonly #registry: KnownRooms;
  readonly #defaults: ResolvedRoomConfig;
  readonly #events: CopyEvents;
  readonly #copies = new Map<string, RoomCopy>();
  readonly #copyOf = new WeakMap<Room, RoomCopy>();
  /** How many reads of each key are running. */
  readonly #reading = new Map<string, number>();
  readonly #loading = new Map<string, Promise<void>>();
  /** Keys to read, and whether a notice named them. */
  readonly #wanted = new Map<string, boolean>();

  constructor(
    context: PluginContext, store: SharedStore, registry: KnownRooms, defaults: ResolvedRoomConfig,
    events: CopyEvents,
  ) {
    this.#context = context;
    this.#store = store;
    this.#registry = registry;
    this.#defaults = defaults;
    this.#events = events;
    store.watch((key) => this.#noticed(key));
    context.every(LOOK_INTERVAL, () => this.#lookThrough());
  }

  /** All copies. */
  get all(): Iterable<RoomCopy> { return this.#copies.values(); }

  /** The copy of a room that this node uses. @throws ROOM_UNKNOWN */
  of(room: Room): RoomCopy {
    const copy = this.#copyOf.get(room);
    if (copy) return copy;
    throw new ModuleError('ROOM_UNKNOWN', { room: room.id });
  }

  /** Rooms whose documents are missing in the store. */
  get missing(): RoomCopy[] { return [...this.all].filter(({ missingSince }) => missingSince !== undefined); }

  /** The set of the members of a room. @throws ROOM_UNKNOWN */
  setOf(room: Room): string { return membersSet(this.of(room).document.uid, room.id); }

  byUid(uid: string): RoomCopy | undefined { return this.#copies.get(uid); }

  /** Adds the copy of a room that this node created. */
  add(room: Room, document: RoomDocument, version: string): void {
    const refreshAt = nextRefresh();
    const users = this.#copyOf.get(room)?.users ?? new Map();
    const copy: RoomCopy = { room, document, version, users, refreshAt, missingSince: undefined };
    this.#copies.set(document.uid, copy);
    this.#copyOf.set(room, copy);
  }

  drop(room: Room): void {
    const copy = this.#copyOf.get(room);
    if (copy) this.#copies.delete(copy.document.uid);
  }

  clear(): void { this.#copies.clear(); }

  /**
   * Reads what this node does not know yet about a room and these users. Returns undefined if it knows everything.
   * @throws STORE_UNAVAILABLE, LEASE_LOST
   */
  load(roomId: string, userIds: readonly string[] = []): Promise<void> | undefined {
    const room = this.#registry.getRoom(roomId);
    const copy = room && this.#copyOf.get(room);
    const now = performance.now();
    if (copy && userIds.every((userId) => this.#isLoaded(copy, userId, now))) return undefined;
    return this.#load(roomId, userIds);
  }

  async #load(roomId: string, userIds: readonly string[]): Promise<void> {
    if (!this.#registry.roomExists(roomId)) await this.#readOnce(roomId);
    const room = this.#registry.getRoom(roomId);
    const missing = room && userIds.filter((userId) => !this.#isLoaded(this.of(room), userId, performance.now()));
    if (missing && missing.length > 0) await this.#readUsers(this.of(room), missing);
  }

  /**
   * Reads a room and a user even if they are known, to be called in the same turn as entering the seat.
   */
  async reread(room: Room, userId: string): Promise<void> {
    const copy = this.of(room);
    this.track(copy, userId);
    await this.#read([roomKey(room.id), userKey(copy.document.uid, userId)]);
  }

  /** Reads the documents about users, without keeping copies. */
  async readDocuments(room: Room, userIds: readonly string[]): Promise<readonly (Json | undefined)[]> {
    if (userIds.length === 0) return [];
    const { uid } = this.of(room).document;
    const found = await this.#store.get(userIds.map((userId) => userKey(uid, userId)));
    return found.map((document) => document?.value);
  }

  /** Reads all copies again, at once. */
  async refreshAll(): Promise<void> {
    const keys = [...this.#copies.values()].flatMap((copy) => this.#keysOf(copy));
    for (let from = 0; from < keys.length; from += MAX_READ) await this.#read(keys.slice(from, from + MAX_READ));
  }

  // Copies

  #isLoaded({ users }: RoomCopy, userId: string, now: number): boolean {
    const user = users.get(userId);
    if (user) user.usedAt = now;
    return user?.isLoaded === true;
  }

  /** Keeps a copy of the document about a user from now on. */
  track({ users }: RoomCopy, userId: string): UserCopy {
    let user = users.get(userId);
    if (!user) users.set(userId, (user = { isLoaded: false, document: {}, usedAt: 0, missingSince: undefined }));
    user.usedAt = performance.now();
    return user;
  }

  /** Reads a room for all callers that want it now. */
  #readOnce(roomId: string): Promise<void> {
    let loading = this.#loading.get(roomId);
    if (!loading) {
      loading = this.#read([roomKey(roomId)]).finally(() => this.#loading.delete(roomId));
      this.#loading.set(roomId, loading);
    }
    return loading;
  }

  async #readUsers(copy: RoomCopy, userIds: readonly string[]): Promise<void> {
    for (const userId of userIds) this.track(copy, userId);
    await this.#read(userIds.map((userId) => userKey(copy.document.uid, userId)));
  }

  async #read(keys: readonly string[], isNoticed: (key: string) => boolean = () => false): Promise<void> {
    for (const key of keys) this.#reading.set(key, (this.#reading.get(key) ?? 0) + 1);
    try {
      const found = await this.#store.get(keys);
      for (const [index, key] of keys.entries()) this.#apply(key, found[index], isNoticed(key));
    } catch (error) {
      this.#countMissingAgain();
      throw error;
    } finally {
      for (const key of keys) {
        const count = this.#reading.get(key)! - 1;
        if (count === 0) this.#reading.delete(key);
        else this.#reading.set(key, count);
      }
    }
  }

  /** Called when the store could not be read. */
  #countMissingAgain(): void {
    for (const copy of this.#copies.values()) {
      copy.missingSince = undefined;
      for (const user of copy.users.values()) user.missingSince = undefined;
    }
  }

  #apply(key: string, found: Versioned | undefined, isNoticed: boolean): void {
    const [kind, rest] = splitKey(key);
    if (kind === 'room') return this.applyRoom(rest, found, isNoticed);
    const [uid, userId] = splitKey(rest);
    const copy = this.#copies.get(uid);
    if (copy) this.applyUser(copy, userId, found, isNoticed);
  }

  /**
   * Applies the document of a room that was read or written.
   * @param isNoticed whether a notice named the document, so that a missing one was deleted
   */
  applyRoom(id: string, found: Versioned | undefined, isNoticed: boolean): void {
    const room = this.#registry.getRoom(id);
    const copy = room && this.#copyOf.get(room);
    const read = readRoom(found?.value);
    const document = read?.state === 'new' ? undefined : read;
    if (copy && document?.uid !== copy.document.uid) {
      const now = performance.now();
      copy.missingSince ??= now;
      if (!document && !isNoticed && now - copy.missingSince < MISSING_FOR) return;
      this.#events.deleted(copy.room).catch((error: unknown) => this.#context.report(error));
    }
    if (!document || !found) return;
    if (copy?.document.uid === document.uid) this.#update(copy, document, found.version);
    else if (!this.#registry.roomExists(id)) this.#adopt(id, document, found.version);
  }

  #adopt(id: string, document: RoomDocument, version: string): void {
    const { name, owner, owners, createdAt, password } = document;
    const config = resolveConfig(document.config, this.#defaults);
    const room = new Room(id, name, owner, config, new Date(createdAt));
    for (const userId of owners) room.roles.set(userId, 'owner');
    this.add(room, document, version);
    this.#registry.adopt(room, password && decodeHash(password));
    this.#events.changed(room);
  }

  #update(copy: RoomCopy, document: RoomDocument, version: string): void {
    const { room, document: before } = copy;
    copy.missingSince = undefined;
    copy.refreshAt = nextRefresh();
    if (copy.version === version) return;
    Object.assign(copy, { document, version });
    for (const userId of before.owners) if (!document.owners.includes(userId)) room.roles.delete(userId);
    for (const userId of document.owners) room.roles.set(userId, 'owner');
    if (document.owner !== room.owner) this.#registry.setOwner(room, document.owner);
    // Their own role counts again.
    const demoted = before.owners.filter((userId) => !document.owners.includes(userId) && copy.users.has(userId));
    for (const userId of demoted) this.#want(userKey(document.uid, userId), true);
    this.#events.changed(room);
  }

  /** Applies the document about a user that was read or written. */
  applyUser(copy: RoomCopy, userId: string, found: Versioned | undefined, isNoticed = true): void {
    const user = copy.users.get(userId);
    if (!user) return;
    if (!found && !isNoticed && !isEmptyEntry(user.document)) {
      // The store may have lost its data. Then this node writes the document again.
      const now = performance.now();
      user.missingSince ??= now;
      copy.refreshAt = Math.min(copy.refreshAt, now + MISSING_FOR);
      if (now - user.missingSince < MISSING_FOR) return;
    }
    user.missingSince = undefined;
    const { room, document: { owners } } = copy;
    const document = readUser(found?.value);
    const entry = toEntry(document, this.#store.now());
    room.setEntry(userId, owners.includes(userId) ? { ...entry, role: 'owner' } : entry);
    const isKicked = user.isLoaded && document.kick !== undefined && document.kick !== user.document.kick;
    Object.assign(user, { isLoaded: true, document });
    if ((isKicked || entry.isBanned) && room.users.has(userId)) this.#events.removed(room, userId);
    this.#events.changed(room, userId);
  }

  // Notices

  #noticed(key: string | undefined): void {
    if (key === undefined) {
      for (const copy of this.#copies.values()) for (const one of this.#keysOf(copy)) this.#want(one, false);
      return;
    }
    const [kind, rest] = splitKey(key);
    const [uid, userId] = splitKey(rest);
    const isUsed = kind === 'room' ? this.#registry.roomExists(rest) : this.#copies.get(uid)?.users.has(userId);
    if (isUsed || this.#reading.has(key)) this.#want(key, true);
  }

  #want(key: string, isNoticed: boolean): void {
    if (this.#wanted.size === 0) setImmediate(() => void this.#readWanted());
    this.#wanted.set(key, isNoticed || this.#wanted.get(key) === true);
  }

  async #readWanted(): Promise<void> {
    const wanted = [...this.#wanted];
    this.#wanted.clear();
    try {
      for (let from = 0; from < wanted.length; from += MAX_READ) {
        const some = new Map(wanted.slice(from, from + MAX_READ));
        await this.#read([...some.keys()], (key) => some.get(key) === true);
      }
    } catch (error) {
      // The copies are due again in the next round.
      for (const copy of this.#copies.values()) copy.refreshAt = 0;
      if (!isStoreUnavailable(error)) this.#context.report(error);
    }
  }

  #lookThrough(): void {
    const now = performance.now();
    for (const copy of this.#copies.values()) {
      if (copy.refreshAt > now && copy.missingSince === undefined) continue;
      copy.refreshAt = nextRefresh();
      this.#forgetUnused(copy, now);
      for (const key of this.#keysOf(copy)) this.#want(key, false);
    }
  }

  /** Forgets users who are not members on this node. Those who are muted stay, so that they are told the end. */
  #forgetUnused({ room, users }: RoomCopy, now: number): void {
    for (const [userId, { usedAt }] of users) {
      if (room.users.has(userId) || now - usedAt < REFRESH_AFTER || room.mutedUntil(userId)) continue;
      users.delete(userId);
      room.locate(userId, false);
      room.setEntry(userId, { role: room.getUserRole(userId) === 'owner' ? 'owner' : undefined });
    }
  }

  #keysOf({ room, users, document: { uid } }: RoomCopy): string[] {
    return [roomKey(room.id), ...[...users.keys()].map((userId) => userKey(uid, userId))];
  }
}

/** Spread, so that a node does not read all copies at once. */
const nextRefresh = (): number => performance.now() + REFRESH_AFTER * (0.5 + Math.random() / 2);
