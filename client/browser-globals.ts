/** The members of `Storage` that are used. */
export interface StorageLike {
  readonly length: number;
  key(index: number): string | null;
  getItem(key: string): string | null;
  setItem(key: string, value: string): void;
  removeItem(key: string): void;
}

/** Web Locks. They are missing in pages without https. */
export interface LocksLike {
  request(
    name: string, options: { readonly ifAvailable?: boolean | undefined; readonly signal?: AbortSignal | undefined },
    callback: (lock: object | null) => Promise<void> | undefined,
  ): Promise<unknown>;
}

interface Channel {
  onmessage: ((event: any) => void) | null;
  postMessage(value: unknown): void;
  close(): void;
  unref?(): void;
}

/** The members of IndexedDB that are used. */
export interface RequestLike {
  readonly result: unknown;
  readonly error: Error | null;
  onsuccess: (() => void) | null;
  onerror: (() => void) | null;
}
export interface ObjectStoreLike {
  get(key: unknown): RequestLike;
  getAll(): RequestLike;
  add(value: unknown): RequestLike;
  put(value: unknown, key?: unknown): RequestLike;
  delete(key: unknown): RequestLike;
  createIndex(name: string, keyPath: string, options: { readonly unique: boolean }): unknown;
}
export interface DatabaseLike {
  onclose: (() => void) | null;
  onversionchange: (() => void) | null;
  createObjectStore(
    name: string, options?: { readonly keyPath: string; readonly autoIncrement: boolean },
  ): ObjectStoreLike;
  transaction(name: string, mode: 'readonly' | 'readwrite'): {
    readonly error: Error | null;
    oncomplete: (() => void) | null;
    onabort: (() => void) | null;
    objectStore(name: string): ObjectStoreLike;
  };
  close(): void;
}
interface DatabasesLike {
  open(name: string, version: number): RequestLike & { onupgradeneeded: (() => void) | null };
}

/** What browsers have. Read at each use, because tests and polyfills replace it. */
export const browser = globalThis as unknown as {
  readonly localStorage?: StorageLike | undefined;
  readonly sessionStorage?: StorageLike | undefined;
  readonly indexedDB?: DatabasesLike | undefined;
  readonly navigator?: { readonly locks?: LocksLike | undefined } | undefined;
  readonly document?: { readonly visibilityState?: string | undefined } | undefined;
  readonly BroadcastChannel?: (new (name: string) => Channel) | undefined;
  addEventListener?(type: string, listener: () => void): void;
  removeEventListener?(type: string, listener: () => void): void;
};

/** A process of Node may end before the timer does. Timers of browsers are numbers. */
export const unref = (timer: unknown): void => { (timer as { unref?: () => void }).unref?.(); };

/** Random and hard to guess. */
export const randomName = (): string =>
  [...globalThis.crypto.getRandomValues(new Uint8Array(16))].map((byte) => byte.toString(16).padStart(2, '0')).join('');

/** Names what belongs to one user of one server. The query of an address may have a token. */
export const ownerOf = (key: string, { url, user }: { readonly url: string; readonly user: string }): string =>
  `${key}:${JSON.stringify([url.split(/[?#]/)[0], user])}`;
