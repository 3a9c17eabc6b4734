import type { ModuleError } from '../../src/index.ts';
import { isRecord, lengthUpTo, validationError, type Message } from '../../src/index.ts';

/** Maximum UTF-16 units of the id of a room or member. */
export const MAX_ID_LENGTH = 255;

const invalid = (path: string, message: string): ModuleError => validationError([{ path, message }]);
function isText(value: unknown, max: number): value is string {
  return typeof value === 'string' && value !== '' && value.length <= max;
}

/** @throws VALIDATION_FAILED */
export function assertMemberId(id: unknown, path = 'userId'): asserts id is string {
  if (!isText(id, MAX_ID_LENGTH)) throw invalid(path, `must be a string of 1 to ${MAX_ID_LENGTH} characters`);
}

/** Reads the fields of a message to rooms. Each reader throws VALIDATION_FAILED for an invalid value. */
export class RoomRequest {
  readonly #payload: unknown;

  constructor({ payload }: Pick<Message, 'payload'>) { this.#payload = payload; }

  /** The id of the room: `roomId`, `room`, or a content that is a string. */
  get roomId(): string {
    const named = this.#room;
    if (isText(named, MAX_ID_LENGTH)) return named;
    throw invalid('roomId', `must be a string of 1 to ${MAX_ID_LENGTH} characters`);
  }

  get hasRoomId(): boolean { return this.#room !== undefined; }

  /** The id of the target member of an action. */
  get userId(): string {
    const userId = this.get('userId');
    assertMemberId(userId);
    return userId;
  }

  has(name: string): boolean { return this.get(name) !== undefined; }

  /** What to send to the room: `content` or `message`. `roomId` must be given separately. */
  get messageContent(): unknown {
    const messageContent = this.get('content') ?? this.get('message');
    if (messageContent === undefined || messageContent === '') throw invalid('content', 'must not be empty');
    if (!this.has('roomId') && !this.has('room')) throw invalid('roomId', 'is required');
    return messageContent;
  }

  /** A field of the payload; `null` counts as missing. */
  get(name: string): unknown {
    return isRecord(this.#payload) && Object.hasOwn(this.#payload, name) ? this.#payload[name] ?? undefined : undefined;
  }

  text(name: string, max: number): string {
    const value = this.get(name);
    if (isText(value, max)) return value;
    throw invalid(name, `must be a string of 1 to ${max} characters`);
  }

  /** A text for display. Its length is counted in characters, not in UTF-16 units. */
  displayText(name: string, max: number): string {
    const value = this.get(name);
    if (typeof value === 'string' && value !== '' && lengthUpTo(value, max) <= max) return value;
    throw invalid(name, `must be a string of 1 to ${max} characters`);
  }

  flag(name: string): boolean {
    const value = this.get(name);
    if (typeof value === 'boolean') return value;
    throw invalid(name, 'must be true or false');
  }

  integer(name: string, min: number, max: number): number {
    const value = this.get(name);
    if (Number.isInteger(value) && (value as number) >= min && (value as number) <= max) return value as number;
    throw invalid(name, `must be an integer from ${min} to ${max}`);
  }

  refusal(name: string, message: string): ModuleError { return invalid(name, message); }

  get #room(): unknown {
    if (typeof this.#payload === 'string') return this.#payload;
    const [roomId, room, content] = [this.get('roomId'), this.get('room'), this.get('content')];
    const named = roomId ?? room ?? (typeof content === 'string' ? content : undefined);
    // `{ room: 'a', content: { roomId: 'b' } }` names two rooms, so it is ambiguous.
    const isInside = isRecord(content) && content['roomId'] === named && content['room'] !== room;
    if (isInside && room !== undefined && room !== named) throw invalid('roomId', 'must not differ from "room"');
    return named;
  }
}
