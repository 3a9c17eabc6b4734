import { canonical, describe, ModuleError, rules, type Message, type Outgoing } from '../../src/index.ts';

/** Names that a socket raises itself. No message of these types reaches its listeners, and none can be emitted. */
const RESERVED: ReadonlySet<string> = new Set([
  'connect', 'connect-error', 'connected', 'disconnect', 'disconnected', 'disconnecting',
  'newListener', 'removeListener',
]);
/** The length of a type on the wire. */
const MAX_EVENT_LENGTH = 64;
const MAX_ROOM_LENGTH = 256;
// eslint-disable-next-line no-control-regex -- these are what is refused
const CONTROL = /[\u0000-\u001f\u007f]/;
/** Each is an argument of a function call, and a call with some 100,000 of them throws. */
const MAX_ARGUMENTS = 1_000;

type Acknowledge = (...answer: unknown[]) => unknown;

/** Whether a client may not raise an event of this name. `error` is among them, though the server may emit it. */
export function isReserved(event: string): boolean {
  const name = canonical(event);
  return RESERVED.has(name) || name === 'error';
}

/** @throws EVENT_INVALID for a name that cannot be a message type, and for a reserved one */
export function assertEvent(event: unknown): asserts event is string {
  if (typeof event !== 'string' || event === '' || event.length > MAX_EVENT_LENGTH) {
    const reason = `must be a string of 1 to ${MAX_EVENT_LENGTH} characters, but is ${describe(event)}`;
    throw new ModuleError('EVENT_INVALID', { reason });
  }
  if (!RESERVED.has(canonical(event))) return;
  throw new ModuleError('EVENT_INVALID', { reason: `must not be "${event}", which is reserved` });
}

/** The names of one room or of several. @throws ROOM_INVALID, which is exposed: often the client names the room */
export const roomNames = (rooms: unknown): string[] => (Array.isArray(rooms) ? rooms : [rooms]).map(roomName);

// A number is taken for its text.
function roomName(room: unknown): string {
  const name = typeof room === 'number' ? String(room) : room;
  if (typeof name === 'string' && name !== '' && name.length <= MAX_ROOM_LENGTH && !CONTROL.test(name)) return name;
  const reason = `must be a string of 1 to ${MAX_ROOM_LENGTH} characters without control characters`;
  throw new ModuleError('ROOM_INVALID', { reason });
}

/** @throws TypeError */
export function assertFunction(value: unknown, what: string): void {
  if (typeof value !== 'function') throw new TypeError(`${what} must be a function, but is ${describe(value)}`);
}

/** @throws OPTION_INVALID for what is no number of milliseconds that a timer takes */
export function assertDelay(milliseconds: unknown): void {
  const { expected } = rules.duration;
  if (rules.duration.test(milliseconds)) return;
  throw new ModuleError('OPTION_INVALID', { path: 'timeout', given: describe(milliseconds), expected });
}

/**
 * The arguments of an event as fields of its message: none is no content, one is the content, and several are a list,
 * whose length `meta.args` tells.
 */
export function toFields(args: readonly unknown[]): Partial<Outgoing> {
  if (args.length === 0) return {};
  // As in JSON, where a list has no place for undefined either.
  if (args.length === 1) return { content: args[0] ?? null };
  return { content: args, meta: { args: args.length } };
}

/**
 * The arguments that a message carries: its payload, or the items of a list when `meta.args` is its length. A list of
 * one item is refused, and so is a list with fields beside it: layers would read another payload than the listeners.
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
    + `which has 0 or 2 to ${MAX_ARGUMENTS} items and no fields beside it`;
  throw new ModuleError('INVALID_MESSAGE', { reason });
}

/** The arguments to send, and the function that gets the acknowledgement when the last argument is one. */
export function splitArguments(
  args: readonly unknown[],
): [args: readonly unknown[], acknowledge: Acknowledge | undefined] {
  const last = args.at(-1);
  return typeof last === 'function' ? [args.slice(0, -1), last as Acknowledge] : [args, undefined];
}
