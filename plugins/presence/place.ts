import { EVERYONE, isRecord, ModuleError, type Message } from '../../src/index.ts';

/** A room or a namespace; neither of the two is the whole server. */
export interface Place {
  /** The id of a room. */
  readonly room?: string;
  /** The name of a namespace. */
  readonly namespace?: string;
}

const ROOM = 'room:';
const NAMESPACE = 'ns:';

/** The topic of those who are in a place. */
export const topicOf = ({ room, namespace }: Place): string => (room !== undefined ? ROOM + room : namespace !== undefined ? NAMESPACE + namespace : EVERYONE);

/** The room that a topic is of, if it is one's. */
export const roomIn = (topic: string): string | undefined => (topic.startsWith(ROOM) ? topic.slice(ROOM.length) : undefined);

/** The place that a message is about. @throws VALIDATION_FAILED */
export function placeIn(message: Message): Place {
  const room = field(message, 'roomId');
  const namespace = field(message, 'namespace') ?? message.namespace;
  if (room !== undefined && typeof room !== 'string') throw invalid('roomId', 'must be the id of a room');
  if (namespace !== undefined && typeof namespace !== 'string') throw invalid('namespace', 'must be the name of a namespace');
  if (room !== undefined && namespace !== undefined) throw invalid('namespace', 'must not stand beside a room');
  return { ...(room !== undefined && { room }), ...(namespace !== undefined && { namespace }) };
}

/** Who types where, by a message. @throws VALIDATION_FAILED */
export function typingIn(message: Message): { readonly roomId: string; readonly isTyping: boolean } {
  const [roomId, isTyping] = [field(message, 'roomId'), field(message, 'isTyping')];
  if (typeof roomId !== 'string') throw invalid('roomId', 'must be the id of a room');
  if (typeof isTyping !== 'boolean') throw invalid('isTyping', 'must be true or false');
  return { roomId, isTyping };
}

/** A field beside the envelope's own, or in the content. */
const field = ({ content, fields }: Message, name: string): unknown => fields[name] ?? (isRecord(content) ? content[name] : undefined) ?? undefined;

const invalid = (path: string, message: string): ModuleError => new ModuleError('VALIDATION_FAILED', { issues: [{ path, message }] });
