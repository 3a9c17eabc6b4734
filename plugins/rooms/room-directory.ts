import {
  hasCode, isStoreUnavailable, ModuleError, type Member, type PluginContext, type SharedStore,
} from '../../src/index.ts';
import { untilAgreed, type RoomChanges } from './room-changes.ts';
import type { RoomCopies } from './room-copies.ts';
import type { RoomCopy } from './room-copy.ts';
import {
  ALL, dueKey, membersSet, nameKey, ownedSet, PUBLIC, readRoom, readSummary, readUser, roomKey, toJson, userKey,
  usersSet, type RoomDocument, type RoomSummary,
} from './room-documents.ts';
import { nameKeys } from './room-names.ts';
import type { Room } from './room.ts';
import type { RoomInfo } from './rooms-api.ts';
import type { RoomsSettings } from './rooms-options.ts';

/** Milliseconds after which the traces of a creation that did not end are deleted. */
const CLAIM_TTL = 15_000;
/** How often an undo is tried. What it leaves expires, or is deleted later. */
const MAX_UNDO_TRIES = 3;
/** Milliseconds between two searches of one cluster for empty rooms that no node deletes. */
const SWEEP_INTERVAL = 60_000;
/** Milliseconds after which the time is forgotten at which an empty room is deleted: longer than any such time. */
const DUE_TTL = 2 ** 31;
/** Milliseconds by which a timer may end before the clock of the store says so. */
const CLOCK_TOLERANCE = 50;
const PAGE = 500;

export interface DirectoryParts {
  readonly copies: RoomCopies;
  readonly changes: RoomChanges;
}

/** The rooms of all nodes: creates and deletes them, keeps ids and names unique, and lists them. */
export class RoomDirectory {
  readonly #context: PluginContext;
  readonly #store: SharedStore;
  readonly #copies: RoomCopies;
  readonly #changes: RoomChanges;
  readonly #settings: RoomsSettings;
  /** Rooms that were empty, each with a function that cancels its deletion. */
  readonly #deletions = new Map<Room, () => void>();

  constructor(
    context: PluginContext, store: SharedStore, { copies, changes }: DirectoryParts, settings: RoomsSettings,
  ) {
    this.#context = context;
    this.#store = store;
    this.#copies = copies;
    this.#changes = changes;
    this.#settings = settings;
    // After a start of all nodes, the first search deletes rooms that were empty when they stopped.
    context.after(1, () => this.sweep());
    context.every(SWEEP_INTERVAL, () => this.sweep());
  }

