import {
  hasCode, isStoreUnavailable, type Channel, type Connection, type PluginContext, type SharedStore, type Versioned,
} from '../../src/index.ts';
import type { RecoverySettings } from './recovery-options.ts';
import { fromDocument, toDocument, type SessionDocument } from './session-document.ts';
import type { Session } from './session.ts';
import { StoredAnswers } from './stored-answers.ts';

/** Milliseconds between two comparisons of all sessions of this node with their documents. */
const COMPARE_INTERVAL = 30_000;
/** Milliseconds beyond `sessionTtl` for which the document of a connected client stays after its last renewal. */
const CONNECTED_TTL = 2 * COMPARE_INTERVAL;
/** Milliseconds after which a failed write is repeated. */
const RETRY_INTERVAL = 1_000;
/** Number of documents that are read and written at once. */
const MAX_AT_ONCE = 200;
/** Milliseconds for which another node may take to hand a session over. */
const HAND_OVER_TIMEOUT = 1_000;

/** A request of another node: close this connection of the session, and write the session. */
interface HandOver { readonly session?: unknown; readonly connection?: unknown }

/** What the store uses of the sessions of this node. */
export interface SessionStoreHost {
  /** The sessions of this node: those of connected clients, and those that it keeps. */
  sessions(): readonly Session[];
  find(id: string): Session | undefined;
  /** The topics to which a connection has subscribed. */
  subscribed(connection: Connection): Iterable<string>;
  /** Closes the connection of a session. The session stays, for the next connection. */
  release(session: Session): void;
  /** Forgets a session that another node has taken over, and closes its connection. */
  replaced(session: Session): void;
}

/** A session in the store. */
export interface Found extends SessionDocument { readonly version: string }

/**
 * SessionStore keeps a document of each session in the shared store. Each write names the version that it replaces. So
 * after another node has taken a session over, the writes of the earlier node are refused. Changes are written in the
 * background.
 */
export class SessionStore {
  readonly answers: StoredAnswers;
  readonly #context: PluginContext;
  readonly #store: SharedStore;
  readonly #settings: RecoverySettings;
  readonly #host: SessionStoreHost;
  readonly #channel: Channel<HandOver, boolean>;
  /** Sessions to compare with their documents soon: their last write failed, or their document has changed. */
  readonly #due = new Set<Session>();
  #isDueSoon = false;
  #isComparing = false;

