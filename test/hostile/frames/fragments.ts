import { BINARY, CLOSE, CONTINUATION, PING, PONG, TEXT, closePayload, frame } from '../../support/frames.ts';
import { type FrameCase, brief, envelope } from '../../support/conformance.ts';

/** A message as a frame for each part. */
export function fragmented(opcode: number, parts: readonly Buffer[]): Buffer {
  return Buffer.concat(parts.map((part, index) =>
    frame(index === 0 ? opcode : CONTINUATION, part, { fin: index === parts.length - 1 })));
}

/** A payload a byte a part. */
export function bytewise(payload: Buffer): Buffer[] {
  return [...payload].map((byte) => Buffer.of(byte));
}

const NONE = Buffer.alloc(0);
const hello = envelope('hello');
const [left, right] = [hello.subarray(0, 20), hello.subarray(20)];
const long = envelope('ä'.repeat(400));

const broken = (name: string, ...frames: Buffer[]): FrameCase => ({ name, send: Buffer.concat(frames), expect: ['close 1002'] });
const fine = (name: string, expect: readonly string[], ...frames: Buffer[]): FrameCase => ({ name, send: Buffer.concat(frames), expect });

const masks: readonly FrameCase[] = [
  broken('unmasked text', frame(TEXT, hello, { mask: false })),
  broken('unmasked empty text', frame(TEXT, '', { mask: false })),
  broken('unmasked binary', frame(BINARY, 'x', { mask: false })),
  broken('unmasked ping', frame(PING, 'x', { mask: false })),
  broken('unmasked pong', frame(PONG, 'x', { mask: false })),
  broken('unmasked close', frame(CLOSE, closePayload(1000), { mask: false })),
  broken('unmasked second fragment', frame(TEXT, left, { fin: false }), frame(CONTINUATION, right, { mask: false })),
  fine('unmasked text after a masked one', ['text hello', 'close 1002'], frame(TEXT, hello), frame(TEXT, hello, { mask: false })),
  fine('a mask of zeros', ['text hello'], frame(TEXT, hello, { mask: Buffer.alloc(4) })),
  fine('a mask of ones', ['text hello'], frame(TEXT, hello, { mask: Buffer.alloc(4, 0xff) })),
];

const fragmentedControl: readonly FrameCase[] = [CLOSE, PING, PONG].flatMap((opcode) => [
  broken(`opcode ${opcode} without FIN`, frame(opcode, '', { fin: false })),
  broken(`opcode ${opcode} without FIN, with a payload`, frame(opcode, closePayload(1000), { fin: false })),
  broken(`opcode ${opcode} in two fragments`, frame(opcode, '', { fin: false }), frame(CONTINUATION)),
  broken(`opcode ${opcode} without FIN inside a message`, frame(TEXT, left, { fin: false }), frame(opcode, '', { fin: false })),
]);

const outOfPlace: readonly FrameCase[] = [true, false].flatMap((fin) => [
  broken(`continuation without a start, FIN ${fin}`, frame(CONTINUATION, 'x', { fin })),
  broken(`empty continuation without a start, FIN ${fin}`, frame(CONTINUATION, '', { fin })),
  fine(`continuation after a whole message, FIN ${fin}`, ['text hello', 'close 1002'], frame(TEXT, hello), frame(CONTINUATION, 'x', { fin })),
  broken(`text inside a text, FIN ${fin}`, frame(TEXT, left, { fin: false }), frame(TEXT, right, { fin })),
  broken(`binary inside a text, FIN ${fin}`, frame(TEXT, left, { fin: false }), frame(BINARY, right, { fin })),
  broken(`text inside a binary, FIN ${fin}`, frame(BINARY, 'x', { fin: false }), frame(TEXT, hello, { fin })),
]);

const inOrder: readonly FrameCase[] = [
  fine('text in two fragments', ['text hello'], fragmented(TEXT, [left, right])),
  fine('text a byte a fragment', ['text hello'], fragmented(TEXT, bytewise(hello))),
  fine('text of two-byte letters a byte a fragment', [`text ${brief('ä'.repeat(400))}`], fragmented(TEXT, bytewise(long))),
  { ...fine('text in two fragments, a byte at a time', ['text hello'], fragmented(TEXT, [left, right])), chop: 1 },
  fine('binary in three fragments', [`binary ${brief(Buffer.from('abc'))}`], fragmented(BINARY, bytewise(Buffer.from('abc')))),
  fine('empty first fragment', ['text hello'], fragmented(TEXT, [NONE, hello])),
  fine('empty last fragment', ['text hello'], fragmented(TEXT, [hello, NONE])),
  fine('empty middle fragment', ['text hello'], fragmented(TEXT, [left, NONE, NONE, right])),
  fine('nothing but empty text fragments', ['error INVALID_JSON'], fragmented(TEXT, [NONE, NONE, NONE])),
  fine('nothing but empty binary fragments', [`binary ${brief(NONE)}`], fragmented(BINARY, [NONE, NONE, NONE])),
  fine('a ping between fragments', ['pong 70', 'text hello'], frame(TEXT, left, { fin: false }), frame(PING, 'p'), frame(CONTINUATION, right)),
  fine('a pong between fragments', ['text hello'], frame(TEXT, left, { fin: false }), frame(PONG, 'p'), frame(CONTINUATION, right)),
  fine('ten pings between fragments', [...Array<string>(10).fill('pong 70'), 'text hello'],
    frame(TEXT, left, { fin: false }), ...Array.from({ length: 10 }, () => frame(PING, 'p')), frame(CONTINUATION, right)),
  fine('a close between fragments', ['close 1001'], frame(TEXT, left, { fin: false }), frame(CLOSE, closePayload(1001))),
  fine('two fragmented messages', ['text hello', 'text hello'], fragmented(TEXT, [left, right]), fragmented(TEXT, [left, NONE, right])),
  fine('text, then binary, each in fragments', ['text hello', `binary ${brief(Buffer.from('ab'))}`],
    fragmented(TEXT, [left, right]), fragmented(BINARY, bytewise(Buffer.from('ab')))),
];

/** 17,000 frames that carry nothing: each costs its sender 6 bytes and the server an object. */
const flood: FrameCase = {
  name: '17,000 empty fragments',
  send: Buffer.concat([frame(TEXT, '', { fin: false }), ...Array.from({ length: 17_000 }, () => frame(CONTINUATION, '', { fin: false }))]),
  expect: ['close 1008'],
};

/** Family 5: masks, fragments, and what may come between them. */
export const fragments: readonly FrameCase[] = [...masks, ...fragmentedControl, ...outOfPlace, ...inOrder, flood];
