import { EVERYONE, isRecord, validationError, type Message } from '../../src/index.ts';

/** A room or a namespace. Without both fields, it is the server. */
export interface Place {
  /** The id of a room. */
  readonly room?: string | undefined;
  /** The name of a namespace. */
  readonly namespace?: string | undefined;
}

const ROOM = 'room:';
const NAMESPACE = 'ns:';

/** The topic of the connections in a place. */
export function topicOf({ room, namespace }: Place): string {
  if (room !== undefined) return ROOM + room;
  return namespace === undefined ? EVERYONE : NAMESPACE + namespace;
}

/** The id of the room that a topic belongs to. */
export function roomIn(topic: string): string | undefined {
  return topic.startsWith(ROOM) ? topic.slice(ROOM.length) : undefined;
}

/** The place that a message names. @throws VALIDATION_FAILED */
export function placeIn(message: Message): Place {
  const room = field(message, 'roomId');
  const namespace = field(message, 'namespace') ?? message.namespace;
  if (room !== undefined && typeof room !== 'string') throw invalid('roomId', 'must be the id of a room');
  // "#" separates a namespace from its rooms in topics.
  const isName = namespace === undefined || (typeof namespace === 'string' && !namespace.includes('#'));
  if (!isName) throw invalid('namespace', 'must be the name of a namespace');
  if (room !== undefined && namespace !== undefined) throw invalid('namespace', 'must not be combined with a room');
  return { ...(room !== undefined && { room }), ...(namespace !== undefined && { namespace }) };
}

/** The fields of a typing message. @throws VALIDATION_FAILED */
export function typingIn(message: Message): { readonly roomId: string; readonly isTyping: boolean } {
  const [roomId, isTyping] = [field(message, 'roomId'), field(message, 'isTyping')];
  if (typeof roomId !== 'string') throw invalid('roomId', 'must be the id of a room');
  if (typeof isTyping !== 'boolean') throw invalid('isTyping', 'must be true or false');
  return { roomId, isTyping };
}

/** A field of the payload; `null` counts as missing. */
function field({ payload }: Message, name: string): unknown {
  return isRecord(payload) ? payload[name] ?? undefined : undefined;
}

const invalid = (path: string, message: string): Error => validationError([{ path, message }]);
