import { setTimeout as delay } from 'node:timers/promises';
import { hasCode, isConnectionId, ModuleError, newId, type SharedStore, type Versioned } from '../../src/index.ts';
import type { RoomCopies } from './room-copies.ts';
import type { RoomCopy } from './room-copy.ts';
import {
  isEmptyEntry, paidSet, readRoom, readUser, roomKey, toJson, userKey, usersSet, type RoomDocument, type UserDocument,
} from './room-documents.ts';
import type { Room } from './room.ts';

/** Maximum number of times that a change is tried, and the longest time between two tries, in milliseconds. */
const MAX_TRIES = 8;
const MAX_PAUSE = 20;
/** Milliseconds for which documents are kept that end by themselves: of a kick, and of an anonymous connection. */
const KICK_TTL = 60_000;
const ANONYMOUS_TTL = 86_400_000;
/** Maximum number of users with a document in one room, and that one actor pays for. */
const MAX_USERS = 10_000;
const MAX_PAID = 1_000;

/** Who pays for a new entry about a user. `isReturning`: the store has lost the entry. */
export interface Payment { readonly actor: string | undefined; readonly isReturning?: boolean | undefined }

/** Runs work again while it conflicts with other nodes. @throws STORE_CONFLICT */
export async function untilAgreed<T>(work: () => Promise<T>): Promise<T> {
  for (let tries = 1; ; tries++) {
    try {
      return await work();
    } catch (error) {
      const isConflict = hasCode(error, 'STORE_CONFLICT');
      if (!isConflict || tries === MAX_TRIES) throw error;
      await delay(Math.random() * MAX_PAUSE);
    }
  }
}

/**
 * Runs work of a newcomer. After the store has lost data, it waits until all nodes have entered again what they hold.
 * @throws what `work` throws
 */
export async function whenSettled<T>(store: SharedStore, work: () => Promise<T>): Promise<T> {
  for (let tries = 1; ; tries++) {
    const settled = store.settled();
    if (settled) await settled;
    try {
      return await work();
    } catch (error) {
      // This node has just learned that data was lost.
      const isLost = error instanceof ModuleError && hasCode(error.cause, 'STORE_DATA_LOST');
      if (!isLost || tries === MAX_TRIES) throw error;
    }
  }
}

/** Changes the documents of rooms and of users in them. A change is in the copies of this node when it resolves. */
export class RoomChanges {
  readonly #store: SharedStore;
  readonly #copies: RoomCopies;

  constructor(store: SharedStore, copies: RoomCopies) {
    this.#store = store;
    this.#copies = copies;
  }

  /**
   * Changes the document of a room.
   * @param change returns undefined to change nothing
   * @returns whether it was changed
   * @throws ROOM_UNKNOWN, STORE_CONFLICT, STORE_UNAVAILABLE, LEASE_LOST, and what `change` throws
   */
  changeRoom(room: Room, change: (document: RoomDocument) => RoomDocument | undefined): Promise<boolean> {
    const { document: { uid } } = this.#copies.of(room);
    const key = roomKey(room.id);
    return untilAgreed(async () => {
      const [found] = await this.#store.get([key]);
      const document = readRoom(found?.value);
      if (!found || document?.uid !== uid) throw new ModuleError('ROOM_UNKNOWN', { room: room.id });
      const value = change(document);
      if (!value) return false;
      const version = await this.#store.put(key, toJson(value), { if: found.version });
      this.#copies.applyRoom(room.id, { value: toJson(value), version }, true);
      return true;
    });
  }

  /**
   * Changes the document about a user in a room.
   * @param change returns undefined to change nothing
   * @param payment without it, the entry counts against no actor
   * @returns whether it was changed
   * @throws LIST_FULL, STORE_CONFLICT, STORE_UNAVAILABLE, LEASE_LOST, and what `change` throws
   */
  async changeUser(
    room: Room, userId: string, change: (document: UserDocument) => UserDocument | undefined, payment?: Payment,
  ): Promise<boolean> {
    const copy = this.#copies.of(room);
    this.#copies.track(copy, userId);
    const { uid } = copy.document;
    const keys = [userKey(uid, userId), roomKey(room.id)];
    return untilAgreed(async () => {
      const [found, present] = await this.#store.get(keys);
      if (readRoom(present?.value)?.uid !== uid) throw new ModuleError('ROOM_UNKNOWN', { room: room.id });
      const before = readUser(found?.value);
      const changed = change(before);
      if (!changed) return false;
      const written = await this.#write(copy, userId, { found, before, changed, payment });
      this.#copies.applyUser(copy, userId, written);
      return true;
    });
  }

