import { lengthUpTo, ModuleError, newId, timestamp, UndoList, type Connection, type Outgoing, type PluginContext } from '../../src/index.ts';
import type { DeliveryOptions, RoomDelivery, RoomFilter, RoomMessage, Speech, Verdict } from './api.ts';
import { nameOf, type NodeConnections } from './connection-manager.ts';
import { Meters } from './meters.ts';
import { refusal } from './refusals.ts';
import type { RoomRegistry } from './registry.ts';
import type { Room } from './room.ts';

export interface SpeakingOptions {
  /** Whether somebody may speak; without it, whether his role has `canSendMessage`. */
  readonly canSend?: ((attempt: RoomMessage, standard: () => boolean) => Verdict) | undefined;
  /** Whether who speaks hears himself. */
  readonly echo: boolean;
}

/** What is said in rooms: what it must pass, and how it leaves. */
export class Speaking {
  readonly #context: PluginContext;
  readonly #registry: RoomRegistry;
  readonly #connections: NodeConnections;
  readonly #options: SpeakingOptions;
  readonly #filters = new UndoList<RoomFilter>();
  readonly #meters = new WeakMap<Room, Meters>();
  #delivery: RoomDelivery | undefined;
  #sent = 0;

  constructor(context: PluginContext, registry: RoomRegistry, connections: NodeConnections, options: SpeakingOptions) {
    this.#context = context;
    this.#registry = registry;
    this.#connections = connections;
    this.#options = options;
  }

