import { canonical, describe, ModuleError, rules } from '../../src/index.ts';

/** Names of what happens to a socket; no message of these types reaches its listeners, nor can they be sent. */
const RESERVED: ReadonlySet<string> = new Set([
  'connect', 'connect-error', 'connected', 'disconnect', 'disconnected', 'disconnecting', 'newListener', 'removeListener',
]);
/** The length of a type on the wire. */
const LONGEST_EVENT = 64;
const LONGEST_ROOM = 256;

/** Whether a client may not raise an event of this name. `error` is for the server's own, though it may be sent. */
export function isReserved(event: string): boolean {
  const name = canonical(event);
  return RESERVED.has(name) || name === 'error';
}

/** @throws EVENT_INVALID for what cannot be the type of a message, and for what happens by itself */
export function assertEvent(event: unknown): asserts event is string {
  if (typeof event !== 'string' || event === '' || event.length > LONGEST_EVENT) {
    throw new ModuleError('EVENT_INVALID', {}, { message: `an event's name must be a text of 1 to ${LONGEST_EVENT} characters, but is ${describe(event)}`, expose: false });
  }
  if (RESERVED.has(canonical(event))) throw new ModuleError('EVENT_INVALID', { event }, { message: `"${event}" is a reserved event name`, expose: false });
}

/** The names of one room or of several. @throws ROOM_INVALID, which the peer may see: it is often a peer that names a room */
export const roomNames = (rooms: unknown): string[] => (Array.isArray(rooms) ? rooms : [rooms]).map(roomName);

// Numbers are taken for their text.
function roomName(room: unknown): string {
  const name = typeof room === 'number' ? String(room) : room;
  // eslint-disable-next-line no-control-regex -- these are what is refused
  if (typeof name === 'string' && name !== '' && name.length <= LONGEST_ROOM && !/[\u0000-\u001f\u007f]/.test(name)) return name;
  throw new ModuleError('ROOM_INVALID', {}, { message: `a room's name must be a text of 1 to ${LONGEST_ROOM} characters without control characters` });
}

/** @throws TypeError */
export function assertFunction(value: unknown, what: string): void {
  if (typeof value !== 'function') throw new TypeError(`${what} must be a function, but is ${describe(value)}`);
}

/** @throws OPTION_INVALID for what is no number of milliseconds that a timer takes */
export function assertDelay(milliseconds: unknown): void {
  if (!rules.duration.test(milliseconds)) throw new ModuleError('OPTION_INVALID', { path: 'timeout', given: describe(milliseconds), expected: rules.duration.expected });
}
