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
    return () => {
      if (this.#undos.delete(undo)) return undo();
    };
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
