import { BoundedTable, type TableFull } from '../../src/index.ts';

/** The value of one member of a place. */
export interface PlaceEntry<V> {
  /** The topic of the place. */
  readonly place: string;
  readonly memberId: string;
  value: V;
}

/**
 * PlaceTable keeps one value for each member of each place, oldest first. Entries are limited in total and per actor. A
 * full table rejects new entries.
 */
export class PlaceTable<V> {
  readonly #entries: BoundedTable<PlaceEntry<V>, true>;
  readonly #places = new Map<string, Map<string, PlaceEntry<V>>>();

  /** @param max maximum entries @param maxPerActor maximum entries of one actor */
  constructor(max: number, maxPerActor: number) {
    this.#entries = new BoundedTable({ max, maxPerOwner: Math.min(max, maxPerActor) });
  }

  get size(): number { return this.#entries.size; }

  get(place: string, memberId: string): V | undefined { return this.#places.get(place)?.get(memberId)?.value; }

  /** The ids of the members of a place. */
  membersOf(place: string): Iterable<string> { return this.#places.get(place)?.keys() ?? []; }

  /** Adds a value. A new value of a known member keeps its position. Returns the limit that was reached, if any. */
  set(place: string, memberId: string, value: V, actor: string): TableFull | undefined {
    const present = this.#places.get(place)?.get(memberId);
    if (present) {
      present.value = value;
      return undefined;
    }
    const entry = { place, memberId, value };
    const full = this.#entries.set(entry, true, actor);
    if (full) return full;
    let members = this.#places.get(place);
    if (!members) this.#places.set(place, (members = new Map()));
    members.set(memberId, entry);
    return undefined;
  }

  /** Deletes a value and returns it. */
  delete(place: string, memberId: string): V | undefined {
    const members = this.#places.get(place);
    const entry = members?.get(memberId);
    if (!members || !entry) return undefined;
    members.delete(memberId);
    if (members.size === 0) this.#places.delete(place);
    this.#entries.delete(entry);
    return entry.value;
  }

  /** Deletes all entries of a place. */
  deletePlace(place: string): void {
    for (const entry of this.#places.get(place)?.values() ?? []) this.#entries.delete(entry);
    this.#places.delete(place);
  }

  /** Entries may be deleted during the iteration. */
  * [Symbol.iterator](): Generator<PlaceEntry<V>> {
    for (const [entry] of this.#entries) yield entry;
  }
}
