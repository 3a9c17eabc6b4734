import { browser, ownerOf, randomName, unref, type StorageLike } from './browser-globals.ts';
import { checkOptions } from './part-options.ts';
import type { ClientHost, ClientPart } from './client-part.ts';
import { readState, type StoredState } from './stored-state.ts';
import { TabLock } from './tab-lock.ts';

export interface PersistenceOptions {
  /** `false`: nothing is stored. @default true */
  readonly enabled?: boolean | undefined;
  /**
   * `sessionStorage`: a tab goes on after a reload. `localStorage`: also a tab that was closed and opened again.
   * `memory`: another client of the same page goes on. @default 'sessionStorage'
   */
  readonly storage?: 'localStorage' | 'sessionStorage' | 'memory' | undefined;
  /** The beginning of the names in the storage. @default 'websocket-state' */
  readonly key?: string | undefined;
  readonly sync?: {
    /** `false`: the state is written when the connection opens or ends, and when the page is left. @default true */
    readonly enabled?: boolean | undefined;
    /** Milliseconds between two writes while something changes. @default 1_000 */
    readonly interval?: number | undefined;
    /** What the server answers replaces what was stored. There is no other way. @default 'server-wins' */
    readonly conflictResolution?: 'server-wins' | undefined;
  } | undefined;
}

/** Of one user of one server: each tab has one, and those of closed tabs are taken up. */
const MAX_RECORDS = 20;

const DEFAULTS = {
  enabled: true, storage: 'sessionStorage', key: 'websocket-state',
  sync: { enabled: true, interval: 1_000, conflictResolution: 'server-wins' },
};
const CHOICES = { storage: ['localStorage', 'sessionStorage', 'memory'], 'sync.conflictResolution': ['server-wins'] };

const memory = new Map<string, string>();
const memoryStorage: StorageLike = {
  get length() { return memory.size; },
  key: (index) => [...memory.keys()][index] ?? null,
  getItem: (key) => memory.get(key) ?? null,
  setItem: (key, value) => void memory.set(key, value),
  removeItem: (key) => void memory.delete(key),
};

/**
 * Keeps the session, the rooms, the subscriptions and the positions of a client, so that a page that was reloaded goes
 * on where it was.
 *
 * @throws {Error} if an option is wrong
 * @example new WebSocketClient({ url, state: { user: 'ada', persistence: persistence({ storage: 'localStorage' }) } })
 */
export function persistence(options: PersistenceOptions = {}): ClientPart {
  return new Persistence(checkOptions('persistence', DEFAULTS, options, CHOICES));
}

type PersistenceSettings = typeof DEFAULTS;

class Persistence implements ClientPart {
  readonly #settings: PersistenceSettings;
  readonly #lock = new TabLock();
  #host!: ClientHost;
  /** The name of what this user has stored for this server. */
  #owner = '';
  /** The name of the record of this tab. */
  #record: string | undefined;
  #stored = '';
  #storage: StorageLike = memoryStorage;
  #timer: ReturnType<typeof setInterval> | undefined;
  #hasFailed = false;

