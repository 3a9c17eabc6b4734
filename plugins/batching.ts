import {
  canonical, check, definePlugin, isRecord, newId, rules, stripEnvelope, timestamp,
  type Connection, type Connections, type Outgoing, type Plugin,
} from '../src/index.ts';
import { MessageBatch } from './batching/message-batch.ts';
import type { DeliveryOptions, Room } from './rooms.ts';

export interface BatchingOptions {
  /** Maximum messages in a batch. @default 50 */
  readonly maxMessages?: number | undefined;
  /** Maximum milliseconds that a message waits. @default 50 */
  readonly maxDelay?: number | undefined;
  /** Maximum characters of JSON in a batch. A larger message is sent in a batch of its own. @default 65_536 */
  readonly maxSize?: number | undefined;
  /** Maximum characters of JSON that wait in all rooms. Beyond it, messages do not wait. @default 16_777_216 */
  readonly maxWaiting?: number | undefined;
  /** Types of messages that never wait. @default [] */
  readonly urgent?: readonly string[] | undefined;
}

export interface BatchingApi {
  /** Sends the waiting messages of a room, or of all rooms. */
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

/** Maximum messages in separate batches for single connections per flush, because each is encoded again. */
const MAX_SEPARATE_MESSAGES = 10_000;

/**
 * Collects the messages to a room and sends them to its members as one `message-batch`, in order. A connection gets the
 * messages that were sent while it was in the room. An urgent message is sent at once, after the waiting ones.
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
      let isEnding = false;
      const isLocal = (connectionId: string): boolean => connectionId.startsWith(`${node.id}.`);

      const toBatch = (roomId: string, messages: readonly unknown[]): Outgoing =>
        ({ type: context.named('message-batch'), content: { roomId, messages } });
      /** Sends one connection its part of a batch. */
      const sendSeparately = (
        connection: Connection, roomId: string, batch: MessageBatch, all?: readonly unknown[],
      ): void => {
        // A held connection gets no published messages, so it must not get them by send() either.
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
          if (connection && members.has(connection)) sendSeparately(connection, roomId, batch, messages);
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
        if (isFull || batch.separateCount > MAX_SEPARATE_MESSAGES) flush(room.id);
      };

      const isUrgentType = ({ type }: { readonly type: unknown }): boolean =>
        urgentTypes.size > 0 && typeof type === 'string' && urgentTypes.has(canonical(type));
      const isLast = ({ type }: Outgoing): boolean => canonical(type) === 'room-deleted';
      const deliver = (room: Room, message: Outgoing, delivery: DeliveryOptions): number => {
        const { urgent: isUrgent = false, ...publishing } = delivery;
        const except = [...new Set([publishing.except ?? []].flat())];
        // An excepted connection of another node cannot get a separate batch: its membership is not known here.
        const isHeldBack = !isEnding && !isUrgent && !isUrgentType(message) && except.every(isLocal);
        const text = isHeldBack ? encode(message) : undefined;
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
          if (batch && batch.separateCount > MAX_SEPARATE_MESSAGES) flush(roomId);
        },
        left(roomId, _, connection) {
          const batch = waiting.get(roomId)?.batch;
          if (!batch) return;
          sendSeparately(connection, roomId, batch);
          batch.leave(connection.id);
        },
      });
      const flushAll = (): void => { for (const roomId of waiting.keys()) flush(roomId); };
      const end = (): void => {
        isEnding = true;
        flushAll();
      };
      context.on('room:deleted', ({ room }) => flush(room.id));
      context.on('stopping', end);
      // Before other unload steps, because messages sent meanwhile must not overtake waiting ones.
      context.signal.addEventListener('abort', end);
      context.onUnload(() => {
        undo();
        unwatch();
      });
      context.metrics(() => ({
        batching_messages_total: { type: 'counter', help: 'Number of messages in batches.', value: counts.gathered },
        batching_batches_total: { type: 'counter', help: 'Number of batches.', value: counts.batches },
        batching_waiting: { type: 'gauge', help: 'Number of waiting characters of JSON.', value: size },
      }));
      return { flush: (roomId) => (roomId === undefined ? flushAll() : flush(roomId)) };
    },
  });
}

/** Encodes a message as JSON at once. `undefined`: it cannot be encoded; publishing it reports the error. */
function encode(message: Outgoing): string | undefined {
  try {
    const given: unknown = typeof message.toJSON === 'function' ? (message.toJSON as () => unknown)() : message;
    if (!isRecord(given) || typeof given.type !== 'string' || typeof given.arrayBuffer === 'function') return undefined;
    const whole: Record<string, unknown> = { id: undefined, ...given, type: given.type };
    stripEnvelope(whole, true);
    whole.id ??= newId();
    whole.timestamp ??= timestamp();
    return JSON.stringify(whole);
  } catch {
    // A circular reference, a bigint, or a toJSON() that throws.
    return undefined;
  }
}

batching.batching = batching;
export { batching as default, batching as 'module.exports' };
