import { isRecord } from '../src/protocol.ts';
import { fail, textOf, type ClientError } from './client-error.ts';
import type { ServerMessage } from './client-types.ts';
import { newId } from './ids.ts';

/** A message to the server. It gets an id if it has none. */
export interface OutgoingMessage {
  readonly type: string;
  readonly content?: unknown;
  readonly id?: string | undefined;
  readonly timestamp?: string | number | undefined;
  readonly [field: string]: unknown;
}

/** What can be sent: a message, or bytes. */
export type Sendable = OutgoingMessage | Uint8Array | ArrayBuffer;

export interface OutgoingFrame {
  readonly id: string;
  readonly type: string;
  readonly frame: string | Uint8Array;
  readonly bytes: number;
}

export const isBinary = (message: Sendable): message is Uint8Array | ArrayBuffer =>
  message instanceof Uint8Array || message instanceof ArrayBuffer;

/** Encodes a message, with an id if it is to be answered. @throws {ClientError} MESSAGE_INVALID, MESSAGE_TOO_LONG */
export function encode(message: Sendable, isAnswered: boolean, maxSize: number): OutgoingFrame {
  let id = newId();
  let type = 'binary';
  let frame: string | Uint8Array;
  // A copy: the caller may change the bytes.
  if (isBinary(message)) frame = new Uint8Array(message.slice(0));
  else {
    if (!isRecord(message) || typeof message.type !== 'string') {
      throw fail('MESSAGE_INVALID', 'a message is an object with a type, or bytes');
    }
    id = message.id ?? id;
    type = message.type;
    try {
      frame = JSON.stringify(isAnswered ? { ...message, id, ack: true } : message);
    } catch (error) {
      throw fail('MESSAGE_INVALID', `${type} cannot be encoded: ${textOf(error)}`, {}, error);
    }
  }
  const bytes = typeof frame === 'string' ? new TextEncoder().encode(frame).length : frame.length;
  if (bytes > maxSize) throw tooLong(type, bytes, maxSize);
  return { id, type, frame, bytes };
}

/** Decodes a frame. @throws {ClientError} MESSAGE_INVALID, MESSAGE_TOO_LONG */
export function decode(data: unknown, maxSize: number): ServerMessage {
  const size = typeof data === 'string' ? data.length : (data as ArrayBuffer).byteLength;
  if (size > maxSize) throw tooLong('a message of the server', size, maxSize);
  if (typeof data !== 'string') {
    const content = new Uint8Array(data as ArrayBuffer);
    return { type: 'binary', content, data: content };
  }
  let message: unknown;
  try {
    message = JSON.parse(data);
  } catch (error) {
    throw fail('MESSAGE_INVALID', 'the server sent what is not JSON', {}, error);
  }
  if (!isRecord(message) || typeof message['type'] !== 'string') {
    throw fail('MESSAGE_INVALID', 'the server sent a message without a type');
  }
  return withData(message as unknown as ServerMessage);
}

/** Lets `content` and `data` name the same. Servers use either. */
export function withData(message: ServerMessage): ServerMessage {
  const content: unknown = message.content ?? message.data;
  return content === undefined ? message : Object.assign(message, { content, data: content });
}

/** Several arguments of an event are a list, with their number in `meta`. */
export const eventOf = (type: string, args: readonly unknown[]): OutgoingMessage => (
  args.length > 1 ? { type, content: args, meta: { args: args.length } } : { type, content: args[0] }
);

export const argumentsOf = ({ content, meta }: ServerMessage): unknown[] => (
  meta?.args !== undefined && Array.isArray(content) ? content : [content]
);

const tooLong = (what: string, size: number, limit: number): ClientError =>
  fail('MESSAGE_TOO_LONG', `${what} has ${size} bytes; ${limit} are allowed`, { size, limit });
