export type Undo = () => unknown;

/** A thing that was added: its owner, and what it is. */
export interface Labelled { readonly owner: string; readonly label: string }

/** Everything that one owner added. close() undoes it, last first. */
export class Scope {
  readonly #undos = new Map<Undo, string>();
  #closed = false;

  get closed(): boolean { return this.#closed; }

  get size(): number { return this.#undos.size; }

  /** What each undo is for. */
  labels(): string[] { return [...this.#undos.values()]; }

  /** Adds an undo. The returned function runs it earlier than close(), and only once. */
  add(undo: Undo, label: string): Undo {
    // Wrapped, so that the same function may be added twice.
    const once: Undo = () => undo();
    this.#undos.set(once, label);
    return () => (this.#undos.delete(once) ? once() : undefined);
  }

  /** Runs all undos, even if some fail. Returns the failures. */
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

/** A list in the order of addition. The same item may be added twice; each addition has its own undo. */
export class UndoList<T> implements Iterable<T> {
  readonly #items = new Map<symbol, T>();
  readonly #changed: (() => void) | undefined;

  constructor(changed?: () => void) { this.#changed = changed; }

  get size(): number { return this.#items.size; }

  /** @param owner the owner of the item, for inventories */
  add(item: T, owner = ''): Undo {
    const key = Symbol(owner);
    this.#items.set(key, item);
    this.#changed?.();
    return () => this.#items.delete(key) && this.#changed?.();
  }

  /** Lists the items with their owners and labels. */
  inventory(label: (item: T) => string): Labelled[] {
    return [...this.#items].map(([key, item]) => ({ owner: key.description!, label: label(item) }));
  }

  [Symbol.iterator](): Iterator<T> { return this.#items.values(); }
}
