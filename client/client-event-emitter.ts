type Listener = (...args: any[]) => unknown;

/** A small event emitter without dependencies, for applications that wrap the client. */
export class ClientEventEmitter {
  readonly #listeners = new Map<string, Set<Listener>>();

  /** Adds a listener. Returns a function that removes it. */
  on(event: string, listener: Listener): () => void {
    const set = this.#listeners.get(event) ?? new Set();
    this.#listeners.set(event, set.add(listener));
    return () => this.off(event, listener);
  }

  /** Adds a listener for the next event only. Returns a function that removes it. */
  once(event: string, listener: Listener): () => void {
    const remove = this.on(event, (...args) => {
      remove();
      return listener(...args);
    });
    return remove;
  }

  /** Removes a listener, or all listeners of an event. */
  off(event: string, listener?: Listener): void {
    const set = this.#listeners.get(event);
    if (listener) set?.delete(listener);
    if (!listener || set?.size === 0) this.#listeners.delete(event);
  }

  /** A copy of the listeners, in order of addition. */
  listeners(event: string): Listener[] {
    return [...this.#listeners.get(event) ?? []];
  }

  /**
   * Calls the listeners in order, all of them even if some throw. Then throws the first failure. Returns whether there
   * were listeners.
   */
  emit(event: string, ...args: unknown[]): boolean {
    const failures: unknown[] = [];
    const listeners = this.listeners(event);
    for (const listener of listeners) {
      try {
        listener(...args);
      } catch (error) {
        failures.push(error);
      }
    }
    if (failures.length > 0) throw failures[0];
    return listeners.length > 0;
  }
}
