import { actorKey, BoundedTable, type Connection, type PluginContext } from '../../src/index.ts';
import type { HistoryApi } from '../history.ts';
import { AnswerBudget, Answers, type AnswersHost, type Handled } from './answers.ts';
import { outboxScope, Outboxes } from './outboxes.ts';
import type { RecoverySettings } from './recovery-options.ts';
import { RunningElsewhere } from './running-elsewhere.ts';
import { SessionStore, type Found } from './session-store.ts';
import { Session, type SessionData } from './session.ts';
import { TakeOver } from './take-over.ts';

/** Close codes with which the application removes a client. The session of the client ends, too. */
const ENDING = new Set([4000, 4003, 4010]);

/** Sessions keeps the sessions of this node. With a shared store, a session has at most one connection on all nodes. */
export class Sessions {
  readonly #context: PluginContext;
  readonly #history: HistoryApi;
  readonly #answers: AnswersHost;
  readonly #outboxes: Outboxes;
  readonly #store: SessionStore | undefined;
  readonly #takeOver: TakeOver | undefined;
  readonly #elsewhere: RunningElsewhere | undefined;
  readonly #of = new WeakMap<Connection, Session>();
  /** The sessions that a connection owns, by id. */
  readonly #owned = new Map<string, Session>();
  /** The sessions of clients that are away, by id. */
  readonly #left: BoundedTable<string, Session>;

