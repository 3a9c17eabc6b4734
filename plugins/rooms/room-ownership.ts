import {
  hasCode, isStoreUnavailable, ModuleError, type Connection, type PluginContext, type User,
} from '../../src/index.ts';
import { PERMISSIONS } from './room-config.ts';
import type { RoomDocument } from './room-documents.ts';
import type { RoomRegistry } from './room-registry.ts';
import type { Room } from './room.ts';
import type { RoomsSettings } from './rooms-options.ts';
import type { SharedRooms } from './shared-rooms.ts';

/** Milliseconds by which a timer may end before the clock of the store says so. */
const CLOCK_TOLERANCE = 50;
/** Maximum number of owners of one room, if nodes share them. */
const MAX_OWNERS = 1_000;

/** @param user the new owner as other nodes see them, if the user has no connection on this node */
type WhenTransferred = (room: Room, userId: string, user?: User) => void;
export interface OwnershipParts { readonly registry: RoomRegistry; readonly shared: SharedRooms | undefined }

/** Transfers rooms to another owner when their owners have left. */
export class RoomOwnership {
  readonly #context: PluginContext;
  readonly #registry: RoomRegistry;
  readonly #shared: SharedRooms | undefined;
  readonly #settings: RoomsSettings;
  readonly #whenTransferred: WhenTransferred;
  /** Rooms whose owners have left, each with a function that cancels the transfer. */
  readonly #waiting = new Map<Room, () => void>();