  constructor(settings: PersistenceSettings) { this.#settings = settings; }

  attach(host: ClientHost): void {
    this.#host = host;
    this.#owner = ownerOf(this.#settings.key, host);
  }

  async ready(): Promise<void> {
    if (!this.#settings.enabled) return;
    if (this.#record === undefined) return await this.#begin();
    if (this.#lock.isHeld || !browser.navigator?.locks) return;
    // The page comes from the back/forward cache. Meanwhile another tab may have taken the session up.
    if (await this.#lock.tryTake(this.#record)) return;
    this.#host.recovery.load(undefined, []);
    await this.#create();
  }

  up(): void {
    this.#save();
    const { enabled, interval } = this.#settings.sync;
    if (!this.#settings.enabled || !enabled) return;
    this.#timer = setInterval(() => this.#save(), interval);
    unref(this.#timer);
  }

  down(): void {
    clearInterval(this.#timer);
    this.#save();
  }

  end(_: unknown, isDisconnected: boolean): void {
    clearInterval(this.#timer);
    if (!this.#settings.enabled || this.#record === undefined) return;
    this.#stopListening();
    if (isDisconnected) this.#try(() => this.#storage.removeItem(this.#record!));
    this.#record = undefined;
    this.#stored = '';
    this.#lock.release();
  }

  /** Takes up the newest record that no other tab uses. */
  async #begin(): Promise<void> {
    const { storage } = this.#settings;
    this.#try(() => {
      const found = storage === 'memory' ? memoryStorage : browser[storage as 'localStorage' | 'sessionStorage'];
      if (!found) throw new Error(`there is no ${storage}`);
      this.#storage = found;
    });
    browser.addEventListener?.('pagehide', this.#left);
    browser.addEventListener?.('visibilitychange', this.#hidden);
    let records: [string, StoredState][] = [];
    this.#try(() => { records = this.#records(); });
    for (const [name, state] of records) {
      if (!(await this.#lock.tryTake(name))) continue;
      this.#record = name;
      return this.#load(state);
    }
    const [newest] = records;
    // Without locks, another tab may use the session.
    if (newest && !browser.navigator?.locks) this.#load({ ...newest[1], sessionId: undefined });
    await this.#create();
  }

  async #create(): Promise<void> {
    this.#record = `${this.#owner}:${randomName()}`;
    await this.#lock.tryTake(this.#record);
  }

  /** The valid records of the user, newest first. Others of this name, and those beyond the limit, are removed. */
  #records(): [name: string, state: StoredState][] {
    const records: [string, StoredState][] = [];
    const names = Array.from({ length: this.#storage.length }, (_, index) => this.#storage.key(index) ?? '');
    for (const name of names) {
      if (!name.startsWith(`${this.#owner}:`)) continue;
      const state = readState(this.#storage.getItem(name));
      if (state) records.push([name, state]);
      else this.#storage.removeItem(name);
    }
    records.sort(([, a], [, b]) => b.at - a.at);
    for (const [name] of records.splice(MAX_RECORDS)) this.#storage.removeItem(name);
    return records;
  }

  #load({ sessionId, rooms, topics, positions }: StoredState): void {
    const { recovery, memberships } = this.#host;
    recovery.load(sessionId, positions);
    memberships.load([
      ...rooms.map((roomId) => [`room:${roomId}`, { type: 'join-room', content: { roomId } }] as const),
      ...topics.map((topic) => [topic, { type: 'subscribe', topic }] as const),
    ]);
  }

  #save(): void {
    const { recovery, memberships, user } = this.#host;
    if (!this.#settings.enabled || this.#record === undefined) return;
    // The session is that of another user, who would get the state of this one.
    if (recovery.present && (recovery.present.userId ?? '') !== user) return;
    const entries = memberships.entries();
    const state = {
      version: 1,
      sessionId: recovery.sessionId,
      // A password is not stored: the session lets the client in without it.
      rooms: entries.filter(([, { topic }]) => topic === undefined).map(([topic]) => topic.slice('room:'.length)),
      topics: entries.filter(([, { topic }]) => topic !== undefined).map(([topic]) => topic),
      positions: recovery.positions.all(),
    };
    const text = JSON.stringify(state);
    if (text === this.#stored) return;
    const record = JSON.stringify({ ...state, at: Date.now() });
    const write = (): void => this.#storage.setItem(this.#record!, record);
    // Again in memory, if the storage fails.
    if (!this.#try(write)) this.#try(write);
    this.#stored = text;
  }

  /** Uses the storage. If it fails (full, forbidden), the state is kept in memory from now on. */
  #try(use: () => void): boolean {
    try {
      use();
      return true;
    } catch (error) {
      this.#storage = memoryStorage;
      if (!this.#hasFailed) {
        this.#hasFailed = true;
        const text = 'the state of the client cannot be stored, and does not outlive the page';
        this.#host.emit('error', this.#host.fail('STORAGE_FAILED', text, { storage: this.#settings.storage }, error));
      }
      return false;
    }
  }

  readonly #hidden = (): void => { if (browser.document?.visibilityState === 'hidden') this.#save(); };

  /** A page with a lock cannot be kept in the back/forward cache. */
  readonly #left = (): void => {
    this.#save();
    this.#lock.release();
  };

  #stopListening(): void {
    browser.removeEventListener?.('pagehide', this.#left);
    browser.removeEventListener?.('visibilitychange', this.#hidden);
  }
}
