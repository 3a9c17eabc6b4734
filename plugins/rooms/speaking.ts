import {
  lengthUpTo, ModuleError, newId, publicProfile, RateMeter, RateTable, timestamp, UndoList, type Outgoing,
  type PluginContext,
} from '../../src/index.ts';
import { memberKey, type NodeConnections } from './connection-manager.ts';
import type { RoomRegistry } from './room-registry.ts';
import { remaining, type Room } from './room.ts';
import type { DeliveryOptions, RoomDelivery, RoomFilter, RoomMessage, Speech, Verdict } from './rooms-api.ts';
import type { RoomsSettings } from './rooms-options.ts';

/** Members, by room, whose message rates are remembered, for each rate that rooms have. */
const MAX_BUCKETS = 100_000;

/** Messages to rooms: the checks that they pass, and how they are sent. */
export class Speaking {
  readonly #context: PluginContext;
  readonly #registry: RoomRegistry;
  readonly #connections: NodeConnections;
  readonly #settings: RoomsSettings;
  readonly #filters = new UndoList<RoomFilter>();
  /** By messages per minute. They outlast membership: leaving and coming back does not renew a rate. */
  readonly #rates = new Map<number, RateTable>();
  #delivery: RoomDelivery | undefined;
  #sent = 0;

  constructor(context: PluginContext, registry: RoomRegistry, connections: NodeConnections, settings: RoomsSettings) {
    this.#context = context;
    this.#registry = registry;
    this.#connections = connections;
    this.#settings = settings;
  }

