import type { ClientError } from './client-error.ts';
import type { ClientHost } from './client-part.ts';
import type { OutboxDatabase } from './outbox-database.ts';
import type { OutboxEntries, OutboxEntry } from './outbox-entries.ts';
import type { OutboxState } from './outbox-change.ts';
import type { OutboxRecord } from './outbox-store.ts';
import { TabLock } from './tab-lock.ts';

/** Messages that were written and not answered: well below the number of answers that a server remembers. */
const MAX_IN_FLIGHT = 32;
/** Milliseconds until messages are tried again for which the queue of the client had no room. */
const LOOK_AGAIN = 1_000;

interface SenderPort {
  readonly host: ClientHost;
  /** Reads the database again. */
  load(): Promise<void>;
  changed(entry: OutboxEntry, state: OutboxState, error?: ClientError): void;
  settle(entry: OutboxEntry, state: OutboxState, error?: ClientError): void;
  /** The database does not have it any more. */
  gone(entry: OutboxEntry): void;
}

/**
 * Sends the messages of an outbox over the present connection, in order. One tab sends those of all tabs. It writes to
 * the database that it is about to send a message before it does: so after a crash it is known which messages the
 * server may have handled.
 */
export class OutboxSender {
  readonly #database: OutboxDatabase;
  readonly #entries: OutboxEntries;
  readonly #port: SenderPort;
  readonly #lock = new TabLock();
  /** Changes with each connection: what was begun for an earlier one is ignored. */
  #generation = 0;
  #isUp = false;
  #isSender = false;
  #isPumping = false;
  #isPumpedAgain = false;

  constructor(database: OutboxDatabase, entries: OutboxEntries, port: SenderPort) {
    this.#database = database;
    this.#entries = entries;
    this.#port = port;
  }