  /**
   * Creates a room on all nodes. Resolves to the version of its document.
   * @throws ROOM_EXISTS, ROOM_NAME_TAKEN, TOO_MANY_ROOMS, STORE_UNAVAILABLE, LEASE_LOST, OPTION_INVALID for
   * configuration that is no JSON
   */
  async create(room: Room, document: RoomDocument): Promise<string> {
    const { maxRooms, maxRoomsPerOwner } = this.#settings;
    const { id, name } = room;
    const { uid, actor } = document;
    if (actor !== undefined && maxRoomsPerOwner === 0) throw tooMany('owner', 0);
    const key = roomKey(id);
    const summary = toJson(this.#summaryOf(room, actor));
    const claim = { ttl: CLAIM_TTL };
    // Sent together. The document first: a name whose room has no document is free.
    const claims = await Promise.allSettled([
      this.#store.put(key, toJson({ ...document, state: 'new' }), { if: 'absent', ...claim }),
      this.#claimName(room, uid),
      this.#store.enter(ALL, uid, { max: maxRooms, value: summary, ...claim }),
      actor && this.#store.enter(ownedSet(actor), uid, { max: maxRoomsPerOwner, ...claim }),
    ]);
    try {
      const [version, names, all, owned] = claims;
      if (version.status === 'rejected') throw translated(version.reason, 'STORE_CONFLICT', () => exists(id));
      if (names.status === 'rejected') throw translated(names.reason, 'STORE_CONFLICT', () => nameTaken(name));
      if (all.status === 'rejected') throw translated(all.reason, 'STORE_FULL', () => tooMany('server', maxRooms));
      if (owned.status === 'rejected') {
        throw translated(owned.reason, 'STORE_FULL', () => tooMany('owner', maxRoomsPerOwner));
      }
      const [written] = await Promise.all([
        this.#store.put(key, toJson(document), { if: version.value }),
        this.#store.enter(ALL, uid),
        actor && this.#store.enter(ownedSet(actor), uid),
        room.isPrivate || this.#store.enter(PUBLIC, uid, { value: id }),
      ]);
      return written;
    } catch (error) {
      await this.#undoCreation(room, uid, actor);
      throw error;
    }
  }

  /** Writes a room if the store has lost it. @returns whether it had */
  async restore({ room, document }: RoomCopy): Promise<boolean> {
    const { uid, actor } = document;
    try {
      const version = await this.#store.put(roomKey(room.id), toJson(document), { if: 'absent' });
      this.#copies.add(room, document, version);
    } catch (error) {
      if (isConflict(error)) return false;
      throw error;
    }
    await Promise.all([
      // If another room has taken the name meanwhile, both keep it.
      this.#claimName(room, uid).catch((error: unknown) => { if (!isConflict(error)) throw error; }),
      this.#store.enter(ALL, uid, { value: toJson(this.#summaryOf(room, actor)) }),
      actor && this.#store.enter(ownedSet(actor), uid),
      room.isPrivate || this.#store.enter(PUBLIC, uid, { value: room.id }),
    ]);
    return true;
  }

  /** Deletes a room on all nodes. Resolves to `false` if it does not exist any more. */
  delete(room: Room): Promise<boolean> {
    return untilAgreed(() => this.#delete(room.id, this.#copies.of(room).document.uid, 'always'));
  }

  /**
   * Deletes a room if it has no members on any node.
   * @param isDue whether it must have been empty for its `emptyTimeout`
   */
  deleteIfEmpty(id: string, uid: string, isDue: boolean): Promise<boolean> {
    return untilAgreed(() => this.#delete(id, uid, isDue ? 'if-due' : 'if-empty'));
  }

  /** Called when a room may have become empty: it is deleted if it stays empty. */
  scheduleDeletion(room: Room): void {
    const { autoDeleteWhenEmpty, emptyTimeout } = room.config.behavior;
    if (room.isPersistent || !autoDeleteWhenEmpty) return;
    const { uid } = this.#copies.of(room).document;
    this.cancelDeletion(room);
    const cancel = this.#context.after(emptyTimeout, () => {
      this.#deletions.delete(room);
      return this.deleteIfEmpty(room.id, uid, true).catch((error: unknown) => this.#unlessUnavailable(error));
    });
    this.#deletions.set(room, cancel);
    // For the case that this node stops before.
    this.update(room).catch((error: unknown) => this.#unlessUnavailable(error));
  }

  cancelDeletion(room: Room): void {
    this.#deletions.get(room)?.();
    this.#deletions.delete(room);
  }

  /** Information about public rooms, in the order of their creation. */
  async list(offset: number, limit: number): Promise<{ readonly rooms: readonly RoomInfo[]; readonly total: number }> {
    const counting = this.#store.sizes([PUBLIC]);
    const ids: string[] = [];
    let cursor: string | undefined;
    let skipped = 0;
    do {
      const wanted = Math.min(1_000, skipped < offset ? offset - skipped : limit - ids.length);
      const page = await this.#store.members(PUBLIC, { cursor, limit: wanted });
      if (skipped < offset) skipped += page.members.length;
      else ids.push(...page.members.flatMap(({ value }) => (typeof value === 'string' ? [value] : [])));
      cursor = page.cursor;
    } while (cursor !== undefined && ids.length < limit);
    const [total = 0] = await counting;
    return { rooms: ids.length === 0 ? [] : await this.#infoOf(ids), total };
  }

  async #infoOf(ids: readonly string[]): Promise<RoomInfo[]> {
    const documents = (await this.#store.get(ids.map(roomKey))).map((found) => readRoom(found?.value));
    const rooms = ids.flatMap((id, index) => {
      const document = documents[index];
      return document && document.state !== 'new' ? [{ id, ...document }] : [];
    });
    const sizes = rooms.length === 0 ? [] : await this.#store.sizes(rooms.map(({ uid, id }) => membersSet(uid, id)));
    return rooms.map(({ id, name, owner, config, password, createdAt }, index) => ({
      id, name, owner,
      memberCount: sizes[index]!,
      maxUsers: config.maxUsers ?? this.#settings.defaults.maxUsers,
      isPrivate: config.isPrivate === true,
      hasPassword: password !== undefined,
      createdAt: new Date(createdAt).toISOString(),
      metadata: config.metadata ?? {},
    }));
  }

  /** Updates the entry of a room in the list of all rooms: its owner has changed, or it has become empty. */
  async update(room: Room): Promise<void> {
    const { uid, actor } = this.#copies.of(room).document;
    const summary = this.#summaryOf(room, actor);
    await Promise.all([
      this.#store.enter(ALL, uid, { value: toJson(summary) }),
      summary.due !== undefined && this.#store.put(dueKey(uid), summary.due, { ttl: DUE_TTL }),
    ]);
  }

  #summaryOf(room: Room, actor: string | undefined): RoomSummary {
    const { id, name, isPersistent, config: { behavior: { autoDeleteWhenEmpty, emptyTimeout } } } = room;
    const due = isPersistent || !autoDeleteWhenEmpty ? undefined : this.#store.now() + emptyTimeout;
    return { id, name, actor, due };
  }

  // Names

  /** @throws STORE_CONFLICT if another room has a name like it */
  async #claimName({ id, name }: Room, uid: string): Promise<void> {
    await Promise.all(nameKeys(name).map((key) => this.#claimKey(nameKey(key), { id, uid })));
  }

  async #claimKey(key: string, value: { readonly id: string; readonly uid: string }): Promise<void> {
    try {
      await this.#store.put(key, value, { if: 'absent' });
    } catch (error) {
      if (!isConflict(error)) throw error;
      const [found] = await this.#store.get([key]);
      const holder = found?.value as { readonly id: string; readonly uid: string } | undefined;
      const [room] = holder ? await this.#store.get([roomKey(holder.id)]) : [];
      if (holder && readRoom(room?.value)?.uid === holder.uid) throw error;
      // The room was deleted, or never finished.
      await this.#store.put(key, value, { if: found?.version ?? 'absent' });
    }
  }

  async #releaseName(name: string, uid: string): Promise<void> {
    const keys = nameKeys(name).map(nameKey);
    const found = await this.#store.get(keys);
    await Promise.all(keys.map(async (key, index) => {
      const { value, version } = found[index] ?? {};
      if ((value as { readonly uid?: string } | undefined)?.uid !== uid) return;
      // A conflict: another room has taken the name over.
      await this.#store.delete(key, { if: version }).catch((error: unknown) => {
        if (!isConflict(error)) throw error;
      });
    }));
  }

