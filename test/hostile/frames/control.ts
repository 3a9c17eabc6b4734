import { BINARY, CLOSE, CONTINUATION, PING, PONG, TEXT, frame } from '../../support/frames.ts';
import { type FrameCase, envelope } from '../../support/conformance.ts';

const start = (opcode: number) => frame(opcode, '{', { fin: false });

function pings(count: number): FrameCase {
  const payloads = Array.from({ length: count }, (_, index) => Buffer.from(`ping ${index}`));
  return {
    name: `${count} pings in order`,
    send: Buffer.concat(payloads.map((payload) => frame(PING, payload))),
    expect: payloads.map((payload) => `pong ${payload.toString('hex')}`),
  };
}

/** Family 2: pings and pongs. */
const pingPong: readonly FrameCase[] = [
  { name: 'ping of 0 bytes', send: frame(PING), expect: ['pong'] },
  { name: 'ping of 1 byte', send: frame(PING, Buffer.of(0)), expect: ['pong 00'] },
  { name: 'ping of 125 bytes', send: frame(PING, Buffer.alloc(125, 0xfe)), expect: [`pong ${'fe'.repeat(125)}`] },
  { name: 'ping of 125 bytes, a byte at a time', send: frame(PING, Buffer.alloc(125, 7)), chop: 1, expect: [`pong ${'07'.repeat(125)}`] },
  { name: 'ping of 126 bytes', send: frame(PING, Buffer.alloc(126)), expect: ['close 1002'] },
  { name: 'ping of 65,536 bytes', send: frame(PING, Buffer.alloc(65_536)), expect: ['close 1002'] },
  { name: 'pong nobody asked for', send: frame(PONG, 'why'), expect: [] },
  { name: 'empty pong nobody asked for', send: frame(PONG), expect: [] },
  { name: 'pong of 126 bytes', send: frame(PONG, Buffer.alloc(126)), expect: ['close 1002'] },
  { name: 'pong, then ping', send: Buffer.concat([frame(PONG, 'a'), frame(PING, 'b')]), expect: ['pong 62'] },
  {
    name: 'ping between two messages',
    send: Buffer.concat([frame(TEXT, envelope('one')), frame(PING, 'p'), frame(TEXT, envelope('two'))]),
    expect: ['text one', 'pong 70', 'text two'],
  },
  pings(10),
];

/** Family 3: a reserved bit that nobody has negotiated, in every kind of frame. */
const reserved: readonly FrameCase[] = [1, 2, 3, 4, 5, 6, 7].flatMap((rsv) =>
  [CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG].map((opcode) => ({
    name: `RSV ${rsv} with opcode ${opcode}`,
    send: Buffer.concat([
      ...opcode === CONTINUATION ? [start(BINARY)] : [],
      frame(opcode, opcode === CLOSE ? Buffer.of(3, 232) : envelope('x'), { rsv }),
    ]),
    expect: ['close 1002'],
  })));

const UNKNOWN = [3, 4, 5, 6, 7, 11, 12, 13, 14, 15];

/** Family 4: opcodes that don't exist, alone, with a payload, and after a message that must still be answered. */
const opcodes: readonly FrameCase[] = UNKNOWN.flatMap((opcode) => [
  { name: `opcode ${opcode}`, send: frame(opcode), expect: ['close 1002'] },
  { name: `opcode ${opcode} with a payload`, send: frame(opcode, 'hello', { fin: opcode % 2 === 0 }), expect: ['close 1002'] },
  {
    name: `opcode ${opcode} after a message`,
    send: Buffer.concat([frame(TEXT, envelope('before')), frame(opcode, 'x'), frame(PING)]),
    expect: ['text before', 'close 1002'],
  },
]);

export const control: readonly FrameCase[] = [...pingPong, ...reserved, ...opcodes];