  constructor(context: PluginContext, history: HistoryApi, settings: RecoverySettings) {
    this.#context = context;
    this.#history = history;
    const { maxSessions, maxSessionsPerActor, sessionTtl } = settings;
    this.#left = new BoundedTable({
      max: maxSessions,
      maxPerOwner: Math.min(maxSessions, maxSessionsPerActor),
      isExpired: (session) => this.#isExpired(session, sessionTtl),
    });
    if (context.store) {
      const store = this.#store = new SessionStore(context, context.store, settings, {
        sessions: () => this.#sessions(),
        find: (id) => this.#find(id),
        subscribed: (connection) => history.subscriptions(connection),
        release: (session) => this.#release(session),
        replaced: (session) => this.#replaced(session),
      });
      this.#takeOver = new TakeOver(store, {
        find: (id) => this.#find(id),
        release: (session) => this.#release(session),
        create: (id, found) => this.#create(id, found),
        discard: (session) => this.#outboxes.leave(session.answers),
        keep: (session, actor) => {
          session.leave([]);
          this.#keepOrForget(session, actorKey(actor));
        },
      });
      this.#elsewhere = new RunningElsewhere(context, settings);
    }
    const budget = new AnswerBudget(settings.maxAnswersLength);
    this.#answers = { settings, budget, sink: this.#store?.answers };
    this.#outboxes = new Outboxes(this.#answers);
    context.on('connection:removed', (connection, { code }) => this.#removed(connection, code));
    context.on('connection:identified', (connection) => this.#identified(connection));
    context.onUnload(() => this.#clear());
  }

  get size(): { readonly owned: number; readonly left: number; readonly answers: number } {
    return { owned: this.#owned.size, left: this.#left.size, answers: this.#answers.budget.used };
  }

  /** The session of a connection; `undefined` if the client did not send `recover`. */
  of(connection: Connection): Session | undefined { return this.#of.get(connection); }

  /**
   * Begins a session.
   * @param outbox the name of the client's outbox; ignored for an anonymous client
   * @throws STORE_UNAVAILABLE, LEASE_LOST if the answers of the outbox cannot be read
   */
  begin(connection: Connection, outbox?: string): Session | Promise<Session> {
    const present = this.#of.get(connection);
    if (present) return present;
    const { sessionId: id, id: handle, user } = connection;
    const named = outbox === undefined || !user ? undefined : [user.id, outboxScope(user.id, outbox)] as const;
    const session = new Session({ id, handle }, this.#answersOf(handle, named));
    if (!this.#store || !named) return this.#begun(session, connection);
    return this.#store.answers.load(session.answers).then(() => this.#begun(session, connection), (error: unknown) => {
      this.#outboxes.leave(session.answers);
      throw error;
    });
  }

  /**
   * Gives a session to a connection of the same user. If another connection owns it, that one is closed first. Returns
   * `undefined` for a session that is unknown, has expired, or belongs to another user.
   * @throws STORE_UNAVAILABLE, LEASE_LOST
   */
  resume(connection: Connection, id: string): Session | undefined | Promise<Session | undefined> {
    if (id === '' || !id.isWellFormed()) return undefined;
    if (this.#takeOver) return this.#takeOver.take(connection, id, (session) => this.#install(session, connection));
    const session = this.#find(id);
    if (!session || session.userId !== connection.user?.id) return undefined;
    if (session.owner === connection) return session;
    if (session.owner) this.#detach(session);
    this.#install(session, connection);
    return session;
  }

  /** The present data of a session. */
  dataOf(session: Session): SessionData {
    const { owner } = session;
    return session.dataOf(owner, owner ? this.#history.subscriptions(owner) : []);
  }

  /** The connection of a session has entered a room. */
  entered(session: Session, roomId: string, createdAt: number): void {
    if (session.rooms.get(roomId) === createdAt) return;
    session.rooms.set(roomId, createdAt);
    this.changed(session);
  }

  /** The connection of a session has left a room. */
  exited(session: Session, roomId: string): void { if (session.rooms.delete(roomId)) this.changed(session); }

  /** Writes what has changed to the shared store, in the background. */
  changed(session: Session): void { if (session.owner) this.#store?.write(session); }

  /** Settles when the running write of a session has ended, also if it failed. `undefined` if no write is running. */
  written({ writing }: Session): Promise<void> | undefined { return writing; }

  /** Waits for a handler that runs on another node, and remembers its answer. */
  finish({ answers }: Session, id: string, handled: Handled): Promise<void> {
    return this.#elsewhere!.finish(answers, id, handled);
  }

  #sessions(): Session[] { return [...this.#owned.values(), ...[...this.#left].map(([, session]) => session)]; }

  #find(id: string): Session | undefined { return this.#owned.get(id) ?? this.#left.get(id); }

  #answersOf(handle: string, outbox: Found['outbox'] | undefined): Answers {
    if (!outbox) return new Answers(handle, undefined, this.#answers);
    const [userId, scope] = outbox;
    return this.#outboxes.enter(scope, userId);
  }

  #begun(session: Session, connection: Connection): Session {
    const present = this.#of.get(connection);
    if (present || !connection.isOpen) {
      this.#outboxes.leave(session.answers);
      return present ?? session;
    }
    this.#own(session, connection);
    session.take(connection);
    this.#store?.write(session);
    return session;
  }

  #own(session: Session, connection: Connection): void {
    this.#owned.set(session.id, session);
    this.#of.set(connection, session);
  }

  /** Gives a session without a connection to this one. */
  #install(session: Session, connection: Connection): void {
    const present = this.#of.get(connection);
    // The connection leaves its present session for this one.
    if (present) {
      this.#owned.delete(present.id);
      this.#forget(present);
    }
    this.#left.delete(session.id);
    this.#elsewhere?.release(session.answers);
    session.take(connection);
    this.#own(session, connection);
    this.#context.node.resume(connection, session.id);
    this.#history.handles.move(session.handle, connection);
  }

  /** Closes the connection of a session. */
  #detach(session: Session): void {
    const owner = session.owner!;
    this.#of.delete(owner);
    this.#owned.delete(session.id);
    session.leave(this.#history.subscriptions(owner));
    replace(owner);
  }

  /** Closes the connection of a session. The session stays, for the next connection. */
  #release(session: Session): void {
    const actor = actorKey(session.owner!);
    this.#detach(session);
    this.#keepOrForget(session, actor);
  }

  /** Called when another node has taken a session over. */
  #replaced(session: Session): void {
    const { owner } = session;
    this.#owned.delete(session.id);
    this.#left.delete(session.id);
    this.#store!.drop(session);
    // The other node asks for the answers of handlers that still run.
    if (!this.#elsewhere!.keep(session.answers, true)) this.#outboxes.leave(session.answers);
    if (!owner) return;
    this.#of.delete(owner);
    replace(owner);
  }

  #removed(connection: Connection, code: number): void {
    const session = this.#of.get(connection);
    if (session?.owner !== connection) return;
    this.#owned.delete(session.id);
    session.leave(this.#history.subscriptions(connection));
    if (ENDING.has(code)) this.#forget(session);
    else this.#keepOrForget(session, actorKey(connection));
  }

  #keepOrForget(session: Session, actor: string): void {
    if (!this.#keep(session, actor)) return this.#forget(session);
    this.#elsewhere?.keep(session.answers, false);
    this.#store?.write(session);
  }

  /** Keeps a session without a connection. If its actor has too many, the oldest one is dropped. */
  #keep(session: Session, actor: string): boolean {
    if (this.#left.set(session.id, session, actor) === undefined) return true;
    const [oldest] = this.#left.keysOf(actor);
    if (oldest === undefined) return false;
    const dropped = this.#left.peek(oldest)!;
    this.#left.delete(oldest);
    this.#forget(dropped);
    return this.#left.set(session.id, session, actor) === undefined;
  }

  /** Ends a session. */
  #forget(session: Session): void {
    this.#outboxes.leave(session.answers);
    this.#store?.forget(session);
  }

  #isExpired(session: Session, sessionTtl: number): boolean {
    const isExpired = performance.now() - session.leftAt > sessionTtl;
    if (isExpired) this.#outboxes.leave(session.answers);
    return isExpired;
  }

  /** Creates a session from a document that another node has written. */
  #create(id: string, { handle, left, rooms, outbox, running, forgottenUntil, node, version }: Found): Session {
    const answers = this.#answersOf(handle, outbox);
    if (forgottenUntil !== null) answers.forgetUntil(performance.now() - (this.#store!.now() - forgottenUntil));
    for (const { id: message, type } of running) answers.restoreRunning(message, type, node);
    const session = new Session({ id, handle }, answers, left);
    session.version = version;
    for (const [roomId, createdAt] of rooms) session.rooms.set(roomId, createdAt);
    return session;
  }

  /** Called when the user of a connection has changed. */
  #identified(connection: Connection): void {
    const session = this.#of.get(connection);
    if (!session) return;
    const { answers: { outboxOf } } = session;
    // The outbox belongs to the earlier user.
    if (outboxOf !== undefined && outboxOf !== connection.user?.id) {
      this.#outboxes.leave(session.answers);
      session.answers = this.#answersOf(session.handle, null);
    }
    this.#store?.write(session);
  }

  async #clear(): Promise<void> {
    const sessions = this.#sessions();
    await this.#store?.finish(sessions);
    this.#owned.clear();
    this.#left.clear();
  }
}

function replace(owner: Connection): void { owner.close(4011, 'replaced by a newer connection'); }
