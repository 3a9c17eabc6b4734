import { isBinary, isRecord, isThenable, type Message } from '../../src/index.ts';

/** The name of the plugin among the features of a server. */
const FEATURE = 'recovery';

/**
 * Tells a client that asks with `meta: { features: true }` that the server has sessions: the answer to its message gets
 * `meta: { features: ['recovery'] }`. So clients need not try `recover` on servers that do not have it.
 */
export function announce(message: Message, result: unknown): unknown {
  if (message.meta?.features !== true) return result;
  return isThenable(result) ? Promise.resolve(result).then((value) => named(message, value)) : named(message, result);
}

function named(message: Message, result: unknown): unknown {
  if (message.isAnswered || isBinary(result) || (result === undefined && !message.ack)) return result;
  const isMessage = isRecord(result) && typeof result.type === 'string';
  const reply = isMessage ? result : { type: result === undefined ? 'ack' : message.typeAsSent, content: result };
  const meta = isRecord(reply.meta) ? reply.meta : {};
  const others: unknown[] = Array.isArray(meta.features) ? meta.features : [];
  return { ...reply, meta: { ...meta, features: [...others, FEATURE] } };
}
