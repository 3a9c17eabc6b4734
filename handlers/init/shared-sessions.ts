import {
  askNode, hasCode, isRecord, LocalShare, type Channel, type Connection, type Json, type PluginContext,
  type SharedStore,
} from '../../src/index.ts';

/** How often a session is read again because another node changed it at the same time. */
const MAX_ATTEMPTS = 3;
/** Minimum milliseconds for which the store keeps the session of a connected client, unless it is renewed. */
const MIN_KEPT = 60_000;
/** Milliseconds between two attempts to repeat what failed. */
const RETRY_INTERVAL = 1_000;
/** Number of sessions that are renewed at once. */
const MAX_AT_ONCE = 200;

/** A session of a connected client of this node. */
interface Entry {
  readonly connection: Connection;
  /** The version that this node has written. */
  version: string | undefined;
  /** Whether the session must be compared with the store, because a write failed. */
  isDue: boolean;
  /** The last write: writes of one session run one after the other. */
  last: Promise<void>;
}

/** A session as the store has it. */
interface Stored { readonly user: string | null; readonly node: string; readonly connection: string }

/** What another node is told: this connection no longer has this session. */
interface Replaced { readonly session?: unknown; readonly connection?: unknown }

/** `away`: the store cannot be used, so only the sessions of this node are known. */
export type Resumed = 'resumed' | 'unknown' | 'away';

/** SharedSessions keeps sessions in the store, so that a client that reconnects to any node finds its session. */
export class SharedSessions {
  readonly #node: string;
  readonly #store: SharedStore;
  readonly #share: LocalShare;
  readonly #timeout: number;
  readonly #replaced: (sessionId: string, connectionId: string) => void;
  readonly #channel: Channel<Replaced, boolean>;
  readonly #report: (error: unknown) => void;
  readonly #entries = new Map<string, Entry>();

