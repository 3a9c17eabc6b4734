import {
  canonical, check, definePlugin, isRecord, newId, rules, stripEnvelope, timestamp,
  type Connection, type Connections, type Outgoing, type Plugin,
} from '../src/index.ts';
import { MessageBatch } from './batching/message-batch.ts';
import type { DeliveryOptions, Room } from './rooms.ts';

export interface BatchingOptions {
  /** Messages that are gathered for a room at most. @default 50 */
  readonly maxMessages?: number | undefined;
  /** Milliseconds that a message waits at most. @default 50 */
  readonly maxDelay?: number | undefined;
  /** Characters of JSON that are gathered for a room at most; a larger message is sent alone. @default 65_536 */
  readonly maxSize?: number | undefined;
  /** Characters of JSON that wait for all rooms together; beyond, nothing is held back. @default 16_777_216 */
  readonly maxWaiting?: number | undefined;
  /** Types of messages that are never held back. @default [] */
  readonly urgent?: readonly string[] | undefined;
}

export interface BatchingApi {
  /** Sends what waits for a room, or for all rooms. */
  flush(roomId?: string): void;
}
declare module '../src/index.ts' { interface PluginApis { batching: BatchingApi } }

interface Waiting { readonly room: Room; readonly batch: MessageBatch; readonly cancel: () => void }

const { duration, integer, list } = rules;
const BATCHING_RULES = {
  maxMessages: integer(1, 10_000),
  maxDelay: duration,
  maxSize: integer(1, 2 ** 30),
  maxWaiting: integer(1, 2 ** 40),
  urgent: list('message types'),
};

/** Messages, of all connections together, that one flush sends in batches of their own: each is encoded again. */
const MAX_OWN_MESSAGES = 10_000;

/**
 * Gathers the messages to a room, and sends them as one `message-batch` to its members, in order. A connection gets
 * the messages that were sent while it was in the room. Urgent messages are sent at once, after those that wait.
 *
 * @throws OPTION_INVALID, OPTION_UNKNOWN
 * @example manager.use(batching({ maxMessages: 20, maxDelay: 100 })); rooms.publish('lobby', alarm, { urgent: true })
 */
