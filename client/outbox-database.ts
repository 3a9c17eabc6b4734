import { browser } from './browser-globals.ts';
import type { OutboxState } from './outbox-change.ts';
import { OutboxStore, type OutboxRecord } from './outbox-store.ts';

/** What tabs tell each other. */
export type Notice =
  | { readonly kind: 'added' | 'changed'; readonly record: OutboxRecord }
  | {
    readonly kind: 'removed'; readonly id: string; readonly state: OutboxState;
    readonly error?: NoticeError | undefined;
  };

interface NoticeError { readonly code: string; readonly message: string; readonly details: object }

interface DatabasePort {
  /** The database is open. */
  opened(): Promise<void>;
  /** Another tab has added, changed or removed a message. */
  noticed(notice: Notice): void;
  /** The browser has closed or deleted the database. */
  lost(): void;
  /** The database cannot be used. Called once. */
  failed(cause: unknown): void;
  /** The page is left. It may come back. */
  left(): Promise<void>;
}

/** Milliseconds within which the database must open. A connection does not wait longer. */
const OPEN_TIMEOUT = 2_000;

/** The database of an outbox, and the channel to the other tabs that use it. Opened when it is needed. */
export class OutboxDatabase {
  readonly #port: DatabasePort;
  #opening: Promise<void> | undefined;
  #channel: InstanceType<NonNullable<typeof browser.BroadcastChannel>> | undefined;
  #hasFailed = false;
  /** `undefined` while it is not open, or cannot be opened. */
  store: OutboxStore | undefined;

  constructor(port: DatabasePort) { this.#port = port; }

  /** Resolves when the database is open, or cannot be opened. */
  open(name: string): Promise<void> { return (this.#opening ??= this.#open(name)); }

  close(): void {
    browser.removeEventListener?.('pagehide', this.#left);
    this.#channel?.close();
    this.store?.close();
    this.#channel = this.store = this.#opening = undefined;
  }

  post(notice: Notice): void { this.#channel?.postMessage(notice); }

  /** Reports the first failure. */
  failed(cause: unknown): void {
    if (this.#hasFailed) return;
    this.#hasFailed = true;
    this.#port.failed(cause);
  }

  async #open(name: string): Promise<void> {
    const { indexedDB, navigator, BroadcastChannel } = browser;
    try {
      if (!indexedDB || !navigator?.locks || !BroadcastChannel) {
        throw new Error('an outbox needs IndexedDB, Web Locks and BroadcastChannel; pages without https lack some');
      }
      const lost = (): void => {
        this.failed(new Error('the browser has closed the database'));
        this.store = this.#opening = undefined;
        this.#port.lost();
      };
      this.store = await inTime(OutboxStore.open(name, lost));
      this.#channel = new BroadcastChannel(name);
      this.#channel.unref?.();
      this.#channel.onmessage = ({ data }: { data: Notice }) => this.#port.noticed(data);
      browser.addEventListener?.('pagehide', this.#left);
      await this.#port.opened();
    } catch (error) {
      this.failed(error);
    }
  }

  /** An open database keeps a page out of the back/forward cache. */
  readonly #left = (): void => { void this.#port.left().then(() => this.close()); };
}

/** Rejects if the database does not open in time. If it opens later, it is closed. */
async function inTime(opening: Promise<OutboxStore>): Promise<OutboxStore> {
  let timer: ReturnType<typeof setTimeout>;
  let isLate = false;
  const deadline = new Promise<never>((_, reject) => {
    timer = setTimeout(() => {
      isLate = true;
      reject(new Error(`the database did not open within ${OPEN_TIMEOUT} ms`));
    }, OPEN_TIMEOUT);
  });
  // The rejection is that of the race.
  opening.then((store) => { if (isLate) store.close(); }, () => undefined);
  return await Promise.race([opening, deadline]).finally(() => clearTimeout(timer));
}