  constructor(context: PluginContext, store: SharedStore, settings: RecoverySettings, host: SessionStoreHost) {
    this.#context = context;
    this.#store = store;
    this.#settings = settings;
    this.#host = host;
    this.answers = new StoredAnswers(context, store, settings);
    this.#channel = context.channel<HandOver, boolean>('hand-over', (asked) => this.#handOver(asked));
    store.watch((key) => {
      const session = key === undefined ? undefined : host.find(key);
      // While this node writes, the notice is that of its own write.
      if (session && !session.writing) this.#compareSoon(session);
    });
    context.seats({ enterAgain: () => this.#compareSome(host.sessions()) });
    context.every(RETRY_INTERVAL, () => this.#compareDue());
    context.every(COMPARE_INTERVAL, () => this.#guard(() => this.#compareAll()));
  }

  /** Milliseconds since the epoch, by the clock of the store. */
  now(): number { return this.#store.now(); }

  /** Writes a session in the background. */
  write(session: Session): void {
    session.isChanged = true;
    session.writing ??= this.#write(session);
  }

  /** Resolves when the running writes of a session and its answers have ended, also if they failed. */
  async settled(session: Session): Promise<void> {
    await session.writing;
    await this.answers.written(session.answers.scope);
  }

  /** Compares a session with the store, because the outcome of a write is unknown. @throws STORE_UNAVAILABLE */
  compare(session: Session): Promise<void> { return this.#compareSome([session]); }

  /** Called when the plugin is unloaded. Resolves when all writes have ended. */
  async finish(sessions: readonly Session[]): Promise<void> {
    const settle = async (): Promise<unknown> => Promise.all(sessions.map((session) => this.settled(session)));
    await settle();
    // A write may have been refused only because the outcome of an earlier one was unknown.
    await this.#compareDue();
    await settle();
  }

  /** Deletes a session, unless another node has it. */
  forget(session: Session): void {
    this.#due.delete(session);
    if (session.answers.outboxOf === undefined) this.answers.drop(session.answers.scope);
    void this.#guard(async () => {
      await session.writing;
      if (session.version !== undefined) await this.#store.delete(session.id, { if: session.version });
    });
  }

  /** Writes no more for a session that another node has taken over. */
  drop(session: Session): void { this.#due.delete(session); }

  /** @throws STORE_UNAVAILABLE, LEASE_LOST */
  async read(id: string): Promise<Found | undefined> {
    const [found] = await this.#store.get([id]);
    const document = fromDocument(found?.value);
    return document && { ...document, version: found!.version };
  }

  /**
   * Makes a connection the owner of a session, if its document has not changed since it was read. Returns whether the
   * connection is the owner now.
   * @param taken called at once when the connection is the owner
   * @throws STORE_UNAVAILABLE, LEASE_LOST
   */
  async take(session: Session, owner: Connection, taken: () => void): Promise<boolean> {
    const taking = this.#take(session, owner, taken);
    // Other writes of the session wait for this one.
    const writing = session.writing = taking.then(() => undefined, () => undefined);
    try {
      return await taking;
    } finally {
      if (session.writing === writing) session.writing = undefined;
      if (session.isChanged) this.write(session);
    }
  }

  async #take(session: Session, owner: Connection, taken: () => void): Promise<boolean> {
    const { version } = session;
    // Until the answer arrives, it is unknown whether it was written.
    session.version = undefined;
    try {
      const options = { if: version ?? 'absent', ttl: this.#connectedTtl };
      session.version = await this.#store.put(session.id, this.#encode(session, owner), options);
      taken();
      return true;
    } catch (error) {
      if (hasCode(error, 'STORE_CONFLICT')) return false;
      this.#due.add(session);
      throw error;
    }
  }

  /** Asks the node of the present owner to close its connection, and to write what it knows. */
  async askFor(id: string, { node, connection }: Found): Promise<void> {
    await this.#channel.ask({ session: id, connection }, { node, timeout: HAND_OVER_TIMEOUT });
  }

  get #connectedTtl(): number { return this.#settings.sessionTtl + CONNECTED_TTL; }

  #encode(session: Session, owner: Connection | undefined) {
    return toDocument(session, owner, owner ? this.#host.subscribed(owner) : [], {
      node: this.#context.node.id, now: this.#store.now(), report: (error) => this.#context.report(error),
    });
  }

  async #write(session: Session): Promise<void> {
    // Writes the changes of one turn together.
    await Promise.resolve();
    try {
      while (session.isChanged) {
        session.isChanged = false;
        const { owner, version } = session;
        const ttl = owner ? this.#connectedTtl : this.#settings.sessionTtl;
        session.version = undefined;
        const document = this.#encode(session, owner);
        session.version = await this.#store.put(session.id, document, { if: version ?? 'absent', ttl });
      }
    } catch (error) {
      session.isChanged = true;
      this.#due.add(session);
      // Another node has taken the session over, or the document has expired.
      if (hasCode(error, 'STORE_CONFLICT')) this.#compareSoon(session);
      else if (!isStoreUnavailable(error)) this.#context.report(error);
    } finally {
      session.writing = undefined;
    }
  }

  async #handOver({ session: id, connection }: HandOver): Promise<boolean> {
    const session = typeof id === 'string' ? this.#host.find(id) : undefined;
    if (!session) return false;
    if (session.owner?.id === connection) this.#host.release(session);
    await this.settled(session);
    // The write was refused, because the outcome of an earlier one was unknown.
    if (session.isChanged) await this.compare(session);
    await this.settled(session);
    return true;
  }

  // Comparing with the store

  #compareSoon(session: Session): void {
    this.#due.add(session);
    if (this.#isDueSoon || this.#context.signal.aborted) return;
    this.#isDueSoon = true;
    this.#context.after(0, () => {
      this.#isDueSoon = false;
      void this.#compareDue();
    });
  }

  async #compareDue(): Promise<void> {
    if (this.#isComparing || this.#due.size === 0) return;
    this.#isComparing = true;
    const due = [...this.#due];
    this.#due.clear();
    try {
      await this.#compareSome(due);
    } catch (error) {
      // They are compared again at the next interval.
      for (const session of due) this.#due.add(session);
      if (!isStoreUnavailable(error)) this.#context.report(error);
    } finally {
      this.#isComparing = false;
    }
  }

  /** Compares all sessions with the store, and renews the documents of connected clients. */
  async #compareAll(): Promise<void> {
    const sessions = this.#host.sessions();
    await this.#compareSome(sessions);
    const owned = sessions.filter(({ owner }) => owner).map(({ id }) => id);
    for (let from = 0; from < owned.length; from += MAX_AT_ONCE) {
      await this.#store.touch(owned.slice(from, from + MAX_AT_ONCE), this.#connectedTtl);
    }
  }

  /** Compares sessions with the store. @throws STORE_UNAVAILABLE, LEASE_LOST */
  async #compareSome(sessions: readonly Session[]): Promise<void> {
    for (let from = 0; from < sessions.length; from += MAX_AT_ONCE) {
      const some = sessions.slice(from, from + MAX_AT_ONCE);
      await Promise.all(some.map(async ({ writing }) => writing));
      const found = await this.#store.get(some.map(({ id }) => id));
      for (const [index, session] of some.entries()) this.#update(session, found[index]);
    }
  }

  /** Writes a session whose document is missing or outdated. Gives up a session that another node has. */
  #update(session: Session, found: Versioned | undefined): void {
    // State may have changed during the await.
    if (this.#host.find(session.id) !== session || session.writing) return;
    const { node, connection = null } = fromDocument(found?.value) ?? {};
    if (node !== undefined && node !== this.#context.node.id) return this.#host.replaced(session);
    session.version = found?.version;
    if (!found || session.isChanged || connection !== (session.owner?.id ?? null)) this.write(session);
  }

  async #guard(work: () => Promise<void>): Promise<void> {
    try {
      await work();
    } catch (error) {
      // What failed is repeated; a document that has another version belongs to another node.
      if (!isStoreUnavailable(error) && !hasCode(error, 'STORE_CONFLICT')) this.#context.report(error);
    }
  }
}