export function batching(options: BatchingOptions = {}): Plugin<'batching', 'rooms', BatchingApi> {
  const {
    maxMessages = 50, maxDelay = 50, maxSize = 65_536, maxWaiting = 16_777_216, urgent = [],
  } = check(options, BATCHING_RULES, 'batching');
  const urgentTypes = new Set(urgent.map(canonical));

  return definePlugin({
    name: 'batching',
    requires: ['rooms'],
    setup(context, { rooms }): BatchingApi {
      const { node } = context;
      const waiting = new Map<string, Waiting>();
      const counts = { gathered: 0, batches: 0 };
      let size = 0;
      let isOver = false;
      const isOurs = (connectionId: string): boolean => connectionId.startsWith(`${node.id}.`);

      const toBatch = (roomId: string, messages: readonly unknown[]): Outgoing =>
        ({ type: context.named('message-batch'), content: { roomId, messages } });
      /** Sends a connection those messages of a batch that it gets. */
      const sendOwn = (connection: Connection, roomId: string, batch: MessageBatch, all?: readonly unknown[]): void => {
        // A held connection gets nothing that is published, but it would get what is sent to it alone.
        if (!connection.isOpen || connection.isHeld) return;
        const own = batch.for(connection.id, all ?? batch.read());
        if (own.length > 0) node.send(connection.id, toBatch(roomId, own));
      };

      const flush = (roomId: string): void => {
        const found = waiting.get(roomId);
        if (!found) return;
        const { room, batch, cancel } = found;
        waiting.delete(roomId);
        cancel();
        size -= batch.size;
        counts.batches++;
        const { excepted } = batch;
        const messages = batch.read();
        node.publish(room.topic, toBatch(roomId, messages), { except: excepted });
        const members = node.subscribers(room.topic);
        for (const id of excepted) {
          const connection = node.connections.get(id);
          if (connection && members.has(connection)) sendOwn(connection, roomId, batch, messages);
        }
      };

      const gather = (room: Room, text: string, except: readonly string[]): void => {
        const before = waiting.get(room.id)?.batch;
        if (before && before.size + text.length > maxSize) flush(room.id);
        let entry = waiting.get(room.id);
        if (!entry) {
          const cancel = context.after(maxDelay, () => flush(room.id));
          waiting.set(room.id, (entry = { room, batch: new MessageBatch(), cancel }));
        }
        const { batch } = entry;
        batch.add(text, except);
        size += text.length;
        counts.gathered++;
        const isFull = batch.length >= maxMessages || batch.size >= maxSize || size > maxWaiting;
        if (isFull || batch.ownLength > MAX_OWN_MESSAGES) flush(room.id);
      };

      const isUrgentType = ({ type }: { readonly type: unknown }): boolean =>
        urgentTypes.size > 0 && typeof type === 'string' && urgentTypes.has(canonical(type));
      const isLast = ({ type }: Outgoing): boolean => canonical(type) === 'room-deleted';
      const deliver = (room: Room, message: Outgoing, delivery: DeliveryOptions): number => {
        const { urgent: isUrgent = false, ...publishing } = delivery;
        const except = [...new Set([publishing.except ?? []].flat())];
        // Whether a connection of another node is in the room is not known here, so it cannot get a batch of its own.
        const isHeldBack = !isOver && !isUrgent && !isUrgentType(message) && except.every(isOurs);
        const text = isHeldBack ? written(message) : undefined;
        if (text === undefined) {
          flush(room.id);
          return node.publish(room.topic, message, publishing);
        }
        const members = node.subscribers(room.topic);
        const excepted = except.filter((id) => members.has(node.connections.get(id)!));
        const reached = members.size - excepted.length;
        gather(room, text, except);
        // All members leave a deleted room at once.
        if (isLast(message)) flush(room.id);
        return reached;
      };

      const undo = rooms.deliverWith(deliver);
      const unwatch = (node.connections as Connections).watch!({
        joined(roomId, _, { id }) {
          const batch = waiting.get(roomId)?.batch;
          batch?.enter(id);
          if (batch && batch.ownLength > MAX_OWN_MESSAGES) flush(roomId);
        },
        left(roomId, _, connection) {
          const batch = waiting.get(roomId)?.batch;
          if (!batch) return;
          sendOwn(connection, roomId, batch);
          batch.leave(connection.id);
        },
      });
      const flushAll = (): void => { for (const roomId of waiting.keys()) flush(roomId); };
      const end = (): void => {
        isOver = true;
        flushAll();
      };
      context.on('room:deleted', ({ room }) => flush(room.id));
      context.on('stopping', end);
      // Before the rest of the unload: a message that is sent meanwhile must not arrive before those that wait.
      context.signal.addEventListener('abort', end);
      context.onUnload(() => {
        undo();
        unwatch();
      });
      context.metrics(() => ({
        batching_messages_total: { type: 'counter', help: 'Messages that were gathered.', value: counts.gathered },
        batching_batches_total: { type: 'counter', help: 'Batches that were sent.', value: counts.batches },
        batching_waiting: { type: 'gauge', help: 'Characters of JSON that wait to be sent now.', value: size },
      }));
      return { flush: (roomId) => (roomId === undefined ? flushAll() : flush(roomId)) };
    },
  });
}

/** The message as JSON, as it is now. Undefined: it cannot be written, which publishing it reports. */
function written(message: Outgoing): string | undefined {
  try {
    const given: unknown = typeof message.toJSON === 'function' ? (message.toJSON as () => unknown)() : message;
    if (!isRecord(given) || typeof given.type !== 'string' || typeof given.arrayBuffer === 'function') return undefined;
    const whole: Record<string, unknown> = { id: undefined, ...given, type: given.type };
    stripEnvelope(whole, true);
    whole.id ??= newId();
    whole.timestamp ??= timestamp();
    return JSON.stringify(whole);
  } catch {
    // A circle, a bigint, a toJSON that throws.
    return undefined;
  }
}

batching.batching = batching;
export { batching as default, batching as 'module.exports' };