  /** @param whenTransferred called when a member becomes the owner of a room */
  constructor(
    context: PluginContext, { registry, shared }: OwnershipParts, settings: RoomsSettings,
    whenTransferred: WhenTransferred,
  ) {
    this.#context = context;
    this.#registry = registry;
    this.#shared = shared;
    this.#settings = settings;
    this.#whenTransferred = whenTransferred;
    context.on('room:left', ({ room, userId }) => { if (isOwner(room, userId)) this.#ownerLeft(room); });
    context.on('room:joined', ({ room, userId }) => { if (isOwner(room, userId)) this.#ownerJoined(room); });
    context.on('room:deleted', ({ room }) => this.#stopWaiting(room));
  }

  /**
   * Updates the rooms of an anonymous owner. When the connection has authenticated, its user becomes the owner, up to
   * `maxRoomsPerOwner`. When it has closed, empty rooms are deleted and the others are transferred.
   */
  update({ id, ip, user }: Connection): void {
    const isGone = !this.#context.node.connections.has(id);
    for (const room of this.#registry.ownedByConnection({ id, ip })) {
      if (this.#shared) {
        if (user) this.#run(this.#replace(this.#shared, room, id, [user.id]));
        else if (isGone) this.#run(this.#replaceGone(this.#shared, room, id));
      } else if (user && this.#registry.mayOwnMore(user.id)) {
        this.#registry.setOwner(room, user.id);
        room.move(id, user.id);
      } else if (isGone && this.#registry.isDeletionScheduled(room)) void this.#registry.deleteRoom(room.id);
      else if (isGone && this.#transfer(room)) room.roles.delete(id);
      else if (isGone) this.#wait(room);
    }
  }

  /** Passes the room to another owner before this owner loses the role. @throws LAST_OWNER, TOO_MANY_ROOMS */
  resign(room: Room, userId: string, by: string | undefined): void {
    const others = [...room.roles.keys()].filter((other) => other !== userId && isOwner(room, other));
    if (others.length === 0) throw new ModuleError('LAST_OWNER', { room: room.id });
    if (room.owner !== userId) return;
    const next = others.find((other) => this.#registry.mayOwnMore(other));
    // Otherwise members could exceed maxRoomsPerOwner by giving rooms away.
    if (by !== undefined && next === undefined) throw this.#registry.ownerLimitError();
    this.#registry.setOwner(room, next ?? others[0]);
  }

  // Owners that all nodes share

  /** Gives a member the role `owner` on all nodes. @throws LIST_FULL, STORE_CONFLICT, STORE_UNAVAILABLE */
  async share(room: Room, userId: string): Promise<void> {
    await this.#shared!.changes.changeRoom(room, (document) => {
      const { owners } = document;
      if (owners.includes(userId)) return undefined;
      if (owners.length < MAX_OWNERS) return { ...document, owners: [...owners, userId] };
      throw new ModuleError('LIST_FULL', { room: room.id, of: 'room', limit: MAX_OWNERS });
    });
  }

  /** Like resign(), on all nodes. @throws LAST_OWNER, TOO_MANY_ROOMS, STORE_CONFLICT, STORE_UNAVAILABLE */
  async resignShared(room: Room, userId: string, by: string | undefined): Promise<void> {
    const { changes, copies, transfers } = this.#shared!;
    const without = (document: RoomDocument): RoomDocument | undefined => {
      const owners = document.owners.filter((owner) => owner !== userId);
      if (owners.length === 0) throw new ModuleError('LAST_OWNER', { room: room.id });
      return { ...document, owners };
    };
    if (room.owner !== userId) {
      // If the user has become the first owner meanwhile, the next attempt finds that.
      await changes.changeRoom(room, (document) => without(document));
      return;
    }
    const others = copies.of(room).document.owners.filter((owner) => owner !== userId);
    if (others.length === 0) throw new ModuleError('LAST_OWNER', { room: room.id });
    const owner = await transfers.transfer(room, others, by === undefined, (document, next) => {
      const changed = without(document);
      if (document.owners.includes(next)) return changed;
      throw new ModuleError('STORE_CONFLICT', { key: room.id });
    });
    // Otherwise members could exceed maxRoomsPerOwner by giving rooms away.
    if (owner === undefined) throw this.#registry.ownerLimitError();
  }

  /** Called when the document of a room has changed: every node waits, and the first one transfers the room. */
  changed(room: Room): void {
    const { ownerTimeout } = this.#settings;
    const { ownersLeftAt } = this.#shared!.copies.of(room).document;
    if (ownersLeftAt === undefined) return this.#stopWaiting(room);
    if (ownerTimeout === false || room.isPersistent || this.#waiting.has(room)) return;
    const due = Math.max(1, ownersLeftAt + ownerTimeout - this.#shared!.now());
    this.#waiting.set(room, this.#context.after(due, () => {
      this.#waiting.delete(room);
      this.#run(this.#transferShared(this.#shared!, room));
    }));
  }

  /** @param next users; the first one who may becomes the owner instead of an anonymous connection */
  #replace(
    shared: SharedRooms, room: Room, connectionId: string, next: readonly string[],
  ): Promise<string | undefined> {
    return shared.transfers.transfer(room, next, false, (document, userId) => {
      if (document.owner !== connectionId) return undefined;
      const others = document.owners.filter((other) => other !== connectionId && other !== userId);
      return { ...document, owners: [...others, userId], ownersLeftAt: undefined };
    });
  }

  async #replaceGone(shared: SharedRooms, room: Room, connectionId: string): Promise<void> {
    const { snapshot, users } = await shared.snapshot(room);
    if (snapshot.users.size === 0) {
      await shared.directory.deleteIfEmpty(room.id, shared.copies.of(room).document.uid, false);
      return;
    }
    const next = this.#candidates(snapshot).filter((userId) => userId !== connectionId);
    const owner = await this.#replace(shared, room, connectionId, next);
    if (owner !== undefined) this.#whenTransferred(room, owner, users.get(owner));
    else this.#ownerLeft(room);
  }

  async #transferShared(shared: SharedRooms, room: Room): Promise<void> {
    const { ownersLeftAt } = shared.copies.of(room).document;
    if (ownersLeftAt === undefined) return;
    // The owners came and left again meanwhile.
    if (ownersLeftAt + (this.#settings.ownerTimeout || 0) - shared.now() > CLOCK_TOLERANCE) return this.changed(room);
    const { snapshot, users } = await shared.snapshot(room);
    if (hasOwner(snapshot)) return this.#ownerJoined(room);
    const isForced = this.#settings.nextOwner !== undefined;
    const owner = await shared.transfers.transfer(room, this.#candidates(snapshot), isForced, (document, userId) => {
      // Another node was faster.
      if (document.ownersLeftAt !== ownersLeftAt) return undefined;
      const owners = document.owners.includes(userId) ? document.owners : [...document.owners, userId];
      return { ...document, owners, ownersLeftAt: undefined };
    });
    if (owner !== undefined) this.#whenTransferred(room, owner, users.get(owner));
    else if (snapshot.users.size > 0) this.#markLeft(shared, room, ownersLeftAt);
  }

  /** @param before when the owners left, if that is known already: then the wait begins again */
  #markLeft(shared: SharedRooms, room: Room, before?: number): void {
    this.#run(shared.changes.changeRoom(room, (document) => {
      return document.ownersLeftAt === before ? { ...document, ownersLeftAt: shared.now() } : undefined;
    }));
  }

  /** Work in the background: if the store cannot be reached, the owner stays. */
  #run(work: Promise<unknown>): void {
    work.catch((error: unknown) => {
      const isGone = hasCode(error, 'ROOM_UNKNOWN');
      if (!isGone && !isStoreUnavailable(error)) this.#context.report(error);
    });
  }

  // Waiting for owners

  #ownerLeft(room: Room): void {
    const { ownerTimeout } = this.#settings;
    if (!this.#shared) return this.#wait(room);
    const isHere = this.#registry.getRoom(room.id) === room;
    if (!isHere || ownerTimeout === false || room.isPersistent || hasOwner(room)) return;
    this.#markLeft(this.#shared, room);
  }

  #ownerJoined(room: Room): void {
    if (!this.#shared) return this.#stopWaiting(room);
    const { changes, copies } = this.#shared;
    if (this.#registry.getRoom(room.id) !== room || copies.of(room).document.ownersLeftAt === undefined) return;
    this.#run(changes.changeRoom(room, (document) => {
      return document.ownersLeftAt === undefined ? undefined : { ...document, ownersLeftAt: undefined };
    }));
  }

  #wait(room: Room): void {
    const { ownerTimeout } = this.#settings;
    if (ownerTimeout === false || room.isPersistent || this.#waiting.has(room) || hasOwner(room)) return;
    this.#waiting.set(room, this.#context.after(ownerTimeout, () => {
      this.#waiting.delete(room);
      if (!hasOwner(room) && !this.#transfer(room)) this.#wait(room);
    }));
  }

  #stopWaiting(room: Room): void {
    this.#waiting.get(room)?.();
    this.#waiting.delete(room);
  }

  /** `false`: no member can become the owner. */
  #transfer(room: Room): boolean {
    const { nextOwner } = this.#settings;
    const userId = nextOwner ? nextOwner(room) : this.#candidate(room);
    if (typeof userId !== 'string') return false;
    room.roles.set(userId, 'owner');
    this.#registry.setOwner(room, userId);
    this.#whenTransferred(room, userId);
    return true;
  }

  /** The members who can become the owner, the best first. */
  #candidates(room: Room): string[] {
    const { nextOwner } = this.#settings;
    if (nextOwner) return [nextOwner(room)].filter((userId) => typeof userId === 'string');
    const possible = [...room.users].filter((userId) => room.can(userId, 'canSendMessage'));
    return possible.sort((a, b) => rankOf(room, b) - rankOf(room, a));
  }

  /** The member with the highest role; among equals, the first who joined. Members who may not send are skipped. */
  #candidate(room: Room): string | undefined {
    let best: string | undefined;
    for (const userId of room.users) {
      if (!room.can(userId, 'canSendMessage') || !this.#registry.mayOwnMore(userId)) continue;
      if (best === undefined || rankOf(room, userId) > rankOf(room, best)) best = userId;
    }
    return best;
  }
}

const isOwner = (room: Room, userId: string): boolean => room.getUserRole(userId) === 'owner';

/** Whether an owner is in the room. */
function hasOwner(room: Room): boolean {
  for (const userId of room.roles.keys()) if (isOwner(room, userId) && room.users.has(userId)) return true;
  return false;
}

/** Ranks a member by permissions: a higher permission outweighs all lower ones. */
function rankOf(room: Room, userId: string): number {
  return PERMISSIONS.reduce((rank, permission, index) => rank + (room.can(userId, permission) ? 2 ** index : 0), 0);
}
