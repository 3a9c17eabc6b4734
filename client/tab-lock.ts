import { browser } from './browser-globals.ts';

/** A Web Lock. Only one tab has it, and a tab that crashes loses it. */
export class TabLock {
  #release: (() => void) | undefined;
  #waiting: AbortController | undefined;

  get isHeld(): boolean { return this.#release !== undefined; }
  get isWaiting(): boolean { return this.#waiting !== undefined; }

  /** Takes the lock if it is free. `false` also where there are no locks. */
  async tryTake(name: string): Promise<boolean> {
    const { locks } = browser.navigator ?? {};
    if (!locks) return false;
    return await new Promise((resolve) => {
      const taken = (lock: object | null): Promise<void> | undefined => {
        resolve(lock !== null);
        return lock ? this.#hold() : undefined;
      };
      locks.request(name, { ifAvailable: true }, taken).catch(() => resolve(false));
    });
  }

  /** Waits for the lock, until `release()`. Calls `taken` when this tab has it. Only where there are locks. */
  wait(name: string, taken: () => void): void {
    const { signal } = this.#waiting = new AbortController();
    const begin = (): Promise<void> | undefined => {
      if (signal.aborted) return undefined;
      this.#waiting = undefined;
      const held = this.#hold();
      taken();
      return held;
    };
    // Rejects when it is aborted.
    browser.navigator!.locks!.request(name, { signal }, begin).catch(() => undefined);
  }

  release(): void {
    this.#waiting?.abort();
    this.#release?.();
    this.#waiting = this.#release = undefined;
  }

  #hold(): Promise<void> {
    return new Promise((resolve) => { this.#release = resolve; });
  }
}
