interface Absence {
  readonly place: string;
  readonly userId: string;
  readonly since: number;
}

/** Who was cut off from a place a moment ago, and is spoken of as if he were there, because he may be back at once. Oldest first. */
export class Absences {
  readonly #grace: number;
  readonly #most: number;
  readonly #all = new Set<Absence>();
  readonly #places = new Map<string, Map<string, Absence>>();

  /** @param grace milliseconds */
  constructor(grace: number, most: number) {
    this.#grace = grace;
    this.#most = most;
  }

  get size(): number { return this.#all.size; }

  /** Who is absent from a place. */
  of(place: string): Iterable<string> { return this.#places.get(place)?.keys() ?? []; }

  begin(place: string, userId: string): void {
    this.end(place, userId);
    const absence: Absence = { place, userId, since: performance.now() };
    this.#all.add(absence);
    let there = this.#places.get(place);
    if (!there) this.#places.set(place, (there = new Map()));
    there.set(userId, absence);
  }

  /** He is back, or gone for good. `false`: he was not absent. */
  end(place: string, userId: string): boolean {
    const there = this.#places.get(place);
    const absence = there?.get(userId);
    if (!there || !absence) return false;
    this.#all.delete(absence);
    there.delete(userId);
    if (there.size === 0) this.#places.delete(place);
    return true;
  }

  /** There is no such place any more. */
  forget(place: string): void {
    for (const userId of [...this.of(place)]) this.end(place, userId);
  }

  /** Ends the absences that have lasted too long, and the oldest where there are too many. */
  over(): Absence[] {
    const over: Absence[] = [];
    const before = performance.now() - this.#grace;
    for (const absence of this.#all) {
      if (absence.since > before && this.#all.size <= this.#most) break;
      this.end(absence.place, absence.userId);
      over.push(absence);
    }
    return over;
  }
}
