import type { Connection, PluginContext } from '../../src/index.ts';
import { PERMISSIONS } from './room-config.ts';
import type { RoomRegistry } from './room-registry.ts';
import type { Room } from './room.ts';
import type { RoomsSettings } from './rooms-options.ts';

type WhenHanded = (room: Room, userId: string) => void;

/** Hands rooms over to another owner when their owners are gone. */
export class RoomOwnership {
  readonly #context: PluginContext;
  readonly #registry: RoomRegistry;
  readonly #settings: RoomsSettings;
  readonly #whenHanded: WhenHanded;
  /** Rooms that their owners have left, each with the undo of its deadline. */
  readonly #waiting = new Map<Room, () => void>();

  /** @param whenHanded called when a member has become the owner of a room */
  constructor(context: PluginContext, registry: RoomRegistry, settings: RoomsSettings, whenHanded: WhenHanded) {
    this.#context = context;
    this.#registry = registry;
    this.#settings = settings;
    this.#whenHanded = whenHanded;
    context.on('room:left', ({ room, userId }) => { if (isOwner(room, userId)) this.#wait(room); });
    context.on('room:joined', ({ room, userId }) => { if (isOwner(room, userId)) this.#stopWaiting(room); });
    context.on('room:deleted', ({ room }) => this.#stopWaiting(room));
  }

  /**
   * Brings the rooms of an anonymous owner up to date. When the connection is a user's now, they become the user's, as
   * many as one may own. When it is gone, empty rooms are deleted, and the others get another owner.
   */
  settle({ id, ip, user }: Connection): void {
    const isGone = !this.#context.node.connections.has(id);
    for (const room of this.#registry.ownedByConnection({ id, ip })) {
      if (user && this.#registry.mayOwnMore(user.id)) {
        this.#registry.hand(room, user.id);
        room.move(id, user.id);
      } else if (isGone && this.#registry.isEnding(room)) void this.#registry.deleteRoom(room.id);
      else if (isGone && this.#handOver(room)) room.roles.delete(id);
      else if (isGone) this.#wait(room);
    }
  }

  #wait(room: Room): void {
    const { ownerTimeout } = this.#settings;
    if (ownerTimeout === false || room.isPersistent || this.#waiting.has(room) || hasOwner(room)) return;
    this.#waiting.set(room, this.#context.after(ownerTimeout, () => {
      this.#waiting.delete(room);
      if (!hasOwner(room) && !this.#handOver(room)) this.#wait(room);
    }));
  }

  #stopWaiting(room: Room): void {
    this.#waiting.get(room)?.();
    this.#waiting.delete(room);
  }

  /** `false`: there is no candidate. */
  #handOver(room: Room): boolean {
    const { nextOwner } = this.#settings;
    const userId = nextOwner ? nextOwner(room) : this.#candidate(room);
    if (typeof userId !== 'string') return false;
    room.roles.set(userId, 'owner');
    this.#registry.hand(room, userId);
    this.#whenHanded(room, userId);
    return true;
  }

  /** The member with the highest role; of several, the first who joined. Those who may not speak are no candidates. */
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

/** The higher the permissions of a member, the higher the number. */
function rankOf(room: Room, userId: string): number {
  return PERMISSIONS.reduce((rank, permission, index) => rank + (room.can(userId, permission) ? 2 ** index : 0), 0);
}
