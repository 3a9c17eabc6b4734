import { hasCode, type SharedStore } from '../../src/index.ts';
import type { NodeConnections } from './connection-manager.ts';
import type { RoomChanges } from './room-changes.ts';
import type { RoomCopies } from './room-copies.ts';
import type { RoomDirectory } from './room-directory.ts';
import { ownedSet, type RoomDocument } from './room-documents.ts';
import type { Room } from './room.ts';

export interface TransferParts {
  readonly copies: RoomCopies;
  readonly changes: RoomChanges;
  readonly directory: RoomDirectory;
  readonly connections: NodeConnections;
}

/** Gives rooms to other owners, up to `maxRoomsPerOwner` on all nodes together. */
export class RoomTransfers {
  readonly #store: SharedStore;
  readonly #parts: TransferParts;
  readonly #maxRoomsPerOwner: number;

  constructor(store: SharedStore, parts: TransferParts, maxRoomsPerOwner: number) {
    this.#store = store;
    this.#parts = parts;
    this.#maxRoomsPerOwner = maxRoomsPerOwner;
  }

  /**
   * Gives a room to the first of these users who may own another one.
   * @param isForced whether the first user gets it if they all own the maximum
   * @param change the other changes; returns undefined to change nothing
   * @returns the new owner
   * @throws ROOM_UNKNOWN, STORE_CONFLICT, STORE_UNAVAILABLE, LEASE_LOST, and what `change` throws
   */
  async transfer(
    room: Room, userIds: readonly string[], isForced: boolean,
    change: (document: RoomDocument, owner: string) => RoomDocument | undefined,
  ): Promise<string | undefined> {
    const { connections, copies } = this.#parts;
    const { uid, actor: before } = copies.of(room).document;
    const actors = userIds.map((userId) => ({ userId, actor: connections.actorOf(userId), isForced: false }));
    const [first] = actors;
    if (isForced && first) actors.push({ ...first, isForced: true });
    for (const { userId, actor, isForced: isUnlimited } of actors) {
      if (actor !== before && !await this.#own(uid, actor, isUnlimited)) continue;
      let current = before;
      try {
        const isChanged = await this.#parts.changes.changeRoom(room, (document) => {
          current = document.actor;
          const changed = change(document, userId);
          return changed && { ...changed, owner: userId, actor };
        });
        if (!isChanged) return undefined;
        if (current !== undefined && current !== actor) await this.#store.leave(ownedSet(current), uid);
        current = actor;
        await this.#parts.directory.update(room);
        return userId;
      } finally {
        // Another node may have given the room to the same actor.
        if (current !== actor) await this.#store.leave(ownedSet(actor), uid);
      }
    }
    return undefined;
  }

  async #own(uid: string, actor: string, isUnlimited: boolean): Promise<boolean> {
    const max = this.#maxRoomsPerOwner;
    if (!isUnlimited && max === 0) return false;
    try {
      await this.#store.enter(ownedSet(actor), uid, isUnlimited ? {} : { max });
      return true;
    } catch (error) {
      if (hasCode(error, 'STORE_FULL')) return false;
      throw error;
    }
  }
}