  /** Whether this tab sends the messages of all tabs. */
  get isSender(): boolean { return this.#isSender; }

  /** The connection is open. @param lock the name of the lock of the tab that sends */
  begin(lock: string): void {
    this.#isUp = true;
    const generation = ++this.#generation;
    if (this.#database.store) this.#lock.wait(lock, () => void this.#becomeSender(generation));
    this.pump();
  }

  /** The connection is gone. Messages that were never written are as if they had not been tried. */
  async stop(): Promise<void> {
    if (!this.#isUp) return;
    this.#isUp = this.#isSender = false;
    this.#generation++;
    const unwritten: OutboxEntry[] = [];
    for (const entry of this.#entries.inOrder()) {
      if (!entry.isInFlight) continue;
      entry.isInFlight = false;
      if (this.#port.host.queue.cancel(entry.record.id) && !entry.isRepeat) unwritten.push(entry);
      this.#port.changed(entry, 'queued');
    }
    await this.#untry(unwritten);
    this.#lock.release();
  }

  /** Sends what may be sent now. */
  pump(): void {
    if (this.#isPumping) {
      this.#isPumpedAgain = true;
      return;
    }
    this.#isPumping = true;
    void this.#run().catch((error: unknown) => this.#database.failed(error)).finally(() => {
      this.#isPumping = false;
      if (!this.#isPumpedAgain) return;
      this.#isPumpedAgain = false;
      this.pump();
    });
  }

  /** Changes messages in the database and here. Returns those that are there. Rejects if it could not be written. */
  async change(entries: readonly OutboxEntry[], change: (record: OutboxRecord) => void): Promise<OutboxEntry[]> {
    const stored = entries.filter(({ isLocal }) => !isLocal);
    const { store } = this.#database;
    const changed = stored.length > 0 && store ? await store.change(stored.map(({ record }) => record), change) : [];
    const present = new Map(changed.map((record) => [record.id, record]));
    return entries.filter((entry) => {
      const record = present.get(entry.record.id);
      if (entry.isLocal) change(entry.record);
      else if (record) entry.record = record;
      return entry.isLocal || record !== undefined;
    });
  }

  async #becomeSender(generation: number): Promise<void> {
    try {
      // What other tabs have done until now.
      if (this.#database.store) await this.#port.load();
      if (generation !== this.#generation) return;
      this.#isSender = true;
      this.pump();
    } catch (error) {
      this.#database.failed(error);
    }
  }

  #isOpen(): boolean { return this.#isUp && this.#port.host.link.isOpen; }

  async #run(): Promise<void> {
    while (this.#isOpen()) {
      const generation = this.#generation;
      const batch = this.#entries.waiting(this.#isSender, MAX_IN_FLIGHT);
      const lost = batch.filter(({ record }) => this.#isLost(record));
      for (const entry of lost) await this.#loseTrack(entry);
      const repeats = batch.filter((entry) => entry.record.attemptedAt !== undefined && !lost.includes(entry));
      const tried = await this.#tryTo(batch.filter(({ record }) => record.attemptedAt === undefined));
      // State may have changed during the await; check it again.
      if (generation !== this.#generation || !this.#isOpen()) return await this.#untry(tried);
      const ready = batch.filter((entry) => this.#entries.get(entry.record.id) === entry);
      for (const entry of ready) {
        if (tried.includes(entry)) this.#write(entry, false);
        else if (repeats.includes(entry)) this.#write(entry, true);
      }
      if (tried.length + repeats.length + lost.length === 0) return;
    }
  }

  /** Notes in the database that messages are about to be sent. Returns those that may be sent. */
  async #tryTo(fresh: readonly OutboxEntry[]): Promise<OutboxEntry[]> {
    if (fresh.length === 0) return [];
    const [attemptedAt, scope] = [Date.now(), this.#scope];
    try {
      const present = await this.change(fresh, (record) => {
        record.attemptedAt ??= attemptedAt;
        record.scope ??= scope;
      });
      for (const entry of fresh) if (!present.includes(entry)) this.#port.gone(entry);
      // Another tab may have tried some before.
      return present.filter(({ record }) => record.attemptedAt === attemptedAt);
    } catch (error) {
      this.#database.failed(error);
    }
    // The database is full: what can be removed from it goes on in memory.
    const removed = await this.#database.store?.remove(fresh.map(({ record }) => record)) ?? [];
    const moved = fresh.filter(({ record, isLocal }) => isLocal || removed.includes(record.seq!));
    for (const entry of moved) {
      entry.isLocal = true;
      Object.assign(entry.record, { attemptedAt, scope });
    }
    return moved;
  }

  async #untry(entries: readonly OutboxEntry[]): Promise<void> {
    if (entries.length === 0) return;
    try {
      await this.change(entries, (record) => {
        delete record.attemptedAt;
        delete record.scope;
      });
    } catch (error) {
      // They count as tried: the server is asked.
      this.#database.failed(error);
    }
  }

  #write(entry: OutboxEntry, isRepeat: boolean): void {
    const { id, type, frame, bytes, priority, attemptedAt } = entry.record;
    const generation = this.#generation;
    entry.isInFlight = true;
    entry.isRepeat = isRepeat;
    this.#port.changed(entry, 'sent');
    const sent = this.#port.host.queue.add({
      id, type, frame, bytes, priority, until: 'ack', retry: false, timeout: Infinity, signal: undefined,
      age: isRepeat ? () => Date.now() - attemptedAt! : undefined,
    });
    sent.then(
      () => this.#port.settle(entry, 'delivered'),
      (error: unknown) => this.#refused(entry, error as ClientError, generation),
    );
  }

  #refused(entry: OutboxEntry, error: ClientError, generation: number): void {
    // It was removed, or the connection is gone: then it waits for the next one.
    if (this.#entries.get(entry.record.id) !== entry || generation !== this.#generation) return;
    if (error.code === 'CONNECTION_CLOSED') return;
    entry.isInFlight = false;
    if (error.code === 'OUTCOME_UNKNOWN') return void this.#loseTrack(entry, error);
    if (error.code !== 'QUEUE_FULL' && error.code !== 'NOT_CONNECTED') return this.#port.settle(entry, 'failed', error);
    void this.#untry(entry.isRepeat ? [] : [entry]).then(() => setTimeout(() => this.pump(), LOOK_AGAIN));
  }

  /** Where the server remembers the messages of the present connection. */
  get #scope(): string {
    const { present, sessionId } = this.#port.host.recovery;
    if (!present) return 'nowhere';
    return present.outbox ? `outbox ${this.#database.store?.name}` : `session ${sessionId}`;
  }

  /** Whether nothing can tell any more whether the server handled a message. */
  #isLost({ attemptedAt, scope, expiresAt }: OutboxRecord): boolean {
    if (attemptedAt === undefined) return false;
    const { answerWindow } = this.#port.host.recovery;
    if (answerWindow === undefined || scope !== this.#scope) return true;
    const now = Date.now();
    // Before: the clock was set back.
    return now < attemptedAt || now > attemptedAt + answerWindow || now > expiresAt;
  }

  async #loseTrack(entry: OutboxEntry, cause?: ClientError): Promise<void> {
    const { id, type } = entry.record;
    entry.record.isUnknown = true;
    await this.change([entry], (record) => { record.isUnknown = true; })
      .catch((error: unknown) => this.#database.failed(error));
    const text = `it is unknown whether the server handled ${type}; retry or discard it`;
    this.#port.changed(entry, 'unknown', this.#port.host.fail('OUTCOME_UNKNOWN', text, { id }, cause));
  }
}
