import { ownerOf, unref } from './browser-globals.ts';
import type { ClientError, ClientErrorCode } from './client-error.ts';
import type { ClientHost, OutboxPart } from './client-part.ts';
import type { OutgoingMessage } from './frames.ts';
import { OutboxDatabase, type Notice } from './outbox-database.ts';
import { OutboxEntries, stateOf, type OutboxEntry } from './outbox-entries.ts';
import type { OutboxChange, OutboxState } from './outbox-change.ts';
import type { OutboxMessage } from './outbox-message.ts';
import { OutboxSender } from './outbox-sender.ts';
import type { OutboxRecord } from './outbox-store.ts';
import type { QueueItem } from './send-queue.ts';

export interface OutboxSettings {
  readonly enabled: boolean;
  readonly key: string;
  readonly maxMessages: number;
  readonly maxBytes: number;
  readonly ttl: number;
}

/** Milliseconds in which another tab tells what became of a message that is not in the database any more. */
const NEWS = 1_000;

/** The messages of one user that outlive the page. */
export class Outbox implements OutboxPart {
  readonly #settings: OutboxSettings;
  readonly #entries = new OutboxEntries();
  readonly #database: OutboxDatabase;
  readonly #sender: OutboxSender;
  /** Messages that are not in the database any more, while their callers wait for news of them. */
  readonly #gone = new Map<string, OutboxEntry>();
  #host!: ClientHost;
  #name = '';
  #expiry: ReturnType<typeof setTimeout> | undefined;

