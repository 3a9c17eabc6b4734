import { createHash } from 'node:crypto';
import { constants, inflateRawSync } from 'node:zlib';
import { BINARY, CLOSE, type Frame, PING, PONG, TEXT, closePayload, frame } from './frames.ts';
import { type Address, type Raw, rawWebSocket } from './raw.ts';

/** What a client sends and what must come of it. */
export interface FrameCase {
  readonly name: string;
  readonly send: Buffer;
  /** Send it in pieces of so many bytes, each in a turn of its own. */
  readonly chop?: number;
  /**
   * What comes back: `text …`, `binary …` and `error CODE` for messages, `pong …` in hex, `close 1002` at last.
   * Without a `close` the connection must survive, and the client closes it with 1000.
   */
  readonly expect: readonly string[];
  /** Over a connection that has negotiated permessage-deflate. */
  readonly deflate?: boolean;
}

/** The largest message the servers under this suite take. */
export const LIMIT = 131_072;

// RFC 7692 7.2.2: what a sender leaves off the end of a compressed message.
const TAIL = Buffer.of(0, 0, 0xff, 0xff);
const OFFER = 'permessage-deflate; server_no_context_takeover; client_no_context_takeover';

/** Short content as it is, long content by its length and digest. */
export function brief(content: Buffer | string): string {
  const bytes = Buffer.from(content);
  if (bytes.length <= 40 && typeof content === 'string') return content;
  return `${bytes.length}:${createHash('sha1').update(bytes).digest('hex').slice(0, 12)}`;
}

/** The envelope of a text message around content that is already in bytes, valid or not. */
export function envelope(content: Buffer | string): Buffer {
  return Buffer.concat([Buffer.from('{"type":"echo","content":"'), Buffer.from(content), Buffer.from('"}')]);
}

/** The bytes an envelope adds to its content. */
export const ENVELOPE = envelope('').length;

/** Runs one case. Resolves to what went wrong, or to `undefined`. */
export async function runFrameCase(address: Address, test: FrameCase): Promise<string | undefined> {
  let client: Raw | undefined;
  try {
    client = await rawWebSocket(address, test.deflate === true ? { headers: { 'Sec-WebSocket-Extensions': OFFER } } : {});
    const closes = test.expect.at(-1)?.startsWith('close') ?? false;
    const expected = closes ? test.expect : [...test.expect, 'close 1000'];
    await client.write(test.send, test.chop);
    if (!closes) {
      const { frames } = client;
      await client.until(`${test.expect.length} frames`, () => frames.length >= test.expect.length || client!.ended);
      await client.write(frame(CLOSE, closePayload(1000)));
    }
    await client.end();
    return difference(expected, client.frames.map(describeFrame));
  } catch (error) {
    return (error as Error).message;
  } finally {
    client?.reset();
  }
}

/** Runs many cases, some at a time. Resolves to the lines of those that failed. */
export async function runFrameCases(address: Address, cases: readonly FrameCase[], width = 16): Promise<string[]> {
  const failures: string[] = [];
  const queue = cases.values();
  await Promise.all(Array.from({ length: width }, async () => {
    for (const test of queue) {
      const failure = await runFrameCase(address, test);
      if (failure !== undefined) failures.push(`${test.name}: ${failure}`);
    }
  }));
  return failures;
}

/** Pongs and messages answer different things: each kind must be in order, not the one against the other. */
function difference(expected: readonly string[], heard: readonly string[]): string | undefined {
  const sorted = (events: readonly string[]) => [
    ...events.filter((event) => event.startsWith('pong')), ...events.filter((event) => !event.startsWith('pong')),
  ].join(', ');
  return sorted(expected) === sorted(heard) ? undefined : `expected [${sorted(expected)}] but heard [${heard.join(', ')}]`;
}

function describeFrame({ fin, rsv, opcode, masked, payload }: Frame): string {
  // A server never masks, and these servers have no reason to fragment.
  if (masked || !fin || (rsv & 3) !== 0) return `malformed fin=${fin} rsv=${rsv} masked=${masked}`;
  if (opcode === CLOSE) return payload.length < 2 ? 'close' : `close ${payload.readUInt16BE(0)}`;
  if (opcode === PING) return 'ping';
  if (opcode === PONG) return payload.length > 0 ? `pong ${payload.toString('hex')}` : 'pong';
  const data = rsv === 4 ? inflateRawSync(Buffer.concat([payload, TAIL]), { finishFlush: constants.Z_SYNC_FLUSH }) : payload;
  if (opcode === BINARY) return `raw binary ${brief(data)}`;
  if (opcode !== TEXT) return `opcode ${opcode}`;
  const { type, content } = JSON.parse(data.toString()) as { type: string; content: any };
  if (type === 'error') return `error ${content.code}`;
  return type === 'echo' ? `text ${brief(content)}` : `${type} ${content}`;
}
