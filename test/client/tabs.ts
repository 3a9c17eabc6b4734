import { IDBFactory } from 'fake-indexeddb';
import { cleanup } from '../support/cleanup.ts';

type Callback = (lock: object | null) => Promise<void> | undefined;

/** Web Locks of one browser. */
class FakeLocks {
  readonly #held = new Set<string>();
  readonly #waiting: { readonly name: string; readonly begin: () => void; isAborted: boolean }[] = [];

  request(
    name: string, { ifAvailable = false, signal }: { ifAvailable?: boolean; signal?: AbortSignal }, callback: Callback,
  ): Promise<unknown> {
    return new Promise((resolve, reject) => {
      const begin = (): void => {
        this.#held.add(name);
        void Promise.resolve(callback({})).then(resolve, reject).finally(() => {
          this.#held.delete(name);
          this.#next(name);
        });
      };
      if (!this.#held.has(name)) return begin();
      if (ifAvailable) return void Promise.resolve(callback(null)).then(resolve, reject);
      const waiter = { name, begin, isAborted: false };
      this.#waiting.push(waiter);
      signal?.addEventListener('abort', () => {
        waiter.isAborted = true;
        reject(new Error('aborted'));
      });
    });
  }

  #next(name: string): void {
    const index = this.#waiting.findIndex((waiter) => waiter.name === name && !waiter.isAborted);
    if (index >= 0) this.#waiting.splice(index, 1)[0]!.begin();
  }
}

/** A `Storage` in memory, which may be full. */
export class FakeStorage {
  readonly items = new Map<string, string>();
  isFull = false;
  get length(): number { return this.items.size; }
  key(index: number): string | null { return [...this.items.keys()][index] ?? null; }
  getItem(key: string): string | null { return this.items.get(key) ?? null; }
  removeItem(key: string): void { this.items.delete(key); }

  setItem(key: string, value: string): void {
    if (this.isFull) throw new Error('QuotaExceededError');
    this.items.set(key, value);
  }
}

export interface FakeBrowser { sessionStorage: FakeStorage; localStorage: FakeStorage }

/** Gives the process what a browser has, until the test is over. `undefined` takes something away. */
export function fakeBrowser(changes: Readonly<Record<string, unknown>> = {}): FakeBrowser {
  const globals: Record<string, unknown> = {
    indexedDB: new IDBFactory(), navigator: { locks: new FakeLocks() }, sessionStorage: new FakeStorage(),
    localStorage: new FakeStorage(), ...changes,
  };
  for (const [name, value] of Object.entries(globals)) {
    const before = Object.getOwnPropertyDescriptor(globalThis, name);
    Object.defineProperty(globalThis, name, { value, configurable: true, writable: true });
    cleanup(() => {
      if (before) Object.defineProperty(globalThis, name, before);
      else Reflect.deleteProperty(globalThis, name);
    });
  }
  return globals as unknown as FakeBrowser;
}
