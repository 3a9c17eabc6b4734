/** What others are told of a user. */
export interface Shown { readonly userId: string; readonly [field: string]: unknown }

/** Who came and went in one place. Where there are more than are named, `more` counts the others. */
export interface Changes { readonly users: readonly Shown[]; readonly more: number }

interface Change { readonly user: Shown; readonly isOnline: boolean }

/** Tells the people of a place. */
export type Tell = (place: string, type: 'user-online' | 'user-offline', changes: Changes) => void;

/**
 * Arrivals and departures, gathered and told together: a thousand who come back at once are one message to each, and not a
 * thousand. Who came and went meanwhile is not spoken of.
 */
export class Announcements {
  readonly #most: number;
  readonly #tell: Tell;
  #places = new Map<string, Map<string, Change>>();

  /** @param most users that one message names */
  constructor(most: number, tell: Tell) {
    this.#most = most;
    this.#tell = tell;
  }

  note(place: string, user: Shown, isOnline: boolean): void {
    let changes = this.#places.get(place);
    if (!changes) this.#places.set(place, (changes = new Map()));
    const noted = changes.get(user.userId);
    if (noted?.isOnline === !isOnline) changes.delete(user.userId);
    else changes.set(user.userId, { user, isOnline });
  }

  /** There is no such place any more. */
  forget(place: string): void { this.#places.delete(place); }

  flush(): void {
    if (this.#places.size === 0) return;
    const places = this.#places;
    this.#places = new Map();
    for (const [place, changes] of places) {
      this.#announce(place, changes.values(), true);
      this.#announce(place, changes.values(), false);
    }
  }

  #announce(place: string, changes: Iterable<Change>, wanted: boolean): void {
    const users = [...changes].filter(({ isOnline }) => isOnline === wanted).map(({ user }) => user);
    const type = wanted ? 'user-online' : 'user-offline';
    if (users.length > 0) this.#tell(place, type, { users: users.slice(0, this.#most), more: Math.max(0, users.length - this.#most) });
  }
}
