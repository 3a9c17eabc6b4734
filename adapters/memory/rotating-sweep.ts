/** Entries that each step visits: two, so that a map that grows by one entry a step can shrink. */
const STEPS = 2;

/** Visits the entries of a map in turns, a few with each change: what has expired is forgotten without a timer. */
export class RotatingSweep<K, V> {
  readonly #map: Map<K, V>;
  readonly #isExpired: (value: V) => boolean;
  // An iterator of a Map stays valid while entries come and go.
  #cursor: MapIterator<[K, V]>;

  constructor(map: Map<K, V>, isExpired: (value: V) => boolean) {
    this.#map = map;
    this.#isExpired = isExpired;
    this.#cursor = map.entries();
  }

  step(): void {
    for (let index = 0; index < STEPS; index++) {
      const { done, value } = this.#cursor.next();
      if (done) this.#cursor = this.#map.entries();
      else if (this.#isExpired(value[1])) this.#map.delete(value[0]);
    }
  }
}