  /**
   * @param timeout milliseconds for which the session of a disconnected client is kept
   * @param replaced called when another connection has taken a session over
   */
  constructor(
    context: PluginContext,
    store: SharedStore,
    timeout: number,
    replaced: (sessionId: string, connectionId: string) => void,
  ) {
    this.#node = context.node.id;
    this.#store = store;
    this.#share = new LocalShare(context);
    this.#timeout = timeout;
    this.#replaced = replaced;
    this.#report = (error) => context.report(error);
    this.#channel = context.channel<Replaced, boolean>('replaced', ({ session, connection }) => {
      if (typeof session !== 'string' || typeof connection !== 'string') return false;
      this.#drop(session, connection);
      return true;
    });
    context.seats({ enterAgain: () => this.#compareAll([...this.#entries]) });
    context.every(Math.ceil(this.#ttl / 3), () => this.#guard(() => this.#touchAll()));
    context.every(RETRY_INTERVAL, () => this.#guard(() =>
      this.#compareAll([...this.#entries].filter(([, { isDue }]) => isDue))));
  }

  /** Milliseconds for which the session of a connected client is kept: if the node crashes, it can be resumed. */
  get #ttl(): number { return Math.max(this.#timeout, MIN_KEPT); }

  /** Stores the session of a connection in the background, because it is new or its user has changed. */
  put(connection: Connection): void {
    const { sessionId } = connection;
    let entry = this.#entries.get(sessionId);
    if (entry?.connection !== connection) {
      entry = { connection, version: undefined, isDue: false, last: Promise.resolve() };
      this.#entries.set(sessionId, entry);
    }
    this.#write(sessionId, entry, this.#ttl);
  }

  /** Takes over a session of the same user, on whatever node it was. */
  async resume(sessionId: string, connection: Connection): Promise<Resumed> {
    if (!sessionId.isWellFormed() || sessionId === '') return 'unknown';
    for (let attempt = 0; attempt < MAX_ATTEMPTS; attempt++) {
      if (this.#share.isNeeded) return 'away';
      try {
        const [found] = await this.#store.get([sessionId]);
        const stored = sessionOf(found?.value);
        if (!found || stored?.user !== userOf(connection)) return 'unknown';
        const value = this.#valueOf(connection);
        const version = await this.#store.put(sessionId, value, { if: found.version, ttl: this.#ttl });
        this.#share.succeeded();
        const entry = { connection, version, isDue: false, last: Promise.resolve() };
        if (connection.isOpen) this.#entries.set(sessionId, entry);
        this.#tellReplaced(sessionId, stored);
        return 'resumed';
      } catch (error) {
        // Another connection has taken it over: this one is newer.
        if (!hasCode(error, 'STORE_CONFLICT')) this.#share.failed(error);
      }
    }
    return 'unknown';
  }

  /** Whether a connection of this node has the session. Another one may take it over at any time. */
  isOf(sessionId: string, connection: Connection): boolean {
    return this.#entries.get(sessionId)?.connection === connection;
  }

  /** Called when the client of a connection has disconnected. Its session can be resumed for a while. */
  async leave(sessionId: string, connection: Connection): Promise<void> {
    const entry = this.#entries.get(sessionId);
    if (entry?.connection !== connection) return;
    this.#entries.delete(sessionId);
    this.#write(sessionId, entry, this.#timeout);
    await entry.last;
  }

  /** Deletes a session, unless another connection has it. */
  async forget(sessionId: string, connectionId: string): Promise<void> {
    const entry = this.#entries.get(sessionId);
    if (entry?.connection.id === connectionId) this.#entries.delete(sessionId);
    await entry?.last;
    await this.#guard(async () => {
      const [found] = await this.#store.get([sessionId]);
      if (found && sessionOf(found.value)?.connection === connectionId) {
        await this.#store.delete(sessionId, { if: found.version });
      }
    });
  }

  #write(sessionId: string, entry: Entry, ttl: number): void {
    const write = async (): Promise<void> => {
      try {
        const options = { if: entry.version ?? 'absent', ttl };
        entry.version = await this.#store.put(sessionId, this.#valueOf(entry.connection), options);
        this.#share.succeeded();
      } catch (error) {
        entry.isDue = true;
        if (!hasCode(error, 'STORE_CONFLICT')) this.#share.failed(error);
      }
    };
    entry.last = entry.last.then(write);
  }

  /** Runs work that is repeated later if it fails. */
  async #guard(work: () => Promise<void>): Promise<void> {
    try {
      await work();
    } catch (error) {
      if (!hasCode(error, 'STORE_CONFLICT')) this.#share.failed(error);
    }
  }

  async #touchAll(): Promise<void> {
    const keys = [...this.#entries.keys()];
    for (let from = 0; from < keys.length; from += MAX_AT_ONCE) {
      await this.#store.touch(keys.slice(from, from + MAX_AT_ONCE), this.#ttl);
    }
  }

  /** Compares sessions with the store: writes those that are missing, and drops those that others have taken over. */
  async #compareAll(all: readonly (readonly [sessionId: string, entry: Entry])[]): Promise<void> {
    for (let from = 0; from < all.length; from += MAX_AT_ONCE) {
      const some = all.slice(from, from + MAX_AT_ONCE);
      const found = await this.#store.get(some.map(([sessionId]) => sessionId));
      await Promise.all(some.map(async ([sessionId, entry], index) => {
        // The client may have left, or resumed another session, during the await.
        if (this.#entries.get(sessionId) !== entry) return;
        const stored = sessionOf(found[index]?.value);
        const isOwn = stored?.connection === entry.connection.id;
        // A session of this node may have been resumed while the store could not be used.
        if (stored && !isOwn && stored.node !== this.#node) return this.#drop(sessionId, entry.connection.id);
        entry.version = found[index]?.version;
        entry.isDue = false;
        if (isOwn && stored.user === userOf(entry.connection)) return;
        this.#write(sessionId, entry, this.#ttl);
        await entry.last;
      }));
    }
  }

  #tellReplaced(session: string, { node, connection }: Stored): void {
    if (node === this.#node) return this.#drop(session, connection);
    askNode(this.#channel, { session, connection }, node).catch((error: unknown) => this.#report(error));
  }

  #drop(sessionId: string, connectionId: string): void {
    if (this.#entries.get(sessionId)?.connection.id === connectionId) this.#entries.delete(sessionId);
    this.#replaced(sessionId, connectionId);
  }

  #valueOf(connection: Connection): Json {
    return { user: userOf(connection), node: this.#node, connection: connection.id };
  }
}

const userOf = ({ user }: Connection): string | null => user?.id ?? null;

function sessionOf(value: Json | undefined): Stored | undefined {
  if (!isRecord(value)) return undefined;
  const { user, node, connection } = value;
  if (typeof node !== 'string' || typeof connection !== 'string') return undefined;
  return user === null || typeof user === 'string' ? { user, node, connection } : undefined;
}
