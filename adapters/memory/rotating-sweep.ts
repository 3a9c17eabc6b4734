/** Entries that each step checks. With two, a map can shrink although each step may add one entry. */
const STEPS = 2;

/** Deletes the expired entries of a map without a timer: each change of the map checks a few of its entries in turn. */
export class RotatingSweep<K, V> {
  readonly #map: Map<K, V>;
  readonly #isExpired: (value: V) => boolean;
  // An iterator of a Map stays valid when entries are added or deleted.
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
