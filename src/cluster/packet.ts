import { ModuleError } from '../errors.ts';
import { isRecord, toMessage, type Outgoing } from '../protocol.ts';

/** The version of packets that this node sends. It also reads the next version: both may run during a deploy. */
const VERSION = 1;
/**
 * How deep a message of another node may nest. It may contain a client's message, so this exceeds the limit for those.
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
/** The state of a node: `hello` when it starts, which asks for a reply; `here` while it runs; `bye` when it stops. */
export interface PeerBody {
  readonly peer: 'hello' | 'here' | 'bye';
  /** The generation of the store's data in which the node has entered its seats. */
  readonly generation?: string | undefined;
}
/** A message of a plugin to the same plugin on other nodes. With `ask`, the sender waits for an answer to it. */
export interface ChannelBody { readonly channel: string; readonly payload: unknown; readonly ask?: number | undefined }
/** The answer to a question, or an error. */
export interface AnswerBody {
  readonly answer: number;
  readonly payload?: unknown;
  readonly error?: { readonly code: string; readonly message: string; readonly details?: unknown } | undefined;
}
export type Body = MessageBody | PeerBody | ChannelBody | AnswerBody;

/** The sender of a packet, and the number of the packet. */
export interface Envelope {
  /** The id of the node. */
  readonly from: string;
  /** A random id of the start of the node. */
  readonly run: string;
  /** The number of the packet among all packets of this run. */
  readonly n: number;
  /** The number of the previous packet to the same topic; 0 if the sender does not know. */
  readonly prev: number;
}

/** Encodes a packet. A later version may add fields, which this version ignores. */
export const encodePacket = (envelope: Envelope, body: Body): Buffer =>
  Buffer.from(JSON.stringify({ v: VERSION, ...envelope, ...body }));

const isText = (value: unknown, max: number): value is string =>
  typeof value === 'string' && value !== '' && value.length <= max;
const isCount = (value: unknown): value is number => Number.isSafeInteger(value) && (value as number) >= 0;

/**
 * Decodes a packet. Packets come from outside this process, so they are checked like any input.
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

function bodyFlaw(packet: Readonly<Record<string, unknown>>): string | undefined {
  const { message, except, to, peer, generation, channel, ask, answer, error } = packet;
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
    if (!['hello', 'here', 'bye'].includes(peer as string)) return 'its "peer" is unknown';
    return generation === undefined || isText(generation, 255) ? undefined : 'its "generation" is no text';
  }
  if (channel !== undefined) {
    if (!isText(channel, 64)) return 'its "channel" is no name';
    return ask === undefined || isCount(ask) ? undefined : 'its "ask" is no number';
  }
  if (!isCount(answer)) return 'it has no content';
  return error === undefined || (isRecord(error) && isText(error.code, 64)) ? undefined : 'its "error" has no code';
}