  /** Messages of members since start. */
  get sent(): number { return this.#sent; }

  filter(step: RoomFilter): () => void { return this.#filters.add(step); }

  deliverWith(delivery: RoomDelivery, settle?: (roomId: string) => void): () => void {
    if (this.#delivery) throw new ModuleError('DUPLICATE', { kind: 'delivery', name: 'of rooms', owner: 'another plugin' });
    this.#delivery = delivery;
    this.#connections.settle = settle;
    return () => { if (this.#delivery === delivery) this.#delivery = this.#connections.settle = undefined; };
  }

  publish(room: Room, message: Outgoing, options: DeliveryOptions = {}): number {
    return this.#delivery ? this.#delivery(room, message, options) : this.#context.node.publish(room.topic, message, options);
  }

  async send(roomId: string, content: unknown, { connectionId, userId, type = this.#context.named('room-message'), raw = false }: Speech = {}): Promise<Outgoing> {
    const room = this.#registry.find(roomId);
    if (connectionId === undefined && userId === undefined) return this.#say(room, { type, content: { roomId, content } });
    const connection = connectionId === undefined ? undefined : this.#context.node.connections.get(connectionId);
    // No failure where it spoke itself, and left before it was heard.
    if (connectionId !== undefined && !connection) throw new ModuleError('CONNECTION_UNKNOWN', { connection: connectionId }, { expose: true });
    const attemptNow = (): RoomMessage => {
      const speaker = connection ? this.#connections.memberOf(connection) : userId!;
      return { room, userId: speaker, content, ...(connection && { connection }) };
    };
    const attempt = attemptNow();
    this.#assertIn(attempt);
    await this.#assertMay(attempt);
    const passed = this.#filters.size === 0 ? content : await this.#filtered(attempt);
    // Whoever was asked took his time: the room may be gone, the speaker put out of it or silenced; or he has said who he is.
    if (this.#registry.find(roomId) !== room) throw refusal('ROOM_UNKNOWN', { room: roomId });
    const said = attemptNow();
    this.#assertIn(said);
    this.#assertHeard(said);
    const { escape } = this.#context;
    const shown = raw ? escape(passed) : passed;
    return this.#say(room, { type, content: { roomId, userId: said.userId, ...escape(nameOf(connection?.user)), content: shown } }, said);
  }

  /** Whether a member may send a message now, without sending one. */
  maySend(roomId: string, { connectionId, userId }: Speech): Verdict {
    const room = this.#registry.find(roomId);
    const connection = connectionId === undefined ? undefined : this.#context.node.connections.get(connectionId);
    if (connectionId !== undefined && !connection) {
      throw new ModuleError('CONNECTION_UNKNOWN', { connection: connectionId }, { expose: true });
    }
    const speaker = connection ? this.#connections.memberOf(connection) : userId ?? '';
    const attempt: RoomMessage = { room, userId: speaker, content: '', ...connectionIn(connection) };
    this.#assertIn(attempt);
    if (room.mutedUntil(speaker)) return false;
    const standard = (): boolean => room.can(speaker, 'canSendMessage');
    return this.#options.canSend ? this.#options.canSend(attempt, standard) : standard();
  }

  #assertIn({ room, userId, connection }: RoomMessage): void {
    const isIn = connection ? this.#connections.roomsOf(connection).has(room.id) : room.users.has(userId);
    if (!isIn) throw refusal('NOT_IN_ROOM', { room: room.id, user: userId });
  }

  async #assertMay(attempt: RoomMessage): Promise<void> {
    const { room, userId, content } = attempt;
    const { canSend } = this.#options;
    if (canSend) assertAllowed(await canSend(attempt, () => room.can(userId, 'canSendMessage')));
    this.#assertHeard(attempt);
    assertFits(room, content);
    let meters = this.#meters.get(room);
    if (!meters) this.#meters.set(room, (meters = new Meters(room.config.message.rateLimitPerMinute)));
    const retryAfter = meters.take(userId, performance.now());
    if (retryAfter > 0) throw new ModuleError('RATE_LIMITED', { retryAfter, scope: 'room' });
  }

  /** What the room itself says of who speaks. @throws FORBIDDEN, MUTED */
  #assertHeard({ room, userId }: RoomMessage): void {
    if (!this.#options.canSend) assertAllowed(room.can(userId, 'canSendMessage'));
    const until = room.mutedUntil(userId);
    if (until) throw refusal('MUTED', { room: room.id, until: until.toISOString(), retryAfter: until.getTime() - Date.now() });
  }

  async #filtered(attempt: RoomMessage): Promise<unknown> {
    let { content } = attempt;
    for (const step of this.#filters) content = (await step({ ...attempt, content })) ?? content;
    return content;
  }

  async #say(room: Room, { type, content }: Outgoing, by?: RoomMessage): Promise<Outgoing> {
    const message = { id: newId(), type, content, timestamp: timestamp() };
    if (room.config.message.historySize > 0) await room.addMessage(message);
    const from = by?.connection;
    this.publish(room, message, from && !this.#options.echo ? { except: from.id } : {});
    if (by) this.#sent++;
    this.#context.emit('room:message', { room, message, ...(by && { userId: by.userId }), ...connectionIn(from) });
    return message;
  }
}

const connectionIn = (connection: Connection | undefined): { connection?: Connection } => (connection ? { connection } : {});

/** @throws FORBIDDEN */
function assertAllowed(isAllowed: boolean): void {
  if (!isAllowed) throw new ModuleError('FORBIDDEN', { needs: 'the permission to send messages' });
}

const EMOJI = /\p{Emoji_Presentation}|\p{Emoji}\uFE0F/u;

/** @throws MESSAGE_TOO_LONG, CONTENT_NOT_ALLOWED */
function assertFits({ id, config: { message: { maxLength, allowEmojis, allowFiles, allowImages } } }: Room, content: unknown): void {
  const text = typeof content === 'string' ? content : JSON.stringify(content) as string | undefined ?? '';
  const length = typeof content === 'string' ? lengthUpTo(text, maxLength) : text.length;
  if (length > maxLength) throw new ModuleError('MESSAGE_TOO_LONG', { length, limit: maxLength, of: 'message' });
  const type = typeof content === 'object' && content !== null && 'type' in content ? content.type : 'text';
  const kind = !allowFiles && type === 'file' ? 'files' : !allowImages && type === 'image' ? 'images' : !allowEmojis && EMOJI.test(text) ? 'emojis' : undefined;
  if (kind) throw refusal('CONTENT_NOT_ALLOWED', { room: id, kind });
}
