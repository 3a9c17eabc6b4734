import { constants, deflateRawSync } from 'node:zlib';
import { BINARY, CONTINUATION, PING, TEXT, frame } from '../../support/frames.ts';
import { ENVELOPE, type FrameCase, LIMIT, brief, envelope } from '../../support/conformance.ts';

const RSV1 = 4;
const SIZES = [ENVELOPE, 125, 126, 127, 1_000, 1_024, 4_096, 16_384, 65_535, 65_536];

/** RFC 7692 7.2.1: a sync flush, less the four bytes it always ends with. */
function deflate(payload: Buffer): Buffer {
  return deflateRawSync(payload, { finishFlush: constants.Z_SYNC_FLUSH }).subarray(0, -4);
}

const test = (name: string, expect: readonly string[], ...frames: Buffer[]): FrameCase =>
  ({ name, deflate: true, send: Buffer.concat(frames), expect });

const sizes = SIZES.flatMap((size) => {
  const content = 'x'.repeat(size - ENVELOPE);
  const bytes = Buffer.alloc(size, 'xyz');
  return [
    test(`compressed text of ${size} bytes`, [`text ${brief(content)}`], frame(TEXT, deflate(envelope(content)), { rsv: RSV1 })),
    test(`compressed binary of ${size} bytes`, [`binary ${brief(bytes)}`], frame(BINARY, deflate(bytes), { rsv: RSV1 })),
  ];
});

const hello = deflate(envelope('hello'));
const bomb = deflate(Buffer.alloc(100 * 1_048_576));
const nested = deflate(deflate(envelope('hello')));

/** Family 12: permessage-deflate, where it has been negotiated. */
export const deflated: readonly FrameCase[] = [
  ...sizes,
  test('compressed nothing', [`binary ${brief(Buffer.alloc(0))}`], frame(BINARY, Buffer.of(0), { rsv: RSV1 })),
  test('compressed text in two fragments', ['text hello'],
    frame(TEXT, hello.subarray(0, 9), { rsv: RSV1, fin: false }), frame(CONTINUATION, hello.subarray(9))),
  test('compressed text with a ping inside', ['pong 70', 'text hello'],
    frame(TEXT, hello.subarray(0, 9), { rsv: RSV1, fin: false }), frame(PING, 'p'), frame(CONTINUATION, hello.subarray(9))),
  { ...test('compressed text a byte at a time', ['text hello'], frame(TEXT, hello, { rsv: RSV1 })), chop: 1 },
  test('three compressed texts in one write', ['text hello', 'text hello', 'text hello'],
    ...Array.from({ length: 3 }, () => frame(TEXT, hello, { rsv: RSV1 }))),
  test('plain text on a compressed link', ['text hello'], frame(TEXT, envelope('hello'))),
  test('plain, compressed, plain', ['text plain', 'text hello', 'text plain'],
    frame(TEXT, envelope('plain')), frame(TEXT, hello, { rsv: RSV1 }), frame(TEXT, envelope('plain'))),
  test('compressed twice is data', [`binary ${brief(hello)}`], frame(BINARY, nested, { rsv: RSV1 })),
  test('RSV1 on a continuation', ['close 1002'],
    frame(TEXT, hello.subarray(0, 9), { rsv: RSV1, fin: false }), frame(CONTINUATION, hello.subarray(9), { rsv: RSV1 })),
  test('RSV1 on a ping', ['close 1002'], frame(PING, 'p', { rsv: RSV1 })),
  test('RSV2 on a compressed link', ['close 1002'], frame(TEXT, hello, { rsv: 2 })),
  test('garbage', ['close 1007'], frame(BINARY, Buffer.alloc(64, 0xff), { rsv: RSV1 })),
  test('garbage in fragments', ['close 1007'],
    frame(TEXT, hello.subarray(0, 9), { rsv: RSV1, fin: false }), frame(CONTINUATION, Buffer.alloc(64, 0xff))),
  test('compressed text that is not UTF-8', ['close 1007'], frame(TEXT, deflate(envelope(Buffer.of(0xff))), { rsv: RSV1 })),
  test('limit + 1 bytes once inflated', ['close 1009'], frame(BINARY, deflate(Buffer.alloc(LIMIT + 1)), { rsv: RSV1 })),
  test('a bomb of 100 MB in 100 KB', ['close 1009'], frame(BINARY, bomb, { rsv: RSV1 })),
  test('a bomb in two fragments', ['close 1009'],
    frame(BINARY, bomb.subarray(0, 50_000), { rsv: RSV1, fin: false }), frame(CONTINUATION, bomb.subarray(50_000))),
];
