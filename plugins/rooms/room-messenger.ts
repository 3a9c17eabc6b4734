import {
  lengthUpTo, ModuleError, newId, publicProfile, RateMeter, RateTable, timestamp, UndoList, type Outgoing,
  type PluginContext,
} from '../../src/index.ts';
import { memberKey, type NodeConnections } from './connection-manager.ts';
import type { RoomRegistry } from './room-registry.ts';
import { remaining, type Room } from './room.ts';
import type {
  DeliveryOptions, RoomDelivery, RoomFilter, RoomMessage, RoomRecorder, Sender, Verdict,
} from './rooms-api.ts';
import type { RoomsSettings } from './rooms-options.ts';
import type { SharedRooms } from './shared-rooms.ts';

/** Maximum members whose message rates are kept, for each different rate. */
const MAX_BUCKETS = 100_000;

export interface MessengerParts {
  readonly registry: RoomRegistry;
  readonly connections: NodeConnections;
  readonly shared: SharedRooms | undefined;
}

/** Checks messages to rooms and sends them. */
export class RoomMessenger {
  readonly #context: PluginContext;
  readonly #registry: RoomRegistry;
  readonly #connections: NodeConnections;
  readonly #shared: SharedRooms | undefined;
  readonly #settings: RoomsSettings;
  readonly #filters = new UndoList<RoomFilter>();
  /** By messages per minute. Leaving a room does not delete a rate, so that joining again does not reset it. */
  readonly #rates = new Map<number, RateTable>();
  #delivery: RoomDelivery | undefined;
  #recorder: RoomRecorder | undefined;
  #sent = 0;

  constructor(
    context: PluginContext, { registry, connections, shared }: MessengerParts, settings: RoomsSettings,
  ) {
    this.#context = context;
    this.#registry = registry;
    this.#connections = connections;
    this.#shared = shared;
    this.#settings = settings;
  }

