import { BoundedTable } from '../../src/index.ts';
import { memberKey } from './connection-manager.ts';
import type { Room } from './room.ts';

/** Maximum kept seats in all rooms. Beyond it, users lose their seat when the connection breaks. */
const MAX_SEATS = 100_000;

/** Keeps the seats of users whose connection broke, so that other users cannot take them in a full room. */
export class SeatKeeper {
  readonly #grace: number;
  /** When each kept seat expires, by room and user. The owner of an entry is the room. */
  readonly #seats = new BoundedTable<string, number>({
    max: MAX_SEATS, isExpired: (until) => until <= performance.now(),
  });

  /** @param grace milliseconds; 0: seats are not kept */
  constructor(grace: number) { this.#grace = grace; }

  keep({ id }: Room, userId: string): void {
    if (this.#grace > 0) this.#seats.set(memberKey(id, userId), performance.now() + this.#grace, id);
  }

  release({ id }: Room, userId: string): void { this.#seats.delete(memberKey(id, userId)); }

  /** Whether all seats of a room are taken or kept for other users. */
  isFull({ id, users, config: { maxUsers } }: Room, userId: string): boolean {
    // Fast path: even with the kept seats of all rooms, this room is not full.
    if (users.size + this.#seats.size < maxUsers) return false;
    const hasSeat = this.#seats.has(memberKey(id, userId)) ? 1 : 0;
    return users.size + this.#seats.keysOf(id).length - hasSeat >= maxUsers;
  }

  /** Releases all seats of a deleted room. */
  forget({ id }: Room): void { this.#seats.deleteOwner(id); }
}
