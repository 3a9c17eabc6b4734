import { canonical, describe, ModuleError, rules, type Message, type Outgoing } from '../../src/index.ts';

/** Events that a socket raises itself. Clients cannot raise them, and the server cannot emit them. */
const RESERVED: ReadonlySet<string> = new Set([
  'connect', 'connect-error', 'connected', 'disconnect', 'disconnected', 'disconnecting',
  'newListener', 'removeListener',
]);
/** The kernel's maximum length of a message type. */
const MAX_EVENT_LENGTH = 64;
const MAX_ROOM_LENGTH = 256;
// eslint-disable-next-line no-control-regex -- these are rejected
const CONTROL = /[\u0000-\u001f\u007f]/;
/** A function call with about 100,000 arguments throws. */
const MAX_ARGUMENTS = 1_000;

type Acknowledge = (...answer: unknown[]) => unknown;

/** Whether clients cannot raise an event of this name. `error` is reserved for them, but the server may emit it. */
export function isReserved(event: string): boolean {
  const name = canonical(event);
  return RESERVED.has(name) || name === 'error';
}

/** Whether a name can be a message type and is not reserved. */
export const isEvent = (event: unknown): event is string => isType(event) && !RESERVED.has(canonical(event));

const isType = (event: unknown): event is string =>
  typeof event === 'string' && event !== '' && event.length <= MAX_EVENT_LENGTH;

/** @throws EVENT_INVALID for a name that cannot be a message type, and for a reserved one */
export function assertEvent(event: unknown): asserts event is string {
  if (isEvent(event)) return;
  const reason = isType(event)
    ? `must not be "${event}", which is reserved`
    : `must be a string of 1 to ${MAX_EVENT_LENGTH} characters, but is ${describe(event)}`;
  throw new ModuleError('EVENT_INVALID', { reason });
}

/** Whether nodes can send each other an event of this name. `connection` is for sockets that enter. */
export const isNodeEvent = (event: unknown): event is string => isEvent(event) && canonical(event) !== 'connection';

/** @throws EVENT_INVALID */
export function assertNodeEvent(event: unknown): asserts event is string {
  assertEvent(event);
  if (isNodeEvent(event)) return;
  throw new ModuleError('EVENT_INVALID', { reason: 'must not be "connection", which is reserved' });
}

/** The names of one or more rooms. @throws ROOM_INVALID, which clients can read, because they often choose the room */
export const roomNames = (rooms: unknown): string[] => (Array.isArray(rooms) ? rooms : [rooms]).map(roomName);

export const isRoom = (name: unknown): name is string =>
  typeof name === 'string' && name !== '' && name.length <= MAX_ROOM_LENGTH && !CONTROL.test(name);

// Numbers are converted to strings.
function roomName(room: unknown): string {
  const name = typeof room === 'number' ? String(room) : room;
  if (isRoom(name)) return name;
  const reason = `must be a string of 1 to ${MAX_ROOM_LENGTH} characters without control characters`;
  throw new ModuleError('ROOM_INVALID', { reason });
}

/** @throws TypeError */
export function assertFunction(value: unknown, what: string): void {
  if (typeof value !== 'function') throw new TypeError(`${what} must be a function, but is ${describe(value)}`);
}

/** @throws OPTION_INVALID if it is not a number of milliseconds that a timer accepts */
export function assertDelay(milliseconds: unknown): void {
  const { expected } = rules.duration;
  if (rules.duration.test(milliseconds)) return;
  throw new ModuleError('OPTION_INVALID', { path: 'timeout', given: describe(milliseconds), expected });
}

/**
 * Converts the arguments of an event to fields of a message. No argument: no content. One: the content. Several: a list
 * as content, with its length in `meta.args`.
 */
export function toFields(args: readonly unknown[]): Partial<Outgoing> {
  if (args.length === 0) return {};
  // As in JSON, which writes undefined in a list as null.
  if (args.length === 1) return { content: args[0] ?? null };
  return { content: args, meta: { args: args.length } };
}

/**
 * Converts a message to the arguments of an event: the payload, or the items of a list if `meta.args` is its length. A
 * list of one item, or with other fields, is rejected: layers would read a different payload than the listeners.
 * @throws INVALID_MESSAGE
 */
export function toArguments(message: Message): unknown[] {
  const { meta, fields } = message;
  const payload: unknown = message.payload;
  const count = meta && Object.hasOwn(meta, 'args') ? meta.args : undefined;
  const isEmpty = payload === undefined || (payload === fields && Object.keys(fields).length === 0);
  if (count === undefined) return isEmpty ? [] : [payload];
  if (count === 0 && isEmpty) return [];
  const isList = Array.isArray(payload) && payload.length === count && count !== 1 && count <= MAX_ARGUMENTS;
  if (isList) return payload as unknown[];
  const reason = '"meta.args" must be the length of the list in "content", '
    + `which must have 0 or 2 to ${MAX_ARGUMENTS} items and no other fields`;
  throw new ModuleError('INVALID_MESSAGE', { reason });
}

/** Whether another node's value can be the arguments of an event. */
export const isArguments = (args: unknown): args is unknown[] => Array.isArray(args) && args.length <= MAX_ARGUMENTS;

/** Splits the acknowledgement callback, if the last argument is a function, from the arguments to send. */
export function splitArguments(
  args: readonly unknown[],
): [args: readonly unknown[], acknowledge: Acknowledge | undefined] {
  const last = args.at(-1);
  return typeof last === 'function' ? [args.slice(0, -1), last as Acknowledge] : [args, undefined];
}
