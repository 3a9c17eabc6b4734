import { actorKey, BoundedTable, type Connection, type PluginContext } from '../../src/index.ts';
import type { HistoryApi } from '../history.ts';
import { AnswerBudget, Answers } from './answers.ts';
import type { RecoverySettings } from './recovery-options.ts';
import { Session } from './session.ts';

/** The close codes after which a client does not get its session back: it was removed by the application. */
const ENDING = new Set([4000, 4003, 4010]);

/** The sessions of this node. Each has at most one connection. */
export class Sessions {
  readonly #context: PluginContext;
  readonly #history: HistoryApi;
  readonly #settings: RecoverySettings;
  readonly #budget: AnswerBudget;
  readonly #of = new WeakMap<Connection, Session>();
  /** The sessions that a connection owns, by id. */
  readonly #owned = new Map<string, Session>();
  /** The sessions of clients that are away, by id. */
  readonly #left: BoundedTable<string, Session>;

  constructor(context: PluginContext, history: HistoryApi, settings: RecoverySettings) {
    this.#context = context;
    this.#history = history;
    this.#settings = settings;
    this.#budget = new AnswerBudget(settings.maxAnswersLength);
    const { maxSessions, maxSessionsPerActor, sessionTtl } = settings;
    this.#left = new BoundedTable({
      max: maxSessions,
      maxPerOwner: Math.min(maxSessions, maxSessionsPerActor),
      isExpired: (session) => this.#isExpired(session, sessionTtl),
    });
    context.on('connection:removed', (connection, { code }) => this.#removed(connection, code));
    context.onUnload(() => this.#clear());
  }

  get size(): { readonly owned: number; readonly left: number; readonly answers: number } {
    return { owned: this.#owned.size, left: this.#left.size, answers: this.#budget.used };
  }

  /** The session of a connection, if the client has asked for one. */
  of(connection: Connection): Session | undefined { return this.#of.get(connection); }

  /** Begins a session. */
  begin(connection: Connection): Session {
    const present = this.#of.get(connection);
    if (present) return present;
    const session = new Session(connection, new Answers(this.#settings, this.#budget));
    this.#own(session, connection);
    return session;
  }

  /**
   * Gives a session to a connection of the same user. If another connection owns it, that one is closed first. Returns
   * `undefined` for a session that is unknown, has expired, or belongs to another user.
   */
  resume(connection: Connection, id: string): Session | undefined {
    const session = this.#owned.get(id) ?? this.#left.get(id);
    if (!session || session.userId !== connection.user?.id) return undefined;
    const { owner } = session;
    if (owner === connection) return session;
    this.#end(connection);
    if (owner) {
      this.#of.delete(owner);
      session.leave(this.#history.subscriptions(owner));
      owner.close(4011, 'replaced by a newer connection');
    }
    this.#left.delete(id);
    session.take(connection);
    this.#own(session, connection);
    this.#context.node.resume(connection, id);
    this.#history.handles.move(session.handle, connection);
    return session;
  }

  #own(session: Session, connection: Connection): void {
    this.#owned.set(session.id, session);
    this.#of.set(connection, session);
  }

  /** Ends the session of a connection that takes another one. */
  #end(connection: Connection): void {
    const session = this.#of.get(connection);
    if (!session) return;
    this.#owned.delete(session.id);
    session.answers.clear();
  }

  #removed(connection: Connection, code: number): void {
    const session = this.#of.get(connection);
    if (session?.owner !== connection) return;
    this.#owned.delete(session.id);
    session.leave(this.#history.subscriptions(connection));
    if (ENDING.has(code) || !this.#keep(session, actorKey(connection))) session.answers.clear();
  }

  /** Keeps a session. For a client with too many sessions, the oldest one is dropped. */
  #keep(session: Session, actor: string): boolean {
    if (this.#left.set(session.id, session, actor) === undefined) return true;
    const [oldest] = this.#left.keysOf(actor);
    if (oldest === undefined) return false;
    this.#left.peek(oldest)?.answers.clear();
    this.#left.delete(oldest);
    return this.#left.set(session.id, session, actor) === undefined;
  }

  #isExpired(session: Session, sessionTtl: number): boolean {
    const isExpired = performance.now() - session.leftAt > sessionTtl;
    if (isExpired) session.answers.clear();
    return isExpired;
  }

  #clear(): void {
    this.#owned.clear();
    this.#left.clear();
  }
}
