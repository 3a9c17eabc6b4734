export type Undo = () => unknown;

/** What one owner added, undone last-first. */
export class Scope {
  readonly #undos = new Set<Undo>();
  #closed = false;

  get closed(): boolean { return this.#closed; }

  get size(): number { return this.#undos.size; }

  /** Keeps an undo. The returned function runs it early, and once. */
  add(undo: Undo): Undo {
    this.#undos.add(undo);
    return () => (this.#undos.delete(undo) ? undo() : undefined);
  }

  /** Undoes everything, also what is left when one undo fails; returns the failures. */
  async close(): Promise<unknown[]> {
    this.#closed = true;
    const failures: unknown[] = [];
    for (const undo of [...this.#undos].reverse()) {
      this.#undos.delete(undo);
      try {
        await undo();
      } catch (error) {
        failures.push(error);
      }
    }
    return failures;
  }
}

/** Things in the order in which they came. The same one may be in it twice, and each goes by its own undo. */
export class UndoList<T> implements Iterable<T> {
  readonly #items = new Map<symbol, T>();
  readonly #changed: (() => void) | undefined;

  constructor(changed?: () => void) { this.#changed = changed; }

  get size(): number { return this.#items.size; }

  add(item: T): Undo {
    const key = Symbol();
    this.#items.set(key, item);
    this.#changed?.();
    return () => this.#items.delete(key) && this.#changed?.();
  }

  [Symbol.iterator](): Iterator<T> { return this.#items.values(); }
}