  /** Messages of members since start. */
  get sent(): number { return this.#sent; }

  /** Whether another plugin gathers messages before they are sent. */
  get isGathering(): boolean { return this.#delivery !== undefined; }

  filter(step: RoomFilter): () => void { return this.#filters.add(step); }

  deliverWith(delivery: RoomDelivery, settle?: (roomId: string) => void): () => void {
    const owner = 'another plugin';
    if (this.#delivery) throw new ModuleError('DUPLICATE', { kind: 'delivery of', name: 'rooms', owner });
    this.#delivery = delivery;
    this.#connections.settle = settle;
    return () => { if (this.#delivery === delivery) this.#delivery = this.#connections.settle = undefined; };
  }

  publish(room: Room, message: Outgoing, options: DeliveryOptions = {}): number {
    if (this.#delivery) return this.#delivery(room, message, options);
    return this.#context.node.publish(room.topic, message, options);
  }

  async send(roomId: string, content: unknown, from: Speech = {}): Promise<Outgoing> {
    const { escape } = this.#context;
    const { type = this.#context.named('room-message'), raw } = from;
    if (from.connectionId === undefined && from.userId === undefined) {
      return this.#say(this.#registry.find(roomId), { type, content: { roomId, content } });
    }
    const attempt = this.#attempt(roomId, content, from);
    const { room, connection } = attempt;
    const passed = await this.pass(attempt);
    // State may have changed during the await; check it again.
    if (this.#registry.getRoom(roomId) !== room) throw new ModuleError('ROOM_UNKNOWN', { room: roomId });
    const userId = connection ? this.#connections.memberOf(connection) : attempt.userId;
    const said = { ...attempt, userId };
    this.#assertIn(said);
    this.#assertHeard(said);
    const user = connection ? connection.user : this.#connections.getConnectionByUserId(userId)?.user;
    const profile = escape(publicProfile(user));
    const shown = { roomId, userId, ...profile, content: raw ? escape(passed) : passed };
    return this.#say(room, { type, content: shown }, said);
  }

  /** Whether a member may send a message now. Nothing is sent. */
  maySend(roomId: string, from: Speech): Verdict {
    const attempt = this.#attempt(roomId, '', from);
    const { room, userId } = attempt;
    const { canSend } = this.#settings;
    if (room.mutedUntil(userId)) return false;
    const standard = (): boolean => room.can(userId, 'canSendMessage');
    return canSend ? canSend(attempt, standard) : standard();
  }

  /**
   * Holds what a member says to permission, mute, length, rate and filters, in this order.
   * @returns the content as the filters leave it
   * @throws FORBIDDEN, MUTED, MESSAGE_TOO_LONG, CONTENT_NOT_ALLOWED, RATE_LIMITED, and what filters throw
   */
  async pass(attempt: RoomMessage): Promise<unknown> {
    const { room, userId } = attempt;
    const { canSend } = this.#settings;
    if (canSend) assertAllowed(await canSend(attempt, () => room.can(userId, 'canSendMessage')));
    this.#assertHeard(attempt);
    assertFits(room, attempt.content);
    this.#charge(attempt);
    return this.#filters.size === 0 ? attempt.content : this.filtered(attempt);
  }

  /** The content as the filters leave it. @throws what filters throw */
  async filtered(attempt: RoomMessage): Promise<unknown> {
    let { content } = attempt;
    for (const step of this.#filters) content = (await step({ ...attempt, content })) ?? content;
    return content;
  }

  /** @throws CONNECTION_UNKNOWN, ROOM_UNKNOWN, NOT_IN_ROOM */
  #attempt(roomId: string, content: unknown, { connectionId, userId = '' }: Speech): RoomMessage {
    const connection = connectionId === undefined ? undefined : this.#context.node.connections.get(connectionId);
    // The client may have left before its own message was handled: that is no failure of the server.
    if (connectionId !== undefined && !connection) {
      throw new ModuleError('CONNECTION_UNKNOWN', { connection: connectionId }, { expose: true });
    }
    const speaker = connection ? this.#connections.memberOf(connection) : userId;
    const room = this.#registry.find(roomId, speaker);
    const attempt = { room, userId: speaker, content, ...(connection && { connection }) };
    this.#assertIn(attempt);
    return attempt;
  }

  #assertIn({ room, userId, connection }: RoomMessage): void {
    const isIn = connection ? this.#connections.roomsOf(connection).has(room.id) : room.users.has(userId);
    if (!isIn) throw new ModuleError('NOT_IN_ROOM', { room: room.id, user: userId });
  }

  /** @throws FORBIDDEN, MUTED */
  #assertHeard({ room, userId }: RoomMessage): void {
    if (!this.#settings.canSend) assertAllowed(room.can(userId, 'canSendMessage'));
    const until = room.mutedUntil(userId);
    if (!until) return;
    const retryAfter = Math.ceil(remaining(until));
    throw new ModuleError('MUTED', { room: room.id, until: until.toISOString(), retryAfter });
  }

  /** @throws RATE_LIMITED */
  #charge({ room, userId, connection }: RoomMessage): void {
    const { id, config: { message: { rateLimitPerMinute } } } = room;
    let rates = this.#rates.get(rateLimitPerMinute);
    if (!rates) {
      rates = new RateTable(new RateMeter({ count: rateLimitPerMinute, per: 60_000 }), MAX_BUCKETS);
      this.#rates.set(rateLimitPerMinute, rates);
    }
    const key = connection ? this.#connections.keyIn(connection, id) : memberKey(id, userId);
    const retryAfter = rates.take(key, performance.now());
    if (retryAfter > 0) throw new ModuleError('RATE_LIMITED', { retryAfter, scope: 'room' });
  }

  async #say(room: Room, { type, content }: Outgoing, by?: RoomMessage): Promise<Outgoing> {
    const message = { id: newId(), type, content, timestamp: timestamp() };
    if (room.config.message.historySize > 0) await room.addMessage(message);
    const from = by?.connection;
    this.publish(room, message, from && !this.#settings.echo ? { except: from.id } : {});
    if (by) this.#sent++;
    const connection = from && { connection: from };
    this.#context.emit('room:message', { room, message, ...(by && { userId: by.userId }), ...connection });
    return message;
  }
}

/** @throws FORBIDDEN */
function assertAllowed(isAllowed: boolean): void {
  if (!isAllowed) throw new ModuleError('FORBIDDEN', { needs: 'the permission to send messages' });
}

const notAllowed = (room: string, kind: string): ModuleError => new ModuleError('CONTENT_NOT_ALLOWED', { room, kind });

const EMOJI = /\p{Emoji_Presentation}|\p{Emoji}\uFE0F/u;

/** @throws MESSAGE_TOO_LONG, CONTENT_NOT_ALLOWED */
function assertFits({ id, config }: Room, content: unknown): void {
  const { maxLength, allowEmojis, allowFiles, allowImages } = config.message;
  const text = typeof content === 'string' ? content : JSON.stringify(content) as string | undefined ?? '';
  const length = typeof content === 'string' ? lengthUpTo(text, maxLength) : text.length;
  if (length > maxLength) throw new ModuleError('MESSAGE_TOO_LONG', { length, limit: maxLength, of: 'message' });
  const type = typeof content === 'object' && content !== null && 'type' in content ? content.type : 'text';
  if (!allowFiles && type === 'file') throw notAllowed(id, 'files');
  if (!allowImages && type === 'image') throw notAllowed(id, 'images');
  if (!allowEmojis && EMOJI.test(text)) throw notAllowed(id, 'emojis');
}