  /** Number of messages of members. */
  get sent(): number { return this.#sent; }

  /** Whether another plugin sends the messages. */
  get hasDelivery(): boolean { return this.#delivery !== undefined; }

  filter(step: RoomFilter): () => void { return this.#filters.add(step); }

  deliverWith(delivery: RoomDelivery): () => void {
    const owner = 'another plugin';
    if (this.#delivery) throw new ModuleError('DUPLICATE', { kind: 'delivery of', name: 'rooms', owner });
    this.#delivery = delivery;
    return () => { if (this.#delivery === delivery) this.#delivery = undefined; };
  }

  recordWith(recorder: RoomRecorder): () => void {
    const owner = 'another plugin';
    if (this.#recorder) throw new ModuleError('DUPLICATE', { kind: 'history of', name: 'rooms', owner });
    this.#recorder = recorder;
    return () => { if (this.#recorder === recorder) this.#recorder = undefined; };
  }

  publish(room: Room, message: Outgoing, options: DeliveryOptions = {}): number {
    if (this.#delivery) return this.#delivery(room, message, options);
    return this.#context.node.publish(room.topic, message, options);
  }

  async send(roomId: string, content: unknown, from: Sender = {}): Promise<Outgoing> {
    const { escape } = this.#context;
    const { type = this.#context.named('room-message'), raw } = from;
    if (this.#shared) {
      this.#shared.seats.assertServing('send to a room');
      // The room of a connection is known here. The application may name any room and any member.
      if (from.connectionId === undefined) await this.#load(this.#shared, roomId, from.userId);
    }
    if (from.connectionId === undefined && from.userId === undefined) {
      return this.#deliver(this.#registry.find(roomId), { type, content: { roomId, content } });
    }
    const attempt = this.#attempt(roomId, content, from);
    const { room, connection } = attempt;
    const passed = await this.pass(attempt);
    // State may have changed during the await; check it again.
    if (this.#registry.getRoom(roomId) !== room) throw new ModuleError('ROOM_UNKNOWN', { room: roomId });
    const userId = connection ? this.#connections.memberOf(connection) : attempt.userId;
    const current = { ...attempt, userId };
    this.#assertIn(current);
    this.#assertMaySend(current);
    const user = connection ? connection.user : this.#connections.getConnectionByUserId(userId)?.user;
    const profile = escape(publicProfile(user));
    const shown = { roomId, userId, ...profile, content: raw ? escape(passed) : passed };
    return this.#deliver(room, { type, content: shown }, current);
  }

  async #load(shared: SharedRooms, roomId: string, userId: string | undefined): Promise<void> {
    await shared.copies.load(roomId, userId === undefined ? [] : [userId]);
    const room = this.#registry.getRoom(roomId);
    if (room && userId !== undefined) await shared.locate(room, [userId]);
  }

  maySend(roomId: string, from: Sender): Verdict {
    this.#shared?.seats.assertServing('send to a room');
    const attempt = this.#attempt(roomId, '', from);
    const { room, userId } = attempt;
    const { canSend } = this.#settings;
    if (room.mutedUntil(userId)) return false;
    const standard = (): boolean => room.can(userId, 'canSendMessage');
    return canSend ? canSend(attempt, standard) : standard();
  }

  /**
   * Checks permission, mute, length, rate and filters, in this order.
   * @returns the content after the filters
   * @throws FORBIDDEN, MUTED, MESSAGE_TOO_LONG, CONTENT_NOT_ALLOWED, RATE_LIMITED, and what filters throw
   */
  async pass(attempt: RoomMessage): Promise<unknown> {
    const { room, userId } = attempt;
    const { canSend } = this.#settings;
    if (canSend) assertAllowed(await canSend(attempt, () => room.can(userId, 'canSendMessage')));
    this.#assertMaySend(attempt);
    assertFits(room, attempt.content);
    this.#charge(attempt);
    return this.#filters.size === 0 ? attempt.content : this.filtered(attempt);
  }

  /** Runs the filters. @returns the content after them @throws what filters throw */
  async filtered(attempt: RoomMessage): Promise<unknown> {
    let { content } = attempt;
    for (const step of this.#filters) content = (await step({ ...attempt, content })) ?? content;
    return content;
  }

  /** @throws CONNECTION_UNKNOWN, ROOM_UNKNOWN, NOT_IN_ROOM */
  #attempt(roomId: string, content: unknown, { connectionId, userId = '' }: Sender): RoomMessage {
    const connection = connectionId === undefined ? undefined : this.#context.node.connections.get(connectionId);
    // The client may disconnect before its message is handled; that is not a server error.
    if (connectionId !== undefined && !connection) {
      throw new ModuleError('CONNECTION_UNKNOWN', { connection: connectionId }, { expose: true });
    }
    const memberId = connection ? this.#connections.memberOf(connection) : userId;
    const room = this.#registry.find(roomId, memberId);
    const attempt = { room, userId: memberId, content, ...(connection && { connection }) };
    this.#assertIn(attempt);
    return attempt;
  }

  #assertIn({ room, userId, connection }: RoomMessage): void {
    const isIn = connection ? this.#connections.roomsOf(connection).has(room.id) : room.hasMember(userId);
    if (!isIn) throw new ModuleError('NOT_IN_ROOM', { room: room.id, user: userId });
  }

  /** @throws FORBIDDEN, MUTED */
  #assertMaySend({ room, userId }: RoomMessage): void {
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

  async #deliver(room: Room, { type, content }: Outgoing, by?: RoomMessage): Promise<Outgoing> {
    const message = { id: newId(), type, content, timestamp: timestamp() };
    if (room.config.message.historySize > 0) await room.addMessage(message);
    const from = by?.connection;
    const options = from && !this.#settings.echo ? { except: from.id } : {};
    const recorded = this.#recorder?.(room, message, options);
    if (recorded) await recorded;
    else this.publish(room, message, options);
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