  // Deletion

  async #undoCreation({ id, name }: Room, uid: string, actor: string | undefined): Promise<void> {
    const key = roomKey(id);
    for (let tries = 1; tries <= MAX_UNDO_TRIES; tries++) {
      try {
        await untilAgreed(async () => {
          const [found] = await this.#store.get([key]);
          if (readRoom(found?.value)?.uid === uid) await this.#store.delete(key, { if: found!.version });
        });
        return await this.#clean(uid, { name, actor });
      } catch (error) {
        this.#unlessUnavailable(error);
      }
    }
  }

  async #delete(id: string, uid: string, condition: 'always' | 'if-empty' | 'if-due'): Promise<boolean> {
    const key = roomKey(id);
    const [[found, due], [before]] = await Promise.all([
      this.#store.get([key, dueKey(uid)]), this.#store.sizes([membersSet(uid, id)]),
    ]);
    const document = readRoom(found?.value);
    if (!found || document?.uid !== uid) return false;
    let { version } = found;
    if (condition !== 'always') {
      // The members may have come and left on another node: that one deletes the room later.
      const isEarly = condition === 'if-due' && Number(due?.value ?? 0) > this.#store.now() + CLOCK_TOLERANCE;
      if (before! > 0 || isEarly) return false;
      // A connection that joins after this sees the mark and removes it, so that the deletion conflicts.
      version = await this.#store.put(key, toJson({ ...document, state: 'closing' }), { if: version });
      const [size] = await this.#store.sizes([membersSet(uid, id)]);
      if (size! > 0) {
        await this.#store.put(key, toJson({ ...document, state: undefined }), { if: version });
        return false;
      }
    }
    await this.#store.delete(key, { if: version });
    await this.#clean(uid, document);
    return true;
  }

  /** Deletes everything that belongs to a deleted room. The entry in the list of all rooms last: it finds the rest. */
  async #clean(uid: string, { name, actor }: Pick<RoomSummary, 'name' | 'actor'>): Promise<void> {
    await Promise.all([
      this.#releaseName(name, uid),
      this.#store.leave(PUBLIC, uid),
      actor === undefined ? undefined : this.#store.leave(ownedSet(actor), uid),
      this.#deleteUsers(uid),
      this.#store.delete(dueKey(uid)),
    ]);
    await this.#store.leave(ALL, uid);
  }

  async #deleteUsers(uid: string): Promise<void> {
    for (;;) {
      const { members } = await this.#store.members(usersSet(uid), { limit: PAGE });
      if (members.length === 0) return;
      const keys = members.map((member) => userKey(uid, member.id));
      const found = await this.#store.get(keys);
      await Promise.all(members.flatMap(({ id }, index) => [
        this.#changes.unpay(uid, id, readUser(found[index]?.value)),
        this.#store.delete(keys[index]!),
        this.#store.leave(usersSet(uid), id),
      ]));
    }
  }

  /** Deletes what stopped nodes have left: empty rooms, and the rest of deleted rooms. Once a minute, on one node. */
  async sweep(): Promise<void> {
    try {
      const { granted } = await this.#store.take('sweep', { burst: 1, per: SWEEP_INTERVAL }, 1);
      if (granted === 0) return;
      let cursor: string | undefined;
      do {
        const page = await this.#store.members(ALL, { cursor, limit: PAGE });
        await this.#sweepPage(page.members);
        cursor = page.cursor;
      } while (cursor !== undefined);
    } catch (error) {
      this.#unlessUnavailable(error);
    }
  }

  async #sweepPage(members: readonly Member[]): Promise<void> {
    const rooms = members.flatMap(({ id: uid, value }) => {
      const summary = readSummary(value);
      return summary ? [{ uid, summary }] : [];
    });
    if (rooms.length === 0) return;
    const [found, sizes] = await Promise.all([
      this.#store.get(rooms.map(({ summary }) => roomKey(summary.id))),
      this.#store.sizes(rooms.map(({ uid, summary }) => membersSet(uid, summary.id))),
    ]);
    const now = this.#store.now();
    for (const [index, { uid, summary }] of rooms.entries()) {
      const { id, due } = summary;
      if (readRoom(found[index]?.value)?.uid !== uid) await this.#clean(uid, summary);
      else if (due !== undefined && due <= now && sizes[index] === 0) await this.deleteIfEmpty(id, uid, true);
    }
  }

  /** Reports an error, unless the store cannot be reached: then a later round repeats the work. */
  #unlessUnavailable(error: unknown): void { if (!isStoreUnavailable(error)) this.#context.report(error); }
}

const isConflict = (error: unknown): boolean => hasCode(error, 'STORE_CONFLICT');

const exists = (room: string): ModuleError => new ModuleError('ROOM_EXISTS', { room });
const nameTaken = (name: string): ModuleError => new ModuleError('ROOM_NAME_TAKEN', { name });
const tooMany = (of: string, limit: number): ModuleError => new ModuleError('TOO_MANY_ROOMS', { of, limit });

/** The error of an API for an error of the store. */
function translated(error: unknown, code: string, make: () => ModuleError): unknown {
  return hasCode(error, code) ? make() : error;
}
