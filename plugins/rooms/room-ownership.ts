import type { Connection, PluginContext } from '../../src/index.ts';
import { PERMISSIONS } from './room-config.ts';
import type { RoomRegistry } from './room-registry.ts';
import type { Room } from './room.ts';
import type { RoomsSettings } from './rooms-options.ts';

type WhenTransferred = (room: Room, userId: string) => void;

/** Transfers rooms to another owner when their owners have left. */
export class RoomOwnership {
  readonly #context: PluginContext;
  readonly #registry: RoomRegistry;
  readonly #settings: RoomsSettings;
  readonly #whenTransferred: WhenTransferred;
  /** Rooms whose owners have left, each with a function that cancels the transfer. */
  readonly #waiting = new Map<Room, () => void>();

  /** @param whenTransferred called when a member becomes the owner of a room */
  constructor(
    context: PluginContext, registry: RoomRegistry, settings: RoomsSettings, whenTransferred: WhenTransferred,
  ) {
    this.#context = context;
    this.#registry = registry;
    this.#settings = settings;
    this.#whenTransferred = whenTransferred;
    context.on('room:left', ({ room, userId }) => { if (isOwner(room, userId)) this.#wait(room); });
    context.on('room:joined', ({ room, userId }) => { if (isOwner(room, userId)) this.#stopWaiting(room); });
    context.on('room:deleted', ({ room }) => this.#stopWaiting(room));
  }

  /**
   * Updates the rooms of an anonymous owner. When the connection has authenticated, its user becomes the owner, up to
   * `maxRoomsPerOwner`. When it has closed, empty rooms are deleted and the others are transferred.
   */
  update({ id, ip, user }: Connection): void {
    const isGone = !this.#context.node.connections.has(id);
    for (const room of this.#registry.ownedByConnection({ id, ip })) {
      if (user && this.#registry.mayOwnMore(user.id)) {
        this.#registry.setOwner(room, user.id);
        room.move(id, user.id);
      } else if (isGone && this.#registry.isDeletionScheduled(room)) void this.#registry.deleteRoom(room.id);
      else if (isGone && this.#transfer(room)) room.roles.delete(id);
      else if (isGone) this.#wait(room);
    }
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
