import { ModuleError, type Connection } from '../../src/index.ts';
import type { Found, SessionStore } from './session-store.ts';
import type { Session } from './session.ts';

/** Maximum number of attempts, if other connections take the same session over at the same time. */
const MAX_ATTEMPTS = 8;

/** What TakeOver uses of the sessions of this node. */
export interface TakeOverHost {
  find(id: string): Session | undefined;
  /** Closes the connection of a session, and keeps the session for the next one. */
  release(session: Session): void;
  /** The session of a document. */
  create(id: string, found: Found): Session;
  /** Frees a session of create() that is not used. */
  discard(session: Session): void;
  /** Keeps a session for the next connection, because its connection was closed during the call. */
  keep(session: Session, actor: Connection): void;
}

/**
 * TakeOver gives sessions to connections of this node, through the shared store. The older connection is closed first,
 * on any node. A node that does not answer within a second is dead or does not run at present, so TakeOver goes on. The
 * next write of that node is refused, and then that node closes its connection.
 */
export class TakeOver {
  readonly #store: SessionStore;
  readonly #host: TakeOverHost;

  constructor(store: SessionStore, host: TakeOverHost) {
    this.#store = store;
    this.#host = host;
  }

  /**
   * Makes a connection the owner of a session. Returns `undefined` for a session that is unknown, has expired, or
   * belongs to another user.
   * @param install called in the same step in which the connection becomes the owner
   * @throws STORE_UNAVAILABLE, LEASE_LOST
   */
  async take(
    connection: Connection, id: string, install: (session: Session) => void,
  ): Promise<Session | undefined> {
    /** The versions whose owner was asked to close its connection. */
    const asked = new Set<string>();
    for (let attempt = 0; attempt < MAX_ATTEMPTS && connection.isOpen; attempt++) {
      const known = this.#host.find(id);
      if (known?.owner === connection) return known;
      const session = known ? await this.#ready(known, connection) : await this.#read(id, connection, asked);
      if (session === undefined) return undefined;
      if (session === 'again') continue;
      const outcome = { isInstalled: false };
      const taken = (): void => {
        // State may have changed during the await; check it again.
        outcome.isInstalled = connection.isOpen && session.userId === connection.user?.id;
        if (outcome.isInstalled) install(session);
        else this.#host.keep(session, connection);
      };
      try {
        if (await this.#store.take(session, connection, taken)) return outcome.isInstalled ? session : undefined;
      } catch (error) {
        if (!known) this.#host.discard(session);
        throw error;
      }
      // Another connection was faster, or the session was changed elsewhere.
      if (!known) this.#host.discard(session);
      else if (this.#host.find(id) === known && !known.writing) await this.#store.compare(known);
    }
    return undefined;
  }

  /** Prepares a session that this node knows: closes its connection, and waits until it is written. */
  async #ready(session: Session, connection: Connection): Promise<Session | 'again' | undefined> {
    if (session.userId !== connection.user?.id) return undefined;
    if (session.owner) this.#host.release(session);
    await this.#store.settled(session);
    if (!this.#isFree(session)) return 'again';
    if (session.version !== undefined) return session;
    await this.#store.compare(session);
    await this.#store.settled(session);
    if (!this.#isFree(session) || this.#isKnown(session)) return 'again';
    throw new ModuleError('STORE_UNAVAILABLE', { store: 'shared', action: 'take a session' });
  }

  // State may have changed during an await, which the compiler does not know.
  #isFree(session: Session): boolean { return this.#host.find(session.id) === session && !session.owner; }

  #isKnown({ version }: Session): boolean { return version !== undefined; }

  /** Reads a session that another node has written. `again`: asked that node to hand it over; read it again. */
  async #read(id: string, { user }: Connection, asked: Set<string>): Promise<Session | 'again' | undefined> {
    const found = await this.#store.read(id);
    if (!found || found.left.userId !== user?.id) return undefined;
    if (found.connection !== null && !asked.has(found.version)) {
      asked.add(found.version);
      await this.#store.askFor(id, found);
      return 'again';
    }
    const session = this.#host.create(id, found);
    try {
      await this.#store.answers.load(session.answers);
      return session;
    } catch (error) {
      this.#host.discard(session);
      throw error;
    }
  }
}
