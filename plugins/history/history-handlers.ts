import {
  isRecord, ListBudget, ModuleError, type Connection, type Message, type Next, type Outgoing, type PluginContext,
  type Position,
} from '../../src/index.ts';
import type { CatchUp, TopicState } from './catch-up.ts';
import type { HistoryApi } from './history-api.ts';
import { roomOfTopic, topicOfRoom, type HistoryRules, type HistorySettings } from './history-options.ts';
import { HistoryRequest } from './history-request.ts';

export interface HistoryParts {
  readonly api: HistoryApi;
  /** The position up to which this node has delivered the messages of a topic. */
  readonly delivered: (topic: string) => Promise<Position>;
  readonly rules: HistoryRules;
  readonly settings: HistorySettings;
}

/** HistoryHandlers answers messages of clients about histories, and adds a topic state to the answer of `join-room`. */
export class HistoryHandlers {
  readonly #context: PluginContext;
  readonly #parts: HistoryParts;
  readonly #lists: ListBudget;
  readonly #subscriptions = new WeakMap<Connection, Set<string>>();

  constructor(context: PluginContext, parts: HistoryParts) {
    this.#context = context;
    this.#parts = parts;
    this.#lists = new ListBudget(parts.settings.maxPage);
    const handle = (type: string, handler: (message: Message, connection: Connection) => unknown): void =>
      context.registerHandler(context.named(type), handler, { yields: true, raw: true });
    handle('get-history', (message, connection) => this.#getHistory(message, connection));
    handle('get-position', (message, connection) => this.#getPosition(message, connection));
    handle('subscribe', (message, connection) => this.#subscribe(message, connection));
    handle('unsubscribe', (message, connection) => this.#unsubscribe(message, connection));
    const joinRoom = context.named('join-room');
    context.use({
      type: 'message',
      name: 'history',
      handler: (message, connection, next) =>
        (message.type === joinRoom ? this.#join(message, connection, next) : next()),
    });
  }

  /** The topics to which a connection subscribed by a message. */
  subscriptions(connection: Connection): ReadonlySet<string> {
    return this.#subscriptions.get(connection) ?? new Set();
  }

  /** Subscribes a connection to a topic of the application. @throws HISTORY_UNKNOWN, TOO_MANY_TOPICS */
  async subscribe(connection: Connection, topic: string): Promise<void> {
    const { rules, settings: { canRead } } = this.#parts;
    if (!rules.ofTopic(topic) || !(await canRead?.({ topic, connection }))) {
      throw new ModuleError('HISTORY_UNKNOWN', { topic });
    }
    // State may have changed during the await; check it again.
    if (!connection.isOpen) throw new ModuleError('CONNECTION_CLOSED', { connection: connection.id }, { expose: true });
    this.#context.node.subscribe(connection, topic);
    const topics = this.#subscriptions.get(connection);
    if (topics) topics.add(topic);
    else this.#subscriptions.set(connection, new Set([topic]));
  }

  async #getHistory(message: Message, connection: Connection): Promise<Outgoing> {
    const { api, settings: { maxPage } } = this.#parts;
    const request = new HistoryRequest(message);
    const { topic, roomId = roomOfTopic(topic) } = request;
    const range = {
      limit: request.integer('limit', 1, maxPage) ?? Math.min(50, maxPage),
      before: request.integer('before', 0, Number.MAX_SAFE_INTEGER),
      after: request.integer('after', 0, Number.MAX_SAFE_INTEGER),
      reverse: request.flag('reverse'),
    };
    await this.#assertReadable(topic, connection);
    this.#lists.charge(connection, range.limit);
    const page = await api.history(topic, range);
    // State may have changed during the await; check it again.
    if (!this.#parts.settings.canRead) await this.#assertReadable(topic, connection);
    const content = { ...(roomId !== undefined && { roomId }), ...page };
    return { type: this.#context.named('message-history'), content };
  }

  async #getPosition(message: Message, connection: Connection): Promise<Outgoing> {
    const { topic } = new HistoryRequest(message);
    this.#lists.charge(connection, 1);
    await this.#assertReadable(topic, connection);
    const position = await this.#parts.api.position(topic);
    return { type: this.#context.named('topic-position'), content: { topic, ...position } };
  }

  async #subscribe(message: Message, connection: Connection): Promise<void> {
    const request = new HistoryRequest(message);
    const { topic, position } = request;
    const { api, rules } = this.#parts;
    const type = this.#context.named('subscribed');
    if (!rules.ofTopic(topic)) throw new ModuleError('HISTORY_UNKNOWN', { topic });
    const catchUp = api.catchUp(topic, connection);
    try {
      await this.subscribe(connection, topic);
      await catchUp.read(position);
      answerNow(message, connection, { type }, catchUp, (state) => state);
    } finally {
      catchUp.abort();
    }
  }

  #unsubscribe(message: Message, connection: Connection): Outgoing {
    const { topic } = new HistoryRequest(message);
    if (!this.#subscriptions.get(connection)?.delete(topic)) throw new ModuleError('HISTORY_UNKNOWN', { topic });
    this.#context.node.unsubscribe(connection, topic);
    return { type: this.#context.named('unsubscribed'), content: { topic } };
  }

  async #join(message: Message, connection: Connection, next: Next): Promise<unknown> {
    const { api, rules } = this.#parts;
    const { roomId, position } = new HistoryRequest(message);
    // The client may have been in the room on another node.
    if (position && roomId !== undefined) await rules.rooms?.fetchRoom(roomId);
    // Created before the connection is in the room, so that no later message arrives before the missed ones.
    const catchUp = position && roomId !== undefined && !connection.rooms?.has(roomId) && api.has(topicOfRoom(roomId))
      ? api.catchUp(topicOfRoom(roomId), connection)
      : undefined;
    try {
      const reply = await next();
      const joined = joinedRoom(reply);
      if (joined === undefined || !api.has(topicOfRoom(joined.roomId))) return reply;
      if (!catchUp || joined.roomId !== roomId) return await this.#withPosition(joined, position !== undefined);
      await catchUp.read(position);
      answerNow(message, connection, joined.reply, catchUp, (history) => ({ ...joined.content, history }));
      return undefined;
    } finally {
      catchUp?.abort();
    }
  }

  /**
   * Adds the position of the topic to the reply of `join-room`.
   * @param isAsked whether the client sent a position. It belongs to another room, or to an earlier one with this id
   */
  async #withPosition({ reply, content, roomId }: JoinedRoom, isAsked: boolean): Promise<Outgoing> {
    const topic = topicOfRoom(roomId);
    try {
      const { epoch, offset, id } = await this.#parts.delivered(topic);
      const missed = isAsked ? { recovered: false, reason: 'epoch' } : {};
      return { ...reply, content: { ...content, history: { topic, epoch, offset, id, ...missed } } };
    } catch (error) {
      // The connection is in the room, so the answer is sent without the position.
      this.#context.report(error);
      return reply;
    }
  }

  /** @throws HISTORY_UNKNOWN */
  async #assertReadable(topic: string, connection: Connection): Promise<void> {
    const { rules, settings: { canRead } } = this.#parts;
    const roomId = roomOfTopic(topic);
    const mayRead = rules.of(topic) !== undefined && (roomId !== undefined
      ? connection.rooms?.has(roomId) === true
      : canRead ? await canRead({ topic, connection }) : this.#context.node.subscribers(topic).has(connection));
    if (!mayRead) throw new ModuleError('HISTORY_UNKNOWN', { topic });
  }
}

/**
 * Sends an answer with the state of a topic at once, so that no later message of the topic is sent before it. If the
 * handler returned the answer, it would be sent a little later.
 */
function answerNow(
  message: Message, connection: Connection, reply: Outgoing, catchUp: CatchUp, content: (state: TopicState) => object,
): void {
  const { id } = message;
  message.isAnswered = true;
  message.ack = false;
  connection.send({ ...reply, content: content(catchUp.finish()), ...(id !== undefined && { replyTo: id }) });
}

interface JoinedRoom {
  readonly reply: Outgoing;
  readonly content: Readonly<Record<string, unknown>>;
  readonly roomId: string;
}

/** The room that a connection has joined, if the reply to `join-room` names one. */
function joinedRoom(reply: unknown): JoinedRoom | undefined {
  if (!isRecord(reply) || typeof reply.type !== 'string' || !isRecord(reply.content)) return undefined;
  const { content, content: { roomId } } = reply;
  return typeof roomId === 'string' ? { reply: reply as unknown as Outgoing, content, roomId } : undefined;
}
