import { canonical, check, definePlugin, isRecord, newId, rules, timestamp, type Connection, type Outgoing, type Plugin } from '../src/index.ts';
import { Batch } from './batching/batch.ts';
import type { DeliveryOptions, Room } from './rooms.ts';

export interface BatchingOptions {
  /** Messages that are gathered for a room at most. @default 50 */
  readonly maxMessages?: number;
  /** Milliseconds that a message waits at most. @default 50 */
  readonly maxDelay?: number;
  /** Characters of JSON that are gathered for a room at most; a larger message goes by itself. @default 65_536 */
  readonly maxSize?: number;
  /** Characters of JSON that wait for all rooms together; beyond, nothing is held back. @default 16_777_216 */
  readonly maxWaiting?: number;
  /** Types of messages that are never held back. @default [] */
  readonly urgent?: readonly string[];
}

export interface BatchingApi {
  /** Sends what waits for a room, or for all of them. */
  flush(roomId?: string): void;
}
declare module '../src/index.ts' { interface PluginApis { batching: BatchingApi } }

interface Waiting { readonly room: Room; readonly batch: Batch; readonly cancel: () => void }

const { duration, integer, list } = rules;
const RULES = { maxMessages: integer(1, 10_000), maxDelay: duration, maxSize: integer(1, 2 ** 30), maxWaiting: integer(1, 2 ** 40), urgent: list('message types') };

/**
 * Gathers what is sent to a room, and sends it as one `message-batch` to everybody there, in order. Who leaves gets what was sent before
 * he left, and who comes nothing of it; what is urgent goes at once, after what waits.
 *
 * @throws OPTION_INVALID, OPTION_UNKNOWN
 * @example manager.use(batching({ maxMessages: 20, maxDelay: 100 })); rooms.publish('lobby', alarm, { urgent: true })
 */
export function batching(options: BatchingOptions = {}): Plugin<'batching', 'rooms', BatchingApi> {
  const { maxMessages = 50, maxDelay = 50, maxSize = 65_536, maxWaiting = 16_777_216, urgent = [] } = check(options, RULES, 'batching');
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
      const isOfUrgentType = ({ type }: { readonly type: unknown }): boolean => urgentTypes.size > 0 && typeof type === 'string' && urgentTypes.has(canonical(type));
      const isOurs = (connectionId: string): boolean => connectionId.startsWith(`${node.id}.`);
      const isIn = (members: ReadonlySet<Connection>, connectionId: string): boolean => members.has(node.connections.get(connectionId)!);

      const flush = (roomId: string): void => {
        const found = waiting.get(roomId);
        if (!found) return;
        const { room, batch, cancel } = found;
        waiting.delete(roomId);
        cancel();
        size -= batch.size;
        counts.batches++;
        const message = (messages: unknown[]): Outgoing => ({ type: context.named('message-batch'), content: { roomId, messages } });
        const { excepted } = batch;
        const messages = batch.read();
        node.publish(room.topic, message(messages), { except: excepted });
        const members = node.subscribers(room.topic);
        for (const id of excepted) {
          // What is sent to one alone reaches also him whom no topic may reach yet.
          const mayHave = isIn(members, id) && !node.connections.get(id)!.isHeld;
          const own = mayHave ? batch.for(id, messages) : [];
          if (own.length > 0) node.send(id, message(own));
        }
      };

      const gather = (room: Room, text: string, except: readonly string[]): void => {
        const before = waiting.get(room.id)?.batch;
        if (before && before.size + text.length > maxSize) flush(room.id);
        let entry = waiting.get(room.id);
        if (!entry) waiting.set(room.id, (entry = { room, batch: new Batch(), cancel: context.after(maxDelay, () => flush(room.id)) }));
        entry.batch.add(text, except);
        size += text.length;
        counts.gathered++;
        if (entry.batch.length >= maxMessages || entry.batch.size >= maxSize || size > maxWaiting) flush(room.id);
      };

      const deliver = (room: Room, message: Outgoing, { urgent: isUrgent = false, ...publishing }: DeliveryOptions): number => {
        const except = [...new Set([publishing.except ?? []].flat())];
        // Of a connection elsewhere nobody here knows whether it is in the room, so it cannot have a batch of its own.
        const isHeldBack = !isOver && !isUrgent && !isOfUrgentType(message) && except.every(isOurs);
        const text = isHeldBack ? written(message) : undefined;
        if (text === undefined) {
          flush(room.id);
          return node.publish(room.topic, message, publishing);
        }
        const members = node.subscribers(room.topic);
        const reached = members.size - except.filter((id) => isIn(members, id)).length;
        gather(room, text, except);
        return reached;
      };

      const undo = rooms.deliverWith(deliver, flush);
      const flushAll = (): void => { for (const roomId of waiting.keys()) flush(roomId); };
      const end = (): void => {
        isOver = true;
        flushAll();
      };
      context.on('room:deleted', ({ room }) => flush(room.id));
      context.on('stopping', end);
      // At once, and not with the rest: meanwhile somebody could speak, and would be heard before what waits.
      context.signal.addEventListener('abort', end);
      context.onUnload(undo);
      context.metrics(() => ({
        batching_messages_total: { type: 'counter', help: 'Messages to rooms that were gathered since start.', value: counts.gathered },
        batching_batches_total: { type: 'counter', help: 'Batches that were sent since start.', value: counts.batches },
        batching_waiting: { type: 'gauge', help: 'Characters of JSON that wait to be sent now.', value: size },
      }));
      return { flush: (roomId) => (roomId === undefined ? flushAll() : flush(roomId)) };
    },
  });
}

/** A message as it is now, whatever becomes of it while it waits. Undefined: it cannot be written, which is told as it always is. */
function written(message: Outgoing): string | undefined {
  try {
    const given: unknown = typeof message.toJSON === 'function' ? (message.toJSON as () => unknown)() : message;
    if (!isRecord(given) || typeof given.type !== 'string') return undefined;
    return JSON.stringify({ ...given, id: given.id ?? newId(), timestamp: given.timestamp ?? timestamp() });
  } catch {
    return undefined;
  }
}

batching.batching = batching;
export { batching as default, batching as 'module.exports' };