  constructor(settings: OutboxSettings) {
    this.#settings = settings;
    const database = this.#database = new OutboxDatabase({
      opened: () => this.#load(),
      noticed: (notice) => this.#noticed(notice),
      lost: () => this.#lost(),
      failed: (cause) => {
        const text = 'messages cannot be stored: those that are written now do not outlive the page';
        this.#host.emit('error', this.#fail('STORAGE_FAILED', text, { storage: 'indexeddb' }, cause));
      },
      left: () => this.#sender.stop(),
    });
    const outbox = (): ClientHost => this.#host;
    this.#sender = new OutboxSender(database, this.#entries, {
      get host() { return outbox(); },
      load: () => this.#load(),
      changed: (entry, state, error) => this.#changed(entry, state, error),
      settle: (entry, state, error) => this.#settle(entry, state, error),
      gone: (entry) => this.#waitForNews(entry),
    });
  }

  /** Under this name, the server recognizes repeated messages of the user. `undefined` if there is no database. */
  get name(): string | undefined { return this.#database.store?.name; }
  /** Messages that are not settled, also those whose outcome is unknown. */
  get size(): number { return this.#entries.size; }
  /** Bytes of these messages. */
  get bytes(): number { return this.#entries.bytes; }

  /** The messages that are not settled, in their order; also those that an earlier page or another tab has written. */
  async entries(): Promise<OutboxMessage[]> {
    await this.#open();
    return this.#entries.inOrder().map((entry) => {
      const { id, type, frame, bytes, queuedAt } = entry.record;
      return { id, type, bytes, queuedAt, message: JSON.parse(frame) as OutgoingMessage, state: stateOf(entry) };
    });
  }

  /** Sends a message again whose outcome is unknown. Returns whether there is one. The server may handle it twice. */
  async retry(id: string): Promise<boolean> {
    await this.#open();
    const entry = this.#entries.get(id);
    if (!entry?.record.isUnknown) return false;
    const now = Date.now();
    await this.#sender.change([entry], (record) => {
      delete record.attemptedAt;
      delete record.scope;
      delete record.isUnknown;
      record.expiresAt += now - record.queuedAt;
      record.queuedAt = now;
    });
    this.#changed(entry, 'queued');
    this.#expire();
    this.#sender.pump();
    return true;
  }

  /** Removes a message. Returns whether there was one. A message that was sent may still take effect. */
  async discard(id: string): Promise<boolean> {
    await this.#open();
    const entry = this.#entries.get(id);
    if (entry) this.#discard(entry, this.#fail('CANCELLED', 'the message was cancelled'));
    return entry !== undefined;
  }

  /** Removes all messages of the user. */
  async clear(): Promise<void> {
    await this.#open();
    for (const { record } of this.#entries.inOrder()) await this.discard(record.id);
  }

  attach(host: ClientHost): void {
    this.#host = host;
    this.#name = ownerOf(this.#settings.key, host);
  }

  async ready(): Promise<void> {
    if (!this.#settings.enabled) return;
    await this.#open();
    this.#host.recovery.outbox = this.name;
  }

  add(item: QueueItem): Promise<void> {
    if (!this.#settings.enabled) return this.#host.queue.add(item);
    const { id, type, frame, bytes, priority, timeout, signal } = item;
    const { maxMessages, maxBytes, ttl } = this.#settings;
    const { size } = this;
    const aborted = (): ClientError => this.#fail('ABORTED', 'the message was aborted', {}, signal!.reason as unknown);
    if (signal?.aborted) return Promise.reject(aborted());
    if (this.#entries.get(id)) {
      return Promise.reject(this.#fail('MESSAGE_INVALID', `a message with the id ${id} is not settled yet`));
    }
    if (size >= maxMessages || this.bytes + bytes > maxBytes) {
      const details = { size, bytes: this.bytes };
      return Promise.reject(this.#fail('QUEUE_FULL', `the outbox is full (${size} messages)`, details));
    }
    const queuedAt = Date.now();
    const entry = this.#entries.add({
      id, type, frame: frame as string, bytes, priority, queuedAt, expiresAt: queuedAt + Math.min(timeout, ttl),
    });
    const onAbort = (): void => this.#discard(entry, aborted());
    signal?.addEventListener('abort', onAbort);
    entry.settled = () => signal?.removeEventListener('abort', onAbort);
    void this.#store(entry);
    return new Promise<void>((resolve, reject) => { entry.caller = { resolve, reject }; });
  }

  up(): void {
    if (!this.#settings.enabled) return;
    const { recovery: { present }, user } = this.#host;
    if (!present || (present.userId ?? '') === user) return this.#sender.begin(`${this.#name}:sender`);
    const text = 'nothing is sent from the outbox, which belongs to another user than the connection; set state.user';
    this.#host.emit('error', this.#fail('USER_MISMATCH', text, { user }));
  }

  down(): void { void this.#sender.stop(); }

  end({ code, message }: ClientError): void {
    const stopped = this.#sender.stop();
    for (const { record: { id, type }, isLocal, caller, settled } of this.#entries.inOrder()) {
      const text = isLocal ? message : `${message}; the outbox keeps ${type}`;
      caller?.reject(this.#fail(code as ClientErrorCode, text, { id, isKept: !isLocal }));
      settled?.();
    }
    this.#entries.clear();
    clearTimeout(this.#expiry);
    void stopped.then(() => this.#database.close());
  }

  #open(): Promise<void> {
    return this.#settings.enabled ? this.#database.open(this.#name) : Promise.resolve();
  }

  async #load(): Promise<void> {
    for (const entry of this.#entries.merge(await this.#database.store!.load())) this.#waitForNews(entry);
    this.#expire();
  }

  /** Another tab has removed a message, and tells what became of it. */
  #waitForNews(entry: OutboxEntry): void {
    const { id } = entry.record;
    this.#entries.delete(entry);
    if (!entry.caller) return;
    this.#gone.set(id, entry);
    setTimeout(() => {
      if (!this.#gone.delete(id)) return;
      this.#ended(entry, 'failed', this.#fail('CANCELLED', 'another tab has removed the message'));
    }, NEWS);
  }

  /** The browser has closed or deleted the database. What this tab knows is kept in memory. */
  #lost(): void {
    for (const entry of this.#entries.inOrder()) if (this.#sender.isSender || entry.caller) entry.isLocal = true;
    this.#sender.pump();
  }

  /** Writes a new message to the database, or keeps it in memory if that fails. */
  async #store(entry: OutboxEntry): Promise<void> {
    const { record } = entry;
    await this.#open();
    const { store } = this.#database;
    try {
      if (store) {
        record.seq = await store.add({ ...record });
        entry.isStored = true;
      }
    } catch (error) {
      this.#database.failed(error);
    }
    // It may have been removed during the await.
    if (entry.isDiscarded) return void store?.remove([record]).catch((error: unknown) => this.#database.failed(error));
    if (this.#entries.get(record.id) !== entry) return;
    if (entry.isStored) this.#database.post({ kind: 'added', record });
    else this.#entries.keepLocally(entry);
    this.#expire();
    this.#sender.pump();
  }

  #discard(entry: OutboxEntry, error: ClientError): void {
    entry.isDiscarded = true;
    this.#settle(entry, 'failed', error);
    if (entry.isInFlight) this.#host.queue.cancel(entry.record.id);
  }

  #settle(entry: OutboxEntry, state: OutboxState, error?: ClientError): void {
    if (!this.#entries.delete(entry)) return;
    const { store } = this.#database;
    if (entry.isStored && !entry.isLocal) {
      store?.remove([entry.record]).catch((failure: unknown) => this.#database.failed(failure));
      const { code, message, details } = error ?? {};
      const told = error && { code: code!, message: message!, details: { ...details } };
      this.#database.post({ kind: 'removed', id: entry.record.id, state, error: told });
    }
    this.#ended(entry, state, error);
    this.#sender.pump();
  }

  #ended(entry: OutboxEntry, state: OutboxState, error?: ClientError): void {
    entry.settled?.();
    if (error) entry.caller?.reject(error);
    else entry.caller?.resolve();
    this.#emit(entry, state, error);
  }

  #changed(entry: OutboxEntry, state: OutboxState, error?: ClientError): void {
    if (entry.isStored && !entry.isLocal) this.#database.post({ kind: 'changed', record: entry.record });
    this.#emit(entry, state, error);
  }

  #emit(entry: OutboxEntry, state: OutboxState, error?: ClientError): void {
    const { id, type } = entry.record;
    if (state === 'unknown') {
      // From now on, the application decides.
      entry.caller?.reject(error ?? this.#fail('OUTCOME_UNKNOWN', `it is unknown whether ${type} was handled`, { id }));
      entry.caller = undefined;
    }
    this.#host.emit('outbox', { id, type, state, error } satisfies OutboxChange);
  }

  #noticed(notice: Notice): void {
    if (notice.kind === 'removed') return this.#removed(notice);
    const { kind, record } = notice;
    const entry = this.#entries.get(record.id);
    if (kind === 'added') {
      if (entry) return;
      this.#entries.addStored(record);
      this.#expire();
    } else if (entry && !entry.isLocal && !entry.isInFlight) {
      entry.record = record;
      this.#emit(entry, record.attemptedAt === undefined || record.isUnknown ? stateOf(entry) : 'sent');
    }
    this.#sender.pump();
  }

  #removed({ id, state, error }: Extract<Notice, { kind: 'removed' }>): void {
    const entry = this.#entries.get(id) ?? this.#gone.get(id);
    if (!entry || entry.isLocal) return;
    this.#entries.delete(entry);
    this.#gone.delete(id);
    if (entry.isInFlight) this.#host.queue.cancel(id);
    this.#ended(entry, state, error && this.#fail(error.code as ClientErrorCode, error.message, { ...error.details }));
  }

  /** Removes messages that could not be sent in time, and waits for the next one that may be. */
  #expire(): void {
    clearTimeout(this.#expiry);
    const next = this.#entries.nextExpiry();
    if (next === undefined) return;
    const left = Math.min(Math.max(next - Date.now(), 0) + 1, 2 ** 31 - 1);
    this.#expiry = setTimeout(() => void this.#removeExpired(), left);
    unref(this.#expiry);
  }

  async #removeExpired(): Promise<void> {
    const { store } = this.#database;
    const expired = this.#entries.expired(Date.now());
    const stored = expired.filter(({ isLocal }) => !isLocal).map(({ record }) => record);
    const isUntried = ({ attemptedAt }: OutboxRecord): boolean => attemptedAt === undefined;
    try {
      const removed = await store?.remove(stored, isUntried) ?? [];
      for (const entry of expired.filter(({ isLocal, record }) => isLocal || removed.includes(record.seq!))) {
        const { type, queuedAt, expiresAt } = entry.record;
        const text = `${type} could not be sent within ${expiresAt - queuedAt} ms`;
        this.#settle(entry, 'failed', this.#fail('MESSAGE_EXPIRED', text));
      }
      // Another tab has tried or removed the others meanwhile.
      if (store && removed.length < stored.length) await this.#load();
      else this.#expire();
    } catch (error) {
      this.#database.failed(error);
    }
  }

  #fail(...args: Parameters<ClientHost['fail']>): ClientError { return this.#host.fail(...args); }
}
