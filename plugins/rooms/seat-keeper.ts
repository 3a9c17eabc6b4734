import { BoundedTable } from '../../src/index.ts';
import { memberKey } from './connection-manager.ts';
import type { Room } from './room.ts';

/** Seats that are kept at most, in all rooms. Beyond, a broken connection costs the seat. */
const MAX_SEATS = 100_000;

/** Keeps the seats of users whose connection broke, so that others do not take them in a full room. */
export class SeatKeeper {
  readonly #grace: number;
  /** When each seat is given up, by room and user; the owner of an entry is the room. */
  readonly #seats = new BoundedTable<string, number>({ max: MAX_SEATS, isExpired: (until) => until <= performance.now() });

  /** @param grace milliseconds; 0 keeps none */
  constructor(grace: number) { this.#grace = grace; }

  keep({ id }: Room, userId: string): void {
    if (this.#grace > 0) this.#seats.set(memberKey(id, userId), performance.now() + this.#grace, id);
  }

  release({ id }: Room, userId: string): void { this.#seats.delete(memberKey(id, userId)); }

  /** Whether all seats of a room are taken, or kept for others. */
  isFull({ id, users, config: { maxUsers } }: Room, userId: string): boolean {
    // The seats of this room are counted only where there are enough of them in all rooms.
    if (users.size + this.#seats.size < maxUsers) return false;
    const own = this.#seats.has(memberKey(id, userId)) ? 1 : 0;
    return users.size + this.#seats.keysOf(id).length - own >= maxUsers;
  }

  /** Gives up the seats of a room. */
  forget({ id }: Room): void { this.#seats.deleteOwner(id); }
}
