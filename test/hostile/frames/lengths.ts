import { BINARY, CONTINUATION, TEXT, frame } from '../../support/frames.ts';
import { ENVELOPE, type FrameCase, LIMIT, brief, envelope } from '../../support/conformance.ts';

const SMALL = [125, 126, 127, 128];
const LARGE = [65_535, 65_536, LIMIT];

function binary(size: number): FrameCase {
  const payload = Buffer.alloc(size, 'abc');
  return { name: `binary of ${size} bytes`, send: frame(BINARY, payload), expect: [`binary ${brief(payload)}`] };
}

function text(size: number): FrameCase {
  const content = 'x'.repeat(size - ENVELOPE);
  return { name: `text of ${size} bytes`, send: frame(TEXT, envelope(content)), expect: [`text ${brief(content)}`] };
}

function chopped(test: FrameCase, chop: number): FrameCase {
  return { ...test, chop, name: `${test.name}, ${chop} at a time` };
}

const empty: FrameCase = { name: 'empty text', send: frame(TEXT), expect: ['error INVALID_JSON'] };
const digit: FrameCase = { name: 'text of 1 byte', send: frame(TEXT, '5'), expect: ['error INVALID_MESSAGE'] };
const tiny = [binary(0), binary(1), empty, digit];
const small = SMALL.flatMap((size) => [binary(size), text(size)]);
const large = LARGE.flatMap((size) => [binary(size), text(size)]);

/** A header that declares more than will ever come: the server must not wait for it. */
function declared(name: string, length: number | bigint): FrameCase[] {
  return [TEXT, BINARY].map((opcode) => ({
    name: `opcode ${opcode} that declares ${name} bytes`, send: frame(opcode, '', { declared: length }), expect: ['close 1009'],
  }));
}

function halves(opcode: number, more: number): Buffer {
  const payload = opcode === TEXT ? envelope('y'.repeat(LIMIT + more - ENVELOPE)) : Buffer.alloc(LIMIT + more);
  return Buffer.concat([
    frame(opcode, payload.subarray(0, LIMIT / 2), { fin: false }),
    frame(CONTINUATION, payload.subarray(LIMIT / 2)),
  ]);
}

/** Family 1: every width of the length field, at its edges, whole and chopped; the limit, and lengths past all sense. */
export const lengths: readonly FrameCase[] = [
  ...tiny, ...small, ...large,
  ...[...tiny, ...small].map((test) => chopped(test, 1)),
  ...large.map((test) => chopped(test, 997)),
  { name: 'binary of limit + 1 bytes', send: frame(BINARY, Buffer.alloc(LIMIT + 1)), expect: ['close 1009'] },
  { name: 'text of limit + 1 bytes', send: frame(TEXT, envelope('x'.repeat(LIMIT + 1 - ENVELOPE))), expect: ['close 1009'] },
  ...declared('limit + 1', LIMIT + 1),
  ...declared('2^31', 2n ** 31n),
  ...declared('2^32 + 5', 2n ** 32n + 5n),
  ...declared('2^40', 2n ** 40n),
  ...declared('2^53', 2n ** 53n),
  ...declared('2^53 + 1', 2n ** 53n + 1n),
  ...declared('2^63', 2n ** 63n),
  ...declared('2^64 - 1', 2n ** 64n - 1n),
  { name: 'binary of the limit in two fragments', send: halves(BINARY, 0), expect: [`binary ${brief(Buffer.alloc(LIMIT))}`] },
  { name: 'text of the limit in two fragments', send: halves(TEXT, 0), expect: [`text ${brief('y'.repeat(LIMIT - ENVELOPE))}`] },
  { name: 'binary over the limit in two fragments', send: halves(BINARY, 1), expect: ['close 1009'] },
  { name: 'text over the limit in two fragments', send: halves(TEXT, 1), expect: ['close 1009'] },
  {
    name: 'a message over the limit after one within it',
    send: Buffer.concat([frame(TEXT, envelope('first')), frame(BINARY, '', { declared: LIMIT + 1 })]),
    expect: ['text first', 'close 1009'],
  },
];
