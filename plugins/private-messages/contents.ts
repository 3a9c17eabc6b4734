import { isRecord, lengthUpTo, ModuleError, validationError, type Message } from '../../src/index.ts';

/** Maximum characters of the id of a user. */
const MAX_USER_ID = 255;
/** Maximum characters of the id of a message, as in the kernel. */
const MAX_MESSAGE_ID = 128;

const isId = (value: unknown, max: number): value is string =>
  typeof value === 'string' && value !== '' && value.length <= max;
const invalid = (path: string, message: string): ModuleError => validationError([{ path, message }]);
const fieldsOf = ({ payload }: Message<unknown>): Readonly<Record<string, unknown>> =>
  (isRecord(payload) ? payload : {});

/** The recipient of a message. @throws VALIDATION_FAILED */
export function recipientIn(message: Message, sender: string, allowSelf: boolean): string {
  const { to } = fieldsOf(message);
  if (!isId(to, MAX_USER_ID)) throw invalid('to', `must be the id of a user, of at most ${MAX_USER_ID} characters`);
  if (to === sender && !allowSelf) throw invalid('to', 'must be another user');
  return to;
}

/** The content of a private message. @throws VALIDATION_FAILED, MESSAGE_TOO_LONG */
export function contentIn(message: Message, maxLength: number): unknown {
  const { content } = fieldsOf(message);
  const isText = typeof content === 'string';
  if (!isText && !isRecord(content)) throw invalid('content', 'must be a string or an object');
  if (isText && content.trim() === '') throw invalid('content', 'must not be empty');
  const length = isText ? lengthUpTo(content, maxLength) : JSON.stringify(content).length;
  if (length > maxLength) throw new ModuleError('MESSAGE_TOO_LONG', { length, limit: maxLength, of: 'content' });
  return content;
}

/** @throws VALIDATION_FAILED */
export function isTypingIn(message: Message): boolean {
  const { isTyping } = fieldsOf(message);
  if (typeof isTyping === 'boolean') return isTyping;
  throw invalid('isTyping', 'must be true or false');
}

/** The id of the message that a receipt confirms. @throws VALIDATION_FAILED */
export function messageIdIn(message: Message): string {
  const { messageId } = fieldsOf(message);
  if (isId(messageId, MAX_MESSAGE_ID)) return messageId;
  throw invalid('messageId', 'must be the id of a message');
}