  /** Removes a user from a room on all nodes: every node sees the change. */
  kick(room: Room, userId: string): Promise<boolean> {
    return this.changeUser(room, userId, (document) => ({ ...document, isInvited: undefined, kick: newId() }));
  }

  /** Writes the documents about users that this node knows, if the store has lost them. */
  async restoreUsers({ room, users }: RoomCopy): Promise<void> {
    try {
      for (const [userId, { document }] of users) {
        const { paidBy: actor, ...entry } = document;
        if (isEmptyEntry(document)) continue;
        await this.changeUser(room, userId, (found) => (isEmptyEntry(found) ? entry : undefined), {
          actor, isReturning: true,
        });
      }
    } catch (error) {
      // Another room has the id now.
      if (!hasCode(error, 'ROOM_UNKNOWN')) throw error;
    }
  }

  /** Deletes what counts against an actor, when an entry or its room is deleted. */
  async unpay(uid: string, userId: string, { paidBy }: UserDocument): Promise<void> {
    if (paidBy !== undefined) await this.#store.leave(paidSet(paidBy), `${uid}/${userId}`);
  }

  async #write(
    { room, document: { uid } }: RoomCopy, userId: string,
    { found, before, changed, payment }: {
      readonly found: Versioned | undefined; readonly before: UserDocument; readonly changed: UserDocument;
      readonly payment: Payment | undefined;
    },
  ): Promise<Versioned | undefined> {
    const key = userKey(uid, userId);
    const condition = { if: found?.version ?? 'absent' };
    if (isEmptyEntry(changed)) {
      const kept: UserDocument = { kick: changed.kick };
      let version: string | undefined;
      if (changed.kick === undefined) await this.#store.delete(key, found && condition);
      else version = await this.#store.put(key, toJson(kept), { ...condition, ttl: KICK_TTL });
      await Promise.all([this.#store.leave(usersSet(uid), userId), this.unpay(uid, userId, before)]);
      return version === undefined ? undefined : { value: toJson(kept), version };
    }
    const isNew = isEmptyEntry(before);
    const actor = before.paidBy ?? (hasGrown(before, changed) ? payment?.actor : undefined);
    const isReturning = payment?.isReturning;
    const [listed, paid] = await Promise.allSettled([
      isNew ? this.#store.enter(usersSet(uid), userId, { max: MAX_USERS, isReturning }) : undefined,
      actor !== undefined && before.paidBy === undefined
        ? this.#store.enter(paidSet(actor), `${uid}/${userId}`, { max: MAX_PAID, isReturning })
        : undefined,
    ]);
    try {
      if (listed.status === 'rejected') throw full(listed.reason, { room: room.id, of: 'room', limit: MAX_USERS });
      if (paid.status === 'rejected') throw full(paid.reason, { room: room.id, of: 'owner', limit: MAX_PAID });
      const value = toJson({ ...changed, paidBy: actor });
      const ttl = isConnectionId(userId) ? { ttl: ANONYMOUS_TTL } : {};
      return { value, version: await this.#store.put(key, value, { ...condition, ...ttl }) };
    } catch (error) {
      // After a conflict, another node may have written the entry: then it stays in the set.
      const isConflict = hasCode(error, 'STORE_CONFLICT');
      if (isNew && !isConflict) await this.#store.leave(usersSet(uid), userId).catch(() => undefined);
      if (before.paidBy === undefined) await this.unpay(uid, userId, { paidBy: actor }).catch(() => undefined);
      throw error;
    }
  }
}

/** Whether a user is in one more list than before. */
function hasGrown(before: UserDocument, changed: UserDocument): boolean {
  const lists = ['role', 'isBanned', 'mutedUntil', 'warnings', 'isInvited'] as const;
  return lists.some((list) => before[list] === undefined && changed[list] !== undefined);
}

function full(error: unknown, details: { room: string; of: 'room' | 'owner'; limit: number }): unknown {
  return hasCode(error, 'STORE_FULL') ? new ModuleError('LIST_FULL', details) : error;
}
