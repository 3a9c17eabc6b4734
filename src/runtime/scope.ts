export type Undo = () => unknown;

/** Whose a thing is, and what it is. */
export interface Labelled { readonly owner: string; readonly label: string }

/** What one owner added, undone last-first. */
export class Scope {
  readonly #undos = new Map<Undo, string>();
  #closed = false;

  get closed(): boolean { return this.#closed; }

  get size(): number { return this.#undos.size; }

  /** What each undo is for. */
  labels(): string[] { return [...this.#undos.values()]; }

  /** Keeps an undo. The returned function runs it early, and once. */
  add(undo: Undo, label: string): Undo {
    // Wrapped, so that the same function may be kept twice.
    const own: Undo = () => undo();
    this.#undos.set(own, label);
    return () => (this.#undos.delete(own) ? own() : undefined);
  }

  /** Undoes everything, also what is left when one undo fails; returns the failures. */
  async close(): Promise<unknown[]> {
    this.#closed = true;
    const failures: unknown[] = [];
    for (const undo of [...this.#undos.keys()].reverse()) {
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

/** Things in the order in which they were added. The same one may be in it twice, and each goes by its own undo. */
export class UndoList<T> implements Iterable<T> {
  readonly #items = new Map<symbol, T>();
  readonly #changed: (() => void) | undefined;

  constructor(changed?: () => void) { this.#changed = changed; }

  get size(): number { return this.#items.size; }

  /** @param owner whose it is, for inventories */
  add(item: T, owner = ''): Undo {
    const key = Symbol(owner);
    this.#items.set(key, item);
    this.#changed?.();
    return () => this.#items.delete(key) && this.#changed?.();
  }

  /** Each with its owner, and a label. */
  inventory(label: (item: T) => string): Labelled[] {
    return [...this.#items].map(([key, item]) => ({ owner: key.description!, label: label(item) }));
  }

  [Symbol.iterator](): Iterator<T> { return this.#items.values(); }
}
