import { isRecord, lengthUpTo, type Message } from '../../src/index.ts';
import { invalid } from './refusals.ts';

/** Characters that the id of a room or of a member may have. */
const MOST_ID = 128;

/** What a message says, by name: fields beside the envelope's own and those of the content are one. A text is the id of a room. */
export class Payload {
  readonly #values: Readonly<Record<string, unknown>>;
  /** What is to be said: where the room is named beside the content, all of it. */
  readonly said: unknown;

  constructor({ content, fields }: Message<unknown>) {
    const beside = withId(fields);
    const inside = typeof content === 'string' ? { roomId: content } : isRecord(content) ? withId(content) : {};
    const roomId = Object.hasOwn(beside, 'roomId') ? beside.roomId ?? undefined : undefined;
    // What is said in one room may have a field that names another: beside the content it is named for certain.
    this.#values = { ...beside, ...inside, ...(roomId !== undefined && { roomId }) };
    this.said = roomId !== undefined && content !== fields ? content : this.get('content') ?? this.get('message');
  }

  /** The id of the room that it is about. @throws VALIDATION_FAILED */
  get roomId(): string { return this.text('roomId', MOST_ID); }

  /** The member whom it is about. @throws VALIDATION_FAILED */
  get userId(): string { return this.text('userId', MOST_ID); }

  has(name: string): boolean { return this.get(name) !== undefined; }

  /** A value; `null` is none. */
  get(name: string): unknown { return Object.hasOwn(this.#values, name) ? this.#values[name] ?? undefined : undefined; }

  /** @throws VALIDATION_FAILED */
  text(name: string, most: number): string {
    const value = this.get(name);
    if (typeof value === 'string' && value !== '' && value.length <= most) return value;
    throw invalid(name, `must be a text of 1 to ${most} characters`);
  }

  /** A text that people read: its characters count as people count them. @throws VALIDATION_FAILED */
  prose(name: string, max: number): string {
    const value = this.get(name);
    if (typeof value === 'string' && value !== '' && lengthUpTo(value, max) <= max) return value;
    throw invalid(name, `must be a text of 1 to ${max} characters`);
  }

  /** @throws VALIDATION_FAILED */
  flag(name: string): boolean {
    const value = this.get(name);
    if (typeof value === 'boolean') return value;
    throw invalid(name, 'must be true or false');
  }

  /** @throws VALIDATION_FAILED */
  integer(name: string, least: number, most: number): number {
    const value = this.get(name);
    if (Number.isInteger(value) && (value as number) >= least && (value as number) <= most) return value as number;
    throw invalid(name, `must be an integer from ${least} to ${most}`);
  }
}

/** A room is named by `roomId`; in `room` it is the same. */
function withId(values: Readonly<Record<string, unknown>>): Readonly<Record<string, unknown>> {
  return Object.hasOwn(values, 'room') ? { roomId: values.room, ...values } : values;
}
