import { isRecord, ModuleError, nodeOf, rules, toError } from '../../src/index.ts';
import type { Handshake } from './event-handshake.ts';
import { isArguments, isEvent, isNodeEvent, isRoom } from './event-wire.ts';

/** Selects sockets of another node: one by its id, or those in at least one of `rooms` and in none of `except`. */
export interface CallTarget {
  readonly socket?: string | undefined;
  /** @default all sockets of the namespace */
  readonly rooms?: readonly string[] | undefined;
  readonly except?: readonly string[] | undefined;
}

interface Sockets { readonly namespace: string; readonly to: CallTarget }
interface Event { readonly event: string; readonly args: readonly unknown[] }
/** Sends an event to sockets, as the same message on all nodes. */
export interface EmitCall extends Sockets, Event {
  readonly do: 'emit';
  readonly id: string;
  readonly timestamp: string;
}
export interface JoinCall extends Sockets { readonly do: 'join' | 'leave'; readonly rooms: readonly string[] }
export interface DisconnectCall extends Sockets { readonly do: 'disconnect'; readonly close: boolean }
export interface FetchCall extends Sockets { readonly do: 'fetch' }
/** Sends an event and returns acknowledgements: `ask` of one socket, `gather` of all selected ones. */
export interface AskCall extends Sockets, Event { readonly do: 'ask' | 'gather'; readonly timeout: number }
/** Sends an event to the listeners of the namespace itself. */
export interface RaiseCall extends Event {
  readonly do: 'raise';
  readonly namespace: string;
  readonly isAsked: boolean;
}
/** A call from one node to another. */
export type Call = EmitCall | JoinCall | DisconnectCall | FetchCall | AskCall | RaiseCall;

const isText = (max: number) => (value: unknown): value is string =>
  typeof value === 'string' && value !== '' && value.length <= max;
const isList = <T>(value: unknown, isItem: (item: unknown) => item is T): value is T[] =>
  Array.isArray(value) && value.every(isItem);
const isBoolean = (value: unknown): boolean => typeof value === 'boolean';
const isRooms = (value: unknown): boolean => value === undefined || isList(value, isRoom);
const isId = isText(255);

const FIELDS: Readonly<Record<string, (value: unknown) => boolean>> = {
  namespace: isText(256),
  to: (to) => isRecord(to) && (to.socket === undefined || isId(to.socket)) && isRooms(to.rooms) && isRooms(to.except),
  event: isEvent,
  nodeEvent: isNodeEvent,
  args: isArguments,
  id: isId,
  timestamp: isText(64),
  rooms: (rooms) => isList(rooms, isRoom),
  close: isBoolean,
  timeout: (timeout) => rules.duration.test(timeout),
  isAsked: isBoolean,
};
const CALLS: ReadonlyMap<unknown, readonly string[]> = new Map([
  ['emit', ['namespace', 'to', 'event', 'args', 'id', 'timestamp']],
  ['join', ['namespace', 'to', 'rooms']],
  ['leave', ['namespace', 'to', 'rooms']],
  ['disconnect', ['namespace', 'to', 'close']],
  ['fetch', ['namespace', 'to']],
  ['ask', ['namespace', 'to', 'event', 'args', 'timeout']],
  ['gather', ['namespace', 'to', 'event', 'args', 'timeout']],
  ['raise', ['namespace', 'event', 'args', 'isAsked']],
]);

/** Reads a call. The bus is a trust boundary: calls are checked like any input. @throws PACKET_INVALID */
export function readCall(given: unknown): Call {
  const fields = isRecord(given) ? CALLS.get(given.do) : undefined;
  // A later version may have further calls.
  if (!isRecord(given) || !fields) throw new ModuleError('PACKET_INVALID', { reason: 'its call is unknown' });
  const isRaised = given.do === 'raise';
  const wrong = fields.find((name) => !FIELDS[name === 'event' && isRaised ? 'nodeEvent' : name]!(given[name]));
  if (wrong !== undefined) throw new ModuleError('PACKET_INVALID', { reason: `its "${wrong}" is not valid` });
  return given as unknown as Call;
}

// Answers. The readers return `undefined` for an invalid answer.

/** The description of a socket. */
export interface SocketState {
  readonly id: string;
  readonly rooms: readonly string[];
  readonly data: unknown;
  readonly handshake: Handshake;
}

/** The acknowledgements of sockets, each with its arguments, and the sockets without one. */
export interface Gathered {
  readonly answers: readonly (readonly unknown[])[];
  readonly missing: readonly { readonly id: string; readonly code: string }[];
}

/**
 * Encodes a value of the application on its own, so that its failure can be answered.
 * @throws DATA_NOT_JSON
 */
export function toText(value: unknown, what: string): string | undefined {
  try {
    return JSON.stringify(value);
  } catch (cause) {
    throw new ModuleError('DATA_NOT_JSON', { what, reason: toError(cause).message }, { cause });
  }
}

/** Decodes a value. Returns it in an array. */
export function fromText(text: unknown): [value: unknown] | undefined {
  if (text === undefined) return [undefined];
  if (typeof text !== 'string') return undefined;
  try {
    return [JSON.parse(text)];
  } catch {
    // Invalid JSON of another node: the caller reports the node.
    return undefined;
  }
}

/** @param node the sender, which can describe only its own sockets */
export function readSockets(given: unknown, node: string): readonly SocketState[] | undefined {
  if (!Array.isArray(given)) return undefined;
  const sockets = given.map((one: unknown): SocketState | undefined => {
    if (!isRecord(one) || !isId(one.id) || nodeOf(one.id) !== node || !isList(one.rooms, isRoom)) return undefined;
    const data = fromText(one.data);
    return data && isHandshake(one.handshake)
      ? { id: one.id, rooms: one.rooms, data: data[0], handshake: one.handshake }
      : undefined;
  });
  return sockets.includes(undefined) ? undefined : sockets as SocketState[];
}

function isHandshake(given: unknown): given is Handshake {
  if (!isRecord(given)) return false;
  const { auth, headers, query, url, address, time, secure, xdomain, issued } = given;
  return [auth, headers, query].every(isRecord) && [url, address, time].every((text) => typeof text === 'string')
    && [secure, xdomain].every(isBoolean) && typeof issued === 'number';
}

export function readGathered(given: unknown): Gathered | undefined {
  if (!isRecord(given)) return undefined;
  const { answers, missing } = given;
  const isMissing = (one: unknown): one is Gathered['missing'][number] =>
    isRecord(one) && isId(one.id) && isText(64)(one.code);
  return isList(answers, isArguments) && isList(missing, isMissing) ? { answers, missing } : undefined;
}

export const readArguments = (given: unknown): unknown[] | undefined => (isArguments(given) ? given : undefined);
