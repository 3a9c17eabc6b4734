import { browser, randomName, type DatabaseLike, type ObjectStoreLike, type RequestLike } from './browser-globals.ts';

/** A message as it is stored. */
export interface OutboxRecord {
  /** The order of the messages of all tabs. Given by the database. */
  seq?: number | undefined;
  readonly id: string;
  readonly type: string;
  readonly frame: string;
  readonly bytes: number;
  readonly priority: 'interactive' | 'bulk';
  queuedAt: number;
  expiresAt: number;
  /** When it was first written to a connection, or was about to be. */
  attemptedAt?: number | undefined;
  /** Where the server remembers it: an outbox or a session. */
  scope?: string | undefined;
  isUnknown?: boolean | undefined;
}

const VERSION = 1;
const MESSAGES = 'messages';
const META = 'meta';

const resultOf = async (request: RequestLike): Promise<unknown> => await new Promise((resolve, reject) => {
  request.onsuccess = () => resolve(request.result);
  request.onerror = () => reject(request.error ?? new Error('the request failed'));
});

/** A connection to the database of one outbox. All methods reject if the database fails; then nothing was written. */
export class OutboxStore {
  /** Identifies the outbox for the server. */
  readonly name: string;
  readonly #database: DatabaseLike;

  private constructor(database: DatabaseLike, name: string) {
    this.#database = database;
    this.name = name;
  }

  /** @param lost called when the browser closes the database, for example because it was deleted */
  static async open(name: string, lost: () => void): Promise<OutboxStore> {
    const request = browser.indexedDB!.open(name, VERSION);
    request.onupgradeneeded = () => {
      const database = request.result as DatabaseLike;
      const messages = database.createObjectStore(MESSAGES, { keyPath: 'seq', autoIncrement: true });
      messages.createIndex('id', 'id', { unique: true });
      database.createObjectStore(META);
    };
    const database = await resultOf(request) as DatabaseLike;
    database.onclose = lost;
    // The application deletes the database, or a later version needs another one.
    database.onversionchange = () => {
      database.close();
      lost();
    };
    const transaction = database.transaction(META, 'readwrite');
    const meta = transaction.objectStore(META);
    let outbox = await resultOf(meta.get('name'));
    if (typeof outbox !== 'string') {
      outbox = randomName();
      await resultOf(meta.put(outbox, 'name'));
    }
    return new OutboxStore(database, outbox as string);
  }

  close(): void { this.#database.close(); }

  async load(): Promise<OutboxRecord[]> {
    const transaction = this.#database.transaction(MESSAGES, 'readonly');
    return (await resultOf(transaction.objectStore(MESSAGES).getAll()) as unknown[]).filter(isRecordOfOutbox);
  }

  /** Adds a record. Resolves with its number. Rejects if the id is known. */
  async add(record: OutboxRecord): Promise<number> {
    return await this.#write(async (messages) => await resultOf(messages.add(record)) as number);
  }

  /**
   * Changes records. Those that another tab has removed are not written again.
   * @returns the records as they are stored now, without those that are gone
   */
  async change(records: readonly OutboxRecord[], change: (stored: OutboxRecord) => void): Promise<OutboxRecord[]> {
    return await this.#write(async (messages) => await Promise.all(records.map(async ({ seq }) => {
      const stored: unknown = await resultOf(messages.get(seq));
      if (!isRecordOfOutbox(stored)) return [];
      change(stored);
      await resultOf(messages.put(stored));
      return [stored];
    })).then((lists) => lists.flat()));
  }

  /**
   * Removes records.
   * @param isWanted decides by what is stored now
   * @returns the numbers of the removed ones
   */
  async remove(
    records: readonly OutboxRecord[], isWanted: (stored: OutboxRecord) => boolean = () => true,
  ): Promise<number[]> {
    return await this.#write(async (messages) => await Promise.all(records.map(async ({ seq }) => {
      const stored: unknown = await resultOf(messages.get(seq));
      if (!isRecordOfOutbox(stored) || !isWanted(stored)) return [];
      await resultOf(messages.delete(seq));
      return [seq!];
    })).then((lists) => lists.flat()));
  }

  /** Runs requests in one transaction. Resolves when it is complete. */
  async #write<T>(work: (messages: ObjectStoreLike) => Promise<T>): Promise<T> {
    const transaction = this.#database.transaction(MESSAGES, 'readwrite');
    const complete = new Promise<void>((resolve, reject) => {
      transaction.oncomplete = () => resolve();
      transaction.onabort = () => reject(transaction.error ?? new Error('the transaction was aborted'));
    });
    const [result] = await Promise.all([work(transaction.objectStore(MESSAGES)), complete]);
    return result;
  }
}

/** Whether a stored value has the form of a record: an older or other version may have written it. */
function isRecordOfOutbox(value: unknown): value is OutboxRecord {
  const { seq, id, type, frame, bytes, priority, queuedAt, expiresAt } = (value ?? {}) as Record<string, unknown>;
  return [seq, bytes, queuedAt, expiresAt].every((each) => typeof each === 'number')
    && [id, type, frame].every((each) => typeof each === 'string')
    && (priority === 'interactive' || priority === 'bulk');
}
