import {
  hasCode, isStoreUnavailable, type Channel, type Connection, type PluginContext, type SharedStore, type Versioned,
} from '../../src/index.ts';
import type { RecoverySettings } from './recovery-options.ts';
import { fromDocument, toDocument, type SessionDocument } from './session-document.ts';
import type { Session } from './session.ts';
import { StoredAnswers } from './stored-answers.ts';

/** Milliseconds between two looks at the documents of all sessions of this node. */
const LOOK_INTERVAL = 30_000;
/** Milliseconds for which a document outlives its last renewal, beside `sessionTtl`. */
const CONNECTED_TTL = 2 * LOOK_INTERVAL;
/** Milliseconds after which what failed is repeated. */
const RETRY_INTERVAL = 1_000;
/** Number of documents that are read and written at once. */
const MAX_AT_ONCE = 200;
/** Milliseconds for which another node may take to hand a session over. */
const HAND_OVER_TIMEOUT = 1_000;

/** A session that another node wants, from this connection of this node. */
interface HandOver { readonly session?: unknown; readonly connection?: unknown }

/** What the store uses of the sessions of this node. */
export interface SessionStoreHost {
  /** The sessions of this node: those of connected clients, and those that it keeps. */
  sessions(): readonly Session[];
  find(id: string): Session | undefined;
  /** The topics to which a connection has subscribed. */
  subscribed(connection: Connection): Iterable<string>;
  /** Closes the connection of a session, and keeps the session for the next one. */
  release(session: Session): void;
  /** Forgets a session that another node has taken over, and closes its connection. */
  replaced(session: Session): void;
}

/** A session in the store. */
export interface Found extends SessionDocument { readonly version: string }

/**
 * SessionStore keeps a document of each session in the shared store. Taking a session over is a compare-and-set on the
 * version of its document; so the writes of an earlier owner are refused. Changes are written in the background.
 */
export class SessionStore {
  readonly answers: StoredAnswers;
  readonly #context: PluginContext;
  readonly #store: SharedStore;
  readonly #settings: RecoverySettings;
  readonly #host: SessionStoreHost;
  readonly #channel: Channel<HandOver, boolean>;
  /** Sessions whose last write failed. */
  readonly #due = new Set<Session>();
  #isDueSoon = false;
  #isLooking = false;

  constructor(context: PluginContext, store: SharedStore, settings: RecoverySettings, host: SessionStoreHost) {
    this.#context = context;
    this.#store = store;
    this.#settings = settings;
    this.#host = host;
    this.answers = new StoredAnswers(context, store, settings);
    this.#channel = context.channel<HandOver, boolean>('hand-over', (asked) => this.#handOver(asked));
    store.watch((key) => {
      const session = key === undefined ? undefined : host.find(key);
      // A notice of this node comes while it writes.
      if (session && !session.writing) this.#lookSoon(session);
    });
    context.seats({ enterAgain: () => this.#lookAt(host.sessions()) });
    context.every(RETRY_INTERVAL, () => this.#lookAtDue());
    context.every(LOOK_INTERVAL, () => this.#guard(() => this.#lookAtAll()));
  }

  /** Milliseconds since the epoch, by the clock of the store. */
  now(): number { return this.#store.now(); }

  /** Writes a session in the background. */
  write(session: Session): void {
    session.isChanged = true;
    session.writing ??= this.#write(session);
  }

  /** Resolves when a session and its answers are written, or have failed to be. */
  async settled(session: Session): Promise<void> {
    await session.writing;
    await this.answers.written(session.answers.scope);
  }

  /** Compares a session with the store, because the outcome of a write is unknown. @throws STORE_UNAVAILABLE */
  look(session: Session): Promise<void> { return this.#lookAt([session]); }

  /** Called when the plugin is unloaded. Resolves when what can be written is written. */
  async finish(sessions: readonly Session[]): Promise<void> {
    const settle = async (): Promise<unknown> => Promise.all(sessions.map((session) => this.settled(session)));
    await settle();
    // A write may have been refused only because an earlier one was in doubt.
    await this.#lookAtDue();
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

  /** Forgets a session that another node has. */
  drop(session: Session): void { this.#due.delete(session); }

  /** @throws STORE_UNAVAILABLE, LEASE_LOST */
  async read(id: string): Promise<Found | undefined> {
    const [found] = await this.#store.get([id]);
    const document = fromDocument(found?.value);
    return document && { ...document, version: found!.version };
  }

  /**
   * Makes a connection the owner of a session, if nothing has changed since it was read. Returns whether it is now.
   * @param taken called at once when it is
   * @throws STORE_UNAVAILABLE, LEASE_LOST
   */
  async take(session: Session, owner: Connection, taken: () => void): Promise<boolean> {
    const taking = this.#take(session, owner, taken);
    // Other writes of the session wait.
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
    // Gathers the changes of one turn.
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
      if (hasCode(error, 'STORE_CONFLICT')) this.#lookSoon(session);
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
    // The write was refused, because an earlier one was in doubt.
    if (session.isChanged) await this.look(session);
    await this.settled(session);
    return true;
  }

  // Comparing with the store

  #lookSoon(session: Session): void {
    this.#due.add(session);
    if (this.#isDueSoon || this.#context.signal.aborted) return;
    this.#isDueSoon = true;
    this.#context.after(0, () => {
      this.#isDueSoon = false;
      void this.#lookAtDue();
    });
  }

  async #lookAtDue(): Promise<void> {
    if (this.#isLooking || this.#due.size === 0) return;
    this.#isLooking = true;
    const due = [...this.#due];
    this.#due.clear();
    try {
      await this.#lookAt(due);
    } catch (error) {
      // They are looked at again at the next interval.
      for (const session of due) this.#due.add(session);
      if (!isStoreUnavailable(error)) this.#context.report(error);
    } finally {
      this.#isLooking = false;
    }
  }

  /** Looks at all sessions, and renews those of connected clients. */
  async #lookAtAll(): Promise<void> {
    const sessions = this.#host.sessions();
    await this.#lookAt(sessions);
    const owned = sessions.filter(({ owner }) => owner).map(({ id }) => id);
    for (let from = 0; from < owned.length; from += MAX_AT_ONCE) {
      await this.#store.touch(owned.slice(from, from + MAX_AT_ONCE), this.#connectedTtl);
    }
  }

  /** Compares sessions with the store. @throws STORE_UNAVAILABLE, LEASE_LOST */
  async #lookAt(sessions: readonly Session[]): Promise<void> {
    for (let from = 0; from < sessions.length; from += MAX_AT_ONCE) {
      const some = sessions.slice(from, from + MAX_AT_ONCE);
      await Promise.all(some.map(async ({ writing }) => writing));
      const found = await this.#store.get(some.map(({ id }) => id));
      for (const [index, session] of some.entries()) this.#compare(session, found[index]);
    }
  }

  #compare(session: Session, found: Versioned | undefined): void {
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
