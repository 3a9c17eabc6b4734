import { ModuleError } from '../errors.ts';
import { isRecord, toMessage, type Outgoing } from '../protocol.ts';

/** The version that this node writes. It reads the next one, too, so that a deploy may mix both. */
const VERSION = 1;
/**
 * How deep a message of another node may nest. It may wrap what a client sent, so this exceeds the limit for clients.
 */
const MAX_DEPTH = 1_100;

/** A message for a topic, or for one connection. */
export interface MessageBody {
  readonly message: Outgoing;
  /** Ids of connections that do not get it. */
  readonly except?: readonly string[] | undefined;
  /** Its receiver, if it is for one connection. */
  readonly to?: string | undefined;
}
/** What a node says of itself: `hello` asks for an answer, and `bye` ends it. */
export interface PeerBody { readonly peer: 'hello' | 'here' | 'bye' }
/** A word of one plugin to its like on other nodes. With `ask`, the sender waits for an answer with this number. */
export interface ChannelBody { readonly channel: string; readonly payload: unknown; readonly ask?: number | undefined }
/** An answer, or the error that there is instead. */
export interface AnswerBody {
  readonly answer: number;
  readonly payload?: unknown;
  readonly error?: { readonly code: string; readonly message: string; readonly details?: unknown } | undefined;
}
export type Body = MessageBody | PeerBody | ChannelBody | AnswerBody;

/** The sender of a packet, and its place among the packets of its topic. */
export interface Envelope {
  /** The id of the node. */
  readonly from: string;
  /** Random, for each start of the node. */
  readonly run: string;
  /** The number of the packet among all of its run. */
  readonly n: number;
  /** The number of the previous packet to the same topic; 0 if the sender does not know. */
  readonly prev: number;
}

/** Writes a packet. Fields of a later version may follow: they are ignored. */
export const encodePacket = (envelope: Envelope, body: Body): Buffer =>
  Buffer.from(JSON.stringify({ v: VERSION, ...envelope, ...body }));

const isText = (value: unknown, max: number): value is string =>
  typeof value === 'string' && value !== '' && value.length <= max;
const isCount = (value: unknown): value is number => Number.isSafeInteger(value) && (value as number) >= 0;

/**
 * Reads a packet. The bus is a trust boundary: packets are checked like any input.
 * @throws PACKET_INVALID
 */
export function decodePacket(bytes: Uint8Array): Envelope & Body {
  let packet: unknown;
  try {
    packet = JSON.parse(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString());
  } catch (cause) {
    throw new ModuleError('PACKET_INVALID', { reason: 'it is not JSON' }, { cause });
  }
  const reason = isRecord(packet) ? flaw(packet) : 'it is not an object';
  if (reason !== undefined) throw new ModuleError('PACKET_INVALID', { reason });
  return packet as Envelope & Body;
}

function flaw(packet: Readonly<Record<string, unknown>>): string | undefined {
  const { v, from, run, n, prev } = packet;
  if (!isCount(v) || v < 1) return 'it has no version';
  if (v > VERSION + 1) return `it has version ${v}, and this node reads up to version ${VERSION + 1}`;
  if (!isText(from, 255) || !isText(run, 64)) return 'it does not name its sender';
  if (!isCount(n) || !isCount(prev)) return 'it has no number';
  return bodyFlaw(packet);
}

function bodyFlaw({ message, except, to, peer, channel, ask, answer, error }: Readonly<Record<string, unknown>>):
string | undefined {
  if (message !== undefined) {
    try {
      toMessage(message, MAX_DEPTH);
    } catch (cause) {
      return `its message is not valid: ${(cause as Error).message}`;
    }
    if (except !== undefined && !(Array.isArray(except) && except.every((id) => typeof id === 'string'))) {
      return 'its "except" is no list of connections';
    }
    return to === undefined || typeof to === 'string' ? undefined : 'its "to" is no connection';
  }
  if (peer !== undefined) {
    return ['hello', 'here', 'bye'].includes(peer as string) ? undefined : 'its "peer" is unknown';
  }
  if (channel !== undefined) {
    if (!isText(channel, 64)) return 'its "channel" is no name';
    return ask === undefined || isCount(ask) ? undefined : 'its "ask" is no number';
  }
  if (!isCount(answer)) return 'it has no content';
  return error === undefined || (isRecord(error) && isText(error.code, 64)) ? undefined : 'its "error" has no code';
}
