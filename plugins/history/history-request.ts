import { isRecord, validationError, type Message, type ModuleError, type Position } from '../../src/index.ts';
import { topicOfRoom } from './history-options.ts';

/** Topics, rooms, epochs and ids that clients name have at most this many UTF-16 units. */
const MAX_NAME_LENGTH = 512;

const invalid = (path: string, message: string): ModuleError => validationError([{ path, message }]);
const isName = (value: unknown): value is string =>
  typeof value === 'string' && value !== '' && value.length <= MAX_NAME_LENGTH && value.isWellFormed();
const isCount = (value: unknown): value is number => Number.isSafeInteger(value) && (value as number) >= 0;

/** Reads the fields of a client's request. */
export class HistoryRequest {
  readonly #fields: Readonly<Record<string, unknown>>;

  constructor({ payload, topic }: Message) {
    const fields: Record<string, unknown> = isRecord(payload) ? payload : { topic: payload };
    // Beside the content, `topic` is a field of the envelope.
    this.#fields = topic === undefined ? fields : { ...fields, topic };
  }

  /** The topic, or that of the room. @throws VALIDATION_FAILED */
  get topic(): string {
    const { topic } = this.#fields;
    const { roomId } = this;
    if (roomId !== undefined) return topicOfRoom(roomId);
    if (!isName(topic)) throw invalid('topic', `must be a string of 1 to ${MAX_NAME_LENGTH} characters`);
    return topic;
  }

  /** @throws VALIDATION_FAILED */
  get roomId(): string | undefined {
    const roomId = this.#fields.roomId ?? this.#fields.room ?? undefined;
    if (roomId === undefined || isName(roomId)) return roomId;
    throw invalid('roomId', `must be a string of 1 to ${MAX_NAME_LENGTH} characters`);
  }

  /** @throws VALIDATION_FAILED */
  integer(name: string, min: number, max: number): number | undefined {
    const value = this.#fields[name] ?? undefined;
    if (value === undefined) return undefined;
    if (Number.isInteger(value) && (value as number) >= min && (value as number) <= max) return value as number;
    throw invalid(name, `must be an integer from ${min} to ${max}`);
  }

  /** @throws VALIDATION_FAILED */
  flag(name: string): boolean {
    const value = this.#fields[name] ?? false;
    if (typeof value === 'boolean') return value;
    throw invalid(name, 'must be true or false');
  }

  /** The client's position. @throws VALIDATION_FAILED */
  get position(): Position | undefined {
    const { position } = this.#fields;
    return position === undefined || position === null ? undefined : readPosition(position, 'position');
  }
}

/** Reads a position that a client sent. @throws VALIDATION_FAILED */
export function readPosition(value: unknown, path: string): Position {
  if (!isRecord(value)) throw invalid(path, 'must be an object with epoch, offset and id');
  const { epoch, offset, id = '' } = value;
  if (!isName(epoch)) throw invalid(`${path}.epoch`, `must be a string of 1 to ${MAX_NAME_LENGTH} characters`);
  if (!isCount(offset)) throw invalid(`${path}.offset`, 'must be an integer, 0 or more');
  if (id !== '' && !isName(id)) throw invalid(`${path}.id`, `must be a string of up to ${MAX_NAME_LENGTH} characters`);
  return { epoch, offset, id };
}
