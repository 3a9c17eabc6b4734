import {
  hasCode, isRecord, isStoreUnavailable, ModuleError, type Connection, type Json, type Outgoing, type PluginContext,
  type SharedStore,
} from '../../src/index.ts';

/** Milliseconds after which a call is repeated that failed because the store could not be reached. */
const RETRY_INTERVAL = 1_000;
/** Maximum number of connections whose messages are read at once. */
const MAX_AT_ONCE = 50;
const PAGE = 100;
/** The name of a set with one member for each message of all inboxes. Its size limits all of them together. */
const ALL = 'all';

export interface InboxOptions {
  /** Maximum messages that wait for one user. @default 100 */
  readonly maxPerUser?: number | undefined;
  /** Maximum messages that wait for all users. @default 1_000_000 */
  readonly maxInAll?: number | undefined;
  /** Milliseconds for which a message is kept. @default 2_592_000_000 */
  readonly ttl?: number | undefined;
}

export interface InboxHost {
  /** Whether a message is kept until the recipient confirms it. Otherwise it is kept until it is sent. */
  readonly isConfirmed: boolean;
  /** Sends a message of the inbox to a connection. */
  send(message: Outgoing, connection: Connection): void;
}

/** A connection that must still get the messages of the inbox of its user. */
interface Delivery { readonly connection: Connection; readonly userId: string }

/** Inbox keeps messages to offline users in the store, and sends them to the next connections of these users. */
export class Inbox {
  readonly #context: PluginContext;
  readonly #store: SharedStore;
  readonly #limits: Required<{ [Name in keyof InboxOptions]: number }>;
  readonly #host: InboxHost;
  /** By connection, so that a connection is in it once. */
  readonly #due = new Map<Connection, Delivery>();
  /** Messages that must still be removed from the store, because it could not be reached. By id, with their users. */
  readonly #removed = new Map<string, string>();
  #running = 0;

  constructor(context: PluginContext, store: SharedStore, options: InboxOptions, host: InboxHost) {
    const { maxPerUser = 100, maxInAll = 1_000_000, ttl = 2_592_000_000 } = options;
    this.#context = context;
    this.#store = store;
    this.#limits = { maxPerUser, maxInAll, ttl };
    this.#host = host;
    context.on('connection:identified', (connection) => this.#came(connection));
    context.on('connection:removed', (connection) => { this.#due.delete(connection); });
    context.every(RETRY_INTERVAL, () => {
      for (const [id, userId] of [...this.#removed]) void this.remove(userId, id);
      this.#proceed();
    });
  }

  /** @throws INBOX_LIMIT, STORE_UNAVAILABLE */
  async keep(userId: string, id: string, message: Outgoing): Promise<void> {
    const { maxPerUser, maxInAll, ttl } = this.#limits;
    const value = JSON.parse(JSON.stringify(message)) as Json;
    try {
      // The set of all inboxes first, so that no message is kept without being counted.
      await this.#enter(ALL, id, { max: maxInAll, ttl }, { of: 'all', limit: maxInAll });
      try {
        await this.#enter(setOf(userId), id, { max: maxPerUser, ttl, value }, { of: 'user', limit: maxPerUser });
      } catch (error) {
        await this.#store.leave(ALL, id);
        throw error;
      }
    } catch (error) {
      if (!hasCode(error, 'LEASE_LOST')) throw error;
      throw new ModuleError('STORE_UNAVAILABLE', { store: this.#store.name, action: 'keep a message' });
    }
  }

  async #enter(
    set: string, id: string, options: { readonly max: number; readonly ttl: number; readonly value?: Json | undefined },
    full: { readonly of: 'user' | 'all'; readonly limit: number },
  ): Promise<void> {
    try {
      await this.#store.enter(set, id, options);
    } catch (error) {
      throw hasCode(error, 'STORE_FULL') ? new ModuleError('INBOX_LIMIT', full) : error;
    }
  }

  /** Removes a message that was confirmed or sent. Repeated later if the store cannot be reached. */
  async remove(userId: string, id: string): Promise<void> {
    this.#removed.delete(id);
    try {
      await this.#store.leave(setOf(userId), id);
      await this.#store.leave(ALL, id);
    } catch (error) {
      if (!isStoreUnavailable(error)) return this.#context.report(error);
      // Beyond the limit, the message is sent once more, with the same id.
      if (this.#removed.size < this.#limits.maxInAll) this.#removed.set(id, userId);
    }
  }

  #came(connection: Connection): void {
    const { user } = connection;
    if (!user) return void this.#due.delete(connection);
    this.#due.set(connection, { connection, userId: user.id });
    this.#proceed();
  }

  #proceed(): void {
    for (const delivery of this.#due.values()) {
      if (this.#running >= MAX_AT_ONCE) return;
      this.#due.delete(delivery.connection);
      this.#running++;
      const attempt = this.#deliver(delivery).then(() => true, (error: unknown) => this.#failed(delivery, error));
      void attempt.then((isDone) => {
        this.#running--;
        if (isDone) this.#proceed();
      });
    }
  }

  /** @returns false: the next attempt is made at the next interval */
  #failed(delivery: Delivery, error: unknown): false {
    if (!isStoreUnavailable(error)) this.#context.report(error);
    else if (isOf(delivery) && !this.#due.has(delivery.connection)) this.#due.set(delivery.connection, delivery);
    return false;
  }

  async #deliver(delivery: Delivery): Promise<void> {
    const { connection, userId } = delivery;
    for (let cursor: string | undefined; ;) {
      const page = await this.#store.members(setOf(userId), { cursor, limit: PAGE });
      for (const { id, value } of page.members) {
        if (!isOf(delivery)) return;
        // A message that was confirmed here already must not be sent again.
        if (!isMessage(value) || this.#removed.has(id)) continue;
        // Without receipts, exactly one connection removes the message, and gets it.
        if (!this.#host.isConfirmed && !(await this.#take(userId, id))) continue;
        this.#host.send(value, connection);
      }
      cursor = page.cursor;
      if (cursor === undefined) return;
    }
  }

  async #take(userId: string, id: string): Promise<boolean> {
    const { last } = await this.#store.leave(setOf(userId), id);
    await this.#store.leave(ALL, id);
    return last;
  }
}

const setOf = (userId: string): string => `of:${userId}`;
const isOf = ({ connection, userId }: Delivery): boolean => connection.isOpen && connection.user?.id === userId;
const isMessage = (value: Json): value is Json & Outgoing => isRecord(value) && typeof value['type'] === 'string';
