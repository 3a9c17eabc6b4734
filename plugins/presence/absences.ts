import type { ShownUser } from './announcements.ts';
import { PlaceTable } from './place-table.ts';

/** Places of one user in which a break of the connection is bridged. */
const MAX_PER_USER = 1_000;

/** A user who counts as present. `user` is what others see until the user is back. */
export interface Absence { readonly user: ShownUser; readonly since: number }

/**
 * Users whose connection to a place broke a moment ago. They count as present for the grace period, because most of
 * them reconnect.
 */
export class Absences {
  readonly #grace: number;
  /** Oldest first. */
  readonly #absences: PlaceTable<Absence>;

  /** @param grace milliseconds @param max absences in all */
  constructor(grace: number, max: number) {
    this.#grace = grace;
    this.#absences = new PlaceTable(max, MAX_PER_USER);
  }

  get size(): number { return this.#absences.size; }

  /** The users who are absent from a place. */
  of(place: string): Iterable<string> { return this.#absences.membersOf(place); }

  /** Returns whether the user counts as present: not without a grace period, nor with too many absences. */
  begin(place: string, user: ShownUser): boolean {
    this.end(place, user.userId);
    if (this.#grace === 0) return false;
    const absence = { user, since: performance.now() };
    return this.#absences.set(place, user.userId, absence, `user:${user.userId}`) === undefined;
  }

  /** The user is back, or gone for good. Returns the absence, if there was one. */
  end(place: string, userId: string): Absence | undefined { return this.#absences.delete(place, userId); }

  /** The place does not exist any more. */
  deletePlace(place: string): void { this.#absences.deletePlace(place); }

  /** Ends the absences that have lasted for the grace period, and returns them. */
  expired(): { readonly place: string; readonly userId: string }[] {
    const expired: { readonly place: string; readonly userId: string }[] = [];
    const latest = performance.now() - this.#grace;
    for (const { place, memberId, value } of this.#absences) {
      if (value.since > latest) break;
      this.end(place, memberId);
      expired.push({ place, userId: memberId });
    }
    return expired;
  }
}
