import fc from 'fast-check';
import { BINARY, CLOSE, CONTINUATION, type Frame, PING, PONG, TEXT, closePayload, frame } from './frames.ts';
import { type Address, handshake, raw } from './raw.ts';
import { eventually, timed, withinAllowance } from './timing.ts';

/** What one connection sends, and how it goes away. */
export interface Stream {
  readonly parts: readonly Buffer[];
  /** Bytes a write; `undefined` for each part as a whole. */
  readonly chop: number | undefined;
  readonly ending: 'end' | 'reset' | 'close';
  /** Positions and values of bytes of the handshake that are not what they should be. */
  readonly mutations: readonly (readonly [at: number, value: number])[];
}

const bytes = (max: number) => fc.uint8Array({ maxLength: max }).map((array) => Buffer.from(array));
const json = fc.json({ maxDepth: 3 }).map((text) => frame(TEXT, `{"type":"echo","content":${text}}`));
const anything = fc.record({
  opcode: fc.integer({ min: 0, max: 15 }), payload: bytes(300), fin: fc.boolean(), rsv: fc.integer({ min: 0, max: 7 }),
  mask: fc.constantFrom(Buffer.alloc(4), Buffer.of(1, 2, 3, 4), false as const),
}).map(({ opcode, payload, ...options }) => frame(opcode, payload, options));
const lying = fc.record({
  opcode: fc.constantFrom(TEXT, BINARY, PING, CLOSE), payload: bytes(64), declared: fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }),
}).map(({ opcode, payload, declared }) => frame(opcode, payload, { declared }));
const plain = fc.record({ opcode: fc.constantFrom(CONTINUATION, TEXT, BINARY, PING, PONG), payload: bytes(126), fin: fc.boolean() })
  .map(({ opcode, payload, fin }) => frame(opcode, payload, { fin }));
const closes = fc.record({ code: fc.integer({ min: 0, max: 65_535 }), reason: bytes(123) })
  .map(({ code, reason }) => frame(CLOSE, closePayload(code, reason)));

const part = fc.oneof(
  { weight: 4, arbitrary: json }, { weight: 3, arbitrary: plain }, { weight: 2, arbitrary: anything },
  { weight: 1, arbitrary: lying }, { weight: 1, arbitrary: closes }, { weight: 1, arbitrary: bytes(64) },
);

/** Streams that begin well and go wrong at any point, if they go wrong at all. */
export const streams: fc.Arbitrary<Stream> = fc.record({
  parts: fc.array(part, { maxLength: 8 }),
  chop: fc.option(fc.integer({ min: 1, max: 100 }), { nil: undefined, freq: 3 }),
  ending: fc.constantFrom('end', 'reset', 'close'),
  mutations: fc.oneof({ weight: 9, arbitrary: fc.constant([]) },
    { weight: 1, arbitrary: fc.array(fc.tuple(fc.nat(250), fc.integer({ min: 0, max: 255 })), { minLength: 1, maxLength: 4 }) }),
});

/** What a server may not send, or what this one has no reason to. */
function isOdd({ fin, rsv, opcode, masked }: Frame): boolean {
  return masked || !fin || rsv !== 0 || ![TEXT, BINARY, CLOSE, PING, PONG].includes(opcode);
}

/** Sends one stream. Rejects when the server holds the connection for more than 2 s, each time that it is sent. */
async function send(address: Address, stream: Stream): Promise<void> {
  await withinAllowance(4, async () => ({ 'ms until the end': { value: await timed(() => sendOnce(address, stream)), allowed: 2_000 } }));
}

/** Sends one stream, and resolves when the server has let go of the connection. */
async function sendOnce(address: Address, stream: Stream): Promise<void> {
  const client = await raw(address);
  const hello = Buffer.from(handshake(address), 'latin1');
  for (const [at, value] of stream.mutations) if (at < hello.length) hello[at] = value;
  await client.write(hello);
  if (stream.mutations.length === 0) await client.answer();
  for (const part of stream.parts) await client.write(part, stream.chop);
  if (stream.ending === 'reset') {
    client.reset();
    return;
  }
  if (stream.ending === 'close') await client.write(frame(CLOSE, closePayload(1000)));
  client.socket.end();
  await client.end();
  const odd = client.frames.find(isOdd);
  client.reset();
  if (odd) throw new Error(`the server sent a frame it may not send: ${JSON.stringify(odd)}`);
}

/** Sends so many streams to a server, some at a time. A failure is shrunk. */
export async function fuzz(address: Address, settings: { streams: number; count: () => number }): Promise<void> {
  const width = 50;
  const batch = fc.array(streams, { minLength: width, maxLength: width, size: 'max' });
  const property = fc.asyncProperty(batch, async (some) => {
    await Promise.all(some.map((stream) => send(address, stream)));
    await eventually('no connection', () => settings.count() === 0 || settings.count());
  });
  await fc.assert(property, { numRuns: Math.ceil(settings.streams / width), endOnFailure: true });
}
