import {
  hasCode, ModuleError, toError, type Connection, type Connections, type Message, type PluginContext, type Position,
} from '../../src/index.ts';
import type { ByteBudget, CatchUp, HistoryApi, TopicState } from '../history.ts';
import type { RoomsApi } from '../rooms.ts';
import { readRequest } from './recover-request.ts';
import { outboxScope } from './outboxes.ts';
import type { RecoverySettings } from './recovery-options.ts';
import type { Session } from './session.ts';
import type { Sessions } from './sessions.ts';

/** The answer for a topic without a position: the client may not read it now (`unknown`), or it has no history. */
interface LostTopic { readonly topic: string; readonly recovered: false; readonly reason: 'unknown' | 'no-history' }

const ROOM = 'room:';

/** RecoverHandler answers `recover`: it gives a client its session, its topics, and the messages that it missed. */
export class RecoverHandler {
  readonly #context: PluginContext;
  readonly #history: HistoryApi;
  readonly #sessions: Sessions;
  readonly #settings: RecoverySettings;
  /** Set while rooms are loaded. */
  rooms: RoomsApi | undefined;
  readonly counts = { resumed: 0, recovered: 0, failed: 0 };

  constructor(context: PluginContext, history: HistoryApi, sessions: Sessions, settings: RecoverySettings) {
    this.#context = context;
    this.#history = history;
    this.#sessions = sessions;
    this.#settings = settings;
  }

  async handle(message: Message, connection: Connection): Promise<void> {
    const { positions, sessionId, outbox } = readRequest(message, this.#settings.maxPositions);
    // The connection may have closed while the message waited. No event would free the session of a closed connection.
    if (!connection.isOpen) return;
    const resumed = sessionId === undefined ? undefined : await this.#sessions.resume(connection, sessionId);
    const session = resumed ?? await this.#begin(connection, outbox);
    // This node may not know rooms that another node has created.
    const { rooms } = this;
    if (rooms) await Promise.all([...session.rooms.keys()].map((roomId) => rooms.fetchRoom(roomId)));
    // State may have changed during the await; check it again.
    if (!isOwner(connection, session)) return;
    const roomTopics = [...session.rooms.keys()].map((roomId) => ROOM + roomId);
    const subscribed = this.#sessions.dataOf(session).topics;
    const topics = [...new Set([...resumed ? [...roomTopics, ...subscribed] : [], ...positions.keys()])];
    const catchUps: CatchUp[] = [];
    const budget = { left: this.#settings.maxBytes };
    const restored = topics.map((topic) => {
      const catchUp = this.#history.has(topic) ? this.#history.catchUp(topic, connection) : undefined;
      if (catchUp) catchUps.push(catchUp);
      return this.#restore(session, connection, topic, catchUp, positions.get(topic), budget);
    });
    try {
      const outcomes = await Promise.all(restored);
      // A newer connection may have taken the session.
      if (!isOwner(connection, session)) return;
      const owner = ownerOf(connection, session, outbox);
      this.#answer(message, connection, session, resumed !== undefined, outcomes.map(finished), owner);
      session.restored();
      const isChanged = outcomes.some((outcome) => !('finish' in outcome));
      if (isChanged || topics.length !== roomTopics.length + subscribed.length) this.#sessions.changed(session);
    } catch (error) {
      await Promise.allSettled(restored);
      this.#context.report(error);
      // The client is in some topics, and would miss messages. It comes back, and names the same positions again.
      message.isAnswered = true;
      message.ack = false;
      connection.close(4153, 'the session cannot be recovered now');
    } finally {
      for (const catchUp of catchUps) catchUp.abort();
    }
  }

  /** Begins a session. It gets the rooms that the connection is in already. */
  async #begin(connection: Connection, outbox: string | undefined): Promise<Session> {
    const session = await this.#sessions.begin(connection, outbox);
    for (const roomId of connection.rooms ?? []) {
      const room = this.rooms?.get(roomId);
      if (room) session.rooms.set(roomId, Number(room.createdAt));
    }
    return session;
  }

  /** Sends the answer at once, so that no later message of its topics is sent before it. */
  #answer(
    message: Message, connection: Connection, { id }: Session, isResumed: boolean,
    topics: readonly (TopicState | LostTopic)[], owner: object,
  ): void {
    const { sessionTtl, answerWindow } = this.#settings;
    for (const { recovered } of topics) {
      if (recovered === true) this.counts.recovered++;
      if (recovered === false) this.counts.failed++;
    }
    if (isResumed) this.counts.resumed++;
    const content = { sessionId: id, resumed: isResumed, sessionTtl, answerWindow, topics, ...owner };
    message.isAnswered = true;
    message.ack = false;
    const replyTo = message.id === undefined ? {} : { replyTo: message.id };
    connection.send({ type: this.#context.named('recovered'), content, ...replyTo });
    if (isResumed) this.#context.emit('recovery:resumed', { connection });
  }

  /** Subscribes a connection to a topic again, and reads what it missed. */
  async #restore(
    session: Session, connection: Connection, topic: string, catchUp: CatchUp | undefined, from: Position | undefined,
    budget: ByteBudget,
  ): Promise<CatchUp | LostTopic> {
    if (!(await this.#enter(session, connection, topic))) return { topic, recovered: false, reason: 'unknown' };
    if (!catchUp) return { topic, recovered: false, reason: 'no-history' };
    await catchUp.read(from, budget);
    return catchUp;
  }

  /** Returns whether the connection is subscribed to the topic now. */
  async #enter(session: Session, connection: Connection, topic: string): Promise<boolean> {
    try {
      if (topic.startsWith(ROOM)) return await this.#join(session, connection, topic.slice(ROOM.length));
      await this.#history.subscribe(connection, topic);
      return true;
    } catch (error) {
      // A refusal means that the client may not read the topic now. Any other error is a failure of the server.
      if (error instanceof ModuleError && error.expose && error.status !== 503) return false;
      throw toError(error);
    }
  }

  async #join(session: Session, connection: Connection, roomId: string): Promise<boolean> {
    if (connection.rooms?.has(roomId)) return true;
    const createdAt = session.rooms.get(roomId);
    const room = this.rooms?.get(roomId);
    // A session restores only its own rooms. A later room with the same id is another one.
    if (!room || createdAt === undefined || Number(room.createdAt) !== createdAt) {
      session.rooms.delete(roomId);
      return false;
    }
    try {
      await this.rooms!.join(connection.id, roomId);
    } catch (error) {
      const isLocked = hasCode(error, 'PASSWORD_REQUIRED');
      // The client gave the password when it joined, so it need not send it again.
      if (!isLocked || room.isBanned(connection.user?.id ?? connection.id)) throw error;
      await (this.#context.node.connections as Connections).joinRoom(connection.id, roomId);
    }
    return true;
  }
}

/** Whether a connection still has a session. State may have changed during an await. */
const isOwner = (connection: Connection, { owner }: Session): boolean => connection.isOpen && owner === connection;

/** What the answer says about a topic. */
const finished = (outcome: CatchUp | LostTopic): TopicState | LostTopic =>
  ('finish' in outcome ? outcome.finish() : outcome);

/** For a client that keeps state by user: the user, and whether its answers are remembered by the outbox it named. */
function ownerOf({ user }: Connection, { answers }: Session, outbox: string | undefined): object {
  if (!user) return {};
  const isOutbox = outbox !== undefined && answers.scope === outboxScope(user.id, outbox);
  return { userId: user.id, ...isOutbox && { outbox: true } };
}
