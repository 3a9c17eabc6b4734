import type { Json, Versioned } from '../../src/index.ts';
import { RotatingSweep } from './rotating-sweep.ts';

interface Entry { readonly text: string; readonly version: string; until: number }

/** The documents of a memory store. */
export class SharedDocuments {
  readonly #entries = new Map<string, Entry>();
  readonly #now: () => number;
  readonly #sweep: RotatingSweep<string, Entry>;
  // Not reset by clear(), so that no version is used twice.
  #versions = 0;

  constructor(now: () => number) {
    this.#now = now;
    this.#sweep = new RotatingSweep(this.#entries, ({ until }) => until <= now());
  }

  get size(): number { return this.#entries.size; }

  get(key: string): Versioned | undefined {
    const entry = this.#find(key);
    return entry && { value: JSON.parse(entry.text) as Json, version: entry.version };
  }

  /** Returns the new version, or `undefined` if the document has another version than `expected`. */
  put(key: string, text: string, expected: string | undefined, ttl = Infinity): string | undefined {
    this.#sweep.step();
    if (expected !== undefined && (this.#find(key)?.version ?? 'absent') !== expected) return undefined;
    const version = `v${++this.#versions}`;
    this.#entries.set(key, { text, version, until: this.#now() + ttl });
    return version;
  }

  /** Returns whether there was a document, or `undefined` if it has another version than `expected`. */
  delete(key: string, expected: string | undefined): boolean | undefined {
    const entry = this.#find(key);
    if (!entry) return false;
    if (expected !== undefined && entry.version !== expected) return undefined;
    return this.#entries.delete(key);
  }

  touch(key: string, ttl: number): void {
    const entry = this.#find(key);
    if (entry) entry.until = this.#now() + ttl;
  }

  clear(): void { this.#entries.clear(); }

  #find(key: string): Entry | undefined {
    const entry = this.#entries.get(key);
    if (!entry || entry.until > this.#now()) return entry;
    this.#entries.delete(key);
    return undefined;
  }
}
