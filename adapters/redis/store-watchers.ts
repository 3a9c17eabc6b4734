import { toError } from '../../src/index.ts';

type Watcher = (key: string | undefined) => void;

/** The listeners of watch(). */
export class StoreWatchers {
  readonly #watchers = new Set<Watcher>();

  add(listener: Watcher): () => void {
    // Wrapped, so that the same listener may be added twice.
    const watcher: Watcher = (key) => listener(key);
    this.#watchers.add(watcher);
    return () => void this.#watchers.delete(watcher);
  }

  /** @param key `undefined` if changes may have been missed */
  notify(key: string | undefined): void {
    for (const watcher of [...this.#watchers]) {
      try {
        watcher(key);
      } catch (error) {
        // If one listener fails, the other listeners are called.
        process.emitWarning(toError(error));
      }
    }
  }
}
