import type { Undo } from './scope.ts';

/** Things in the order in which they came. The same one may be in it twice, and each goes by its own undo. */
export class UndoList<T> implements Iterable<T> {
  readonly #items = new Map<symbol, T>();
  readonly #changed: () => void;

  constructor(changed: () => void = () => undefined) {
    this.#changed = changed;
  }

  get size(): number { return this.#items.size; }

  add(item: T): Undo {
    const key = Symbol();
    this.#items.set(key, item);
    this.#changed();
    return () => {
      if (this.#items.delete(key)) this.#changed();
    };
  }

  [Symbol.iterator](): Iterator<T> { return this.#items.values(); }
}
