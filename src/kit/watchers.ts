import { toError } from '../errors.ts';

/**
 * The listeners of `watch()` of a store or a journal. If one of them throws, the process emits a warning, and the
 * others are called.
 */
export class Watchers<Args extends readonly unknown[]> {
  readonly #watchers = new Set<(...args: Args) => void>();

  /** Returns the undo. */
  add(listener: (...args: Args) => void): () => void {
    // Wrapped, so that the same listener may be added twice.
    const watcher = (...args: Args): void => listener(...args);
    this.#watchers.add(watcher);
    return () => void this.#watchers.delete(watcher);
  }

  notify(...args: Args): void {
    for (const watcher of [...this.#watchers]) {
      try {
        watcher(...args);
      } catch (error) {
        process.emitWarning(toError(error));
      }
    }
  }
}
