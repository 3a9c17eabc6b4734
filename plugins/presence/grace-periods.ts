import type { ShownUser } from './announcements.ts';
import { PlaceTable } from './place-table.ts';

/** Maximum grace periods of one user. */
const MAX_PER_USER = 1_000;

/** A running grace period. `user` is the user as clients have seen it before. */
export interface GracePeriod { readonly user: ShownUser; readonly since: number }

/**
 * GracePeriods tracks users whose connection broke while they were in a place. They stay online there for the grace
 * period, because most of them reconnect.
 */
export class GracePeriods {
  readonly #grace: number;
  /** Oldest first. */
  readonly #gracePeriods: PlaceTable<GracePeriod>;

  /** @param grace milliseconds @param max maximum grace periods in total */
  constructor(grace: number, max: number) {
    this.#grace = grace;
    this.#gracePeriods = new PlaceTable(max, MAX_PER_USER);
  }

  get size(): number { return this.#gracePeriods.size; }

  /** The users in the grace period of a place. */
  of(place: string): Iterable<string> { return this.#gracePeriods.membersOf(place); }

  /** Begins a grace period. Returns `false` if `grace` is 0, or there are too many grace periods. */
  begin(place: string, user: ShownUser): boolean {
    this.end(place, user.userId);
    if (this.#grace === 0) return false;
    const gracePeriod = { user, since: performance.now() };
    return this.#gracePeriods.set(place, user.userId, gracePeriod, `user:${user.userId}`) === undefined;
  }

  /** Ends a grace period. Returns it, if there was one. */
  end(place: string, userId: string): GracePeriod | undefined { return this.#gracePeriods.delete(place, userId); }

  /** Ends all grace periods of a deleted place. */
  deletePlace(place: string): void { this.#gracePeriods.deletePlace(place); }

  /** Ends all grace periods that are over, and returns their users. */
  expired(): { readonly place: string; readonly userId: string }[] {
    const expired: { readonly place: string; readonly userId: string }[] = [];
    const latest = performance.now() - this.#grace;
    for (const { place, memberId, value } of this.#gracePeriods) {
      if (value.since > latest) break;
      this.end(place, memberId);
      expired.push({ place, userId: memberId });
    }
    return expired;
  }
}
