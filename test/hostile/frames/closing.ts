import { BINARY, CLOSE, PING, TEXT, closePayload, frame } from '../../support/frames.ts';
import { type FrameCase, envelope } from '../../support/conformance.ts';

const VALID = [1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 1012, 1013, 1014, 3000, 3999, 4000, 4999];
const INVALID = [0, 1, 999, 1004, 1005, 1006, 1015, 1016, 1100, 2000, 2999, 5000, 32_768, 65_535];

const close = (code: number, reason: Buffer | string = '') => frame(CLOSE, closePayload(code, reason));
const after = (name: string, ...frames: Buffer[]): FrameCase => ({
  name: `${name} after a close`, send: Buffer.concat([close(1000), ...frames]), expect: ['close 1000'],
});

/** Family 7: codes that may and may not stand in a close frame, reasons, and what comes too late. */
export const closing: readonly FrameCase[] = [
  ...VALID.map((code) => ({ name: `close ${code}`, send: close(code, 'bye'), expect: [`close ${code}`] })),
  ...INVALID.map((code) => ({ name: `close ${code}`, send: close(code), expect: ['close 1002'] })),
  { name: 'close without a code', send: frame(CLOSE), expect: ['close'] },
  { name: 'close of 1 byte', send: frame(CLOSE, Buffer.of(3)), expect: ['close 1002'] },
  { name: 'close with a reason of 123 bytes', send: close(1000, 'r'.repeat(123)), expect: ['close 1000'] },
  { name: 'close with a reason of 124 bytes', send: close(1000, 'r'.repeat(124)), expect: ['close 1002'] },
  { name: 'close with a reason in two-byte letters', send: close(1000, 'é'.repeat(61)), expect: ['close 1000'] },
  { name: 'close with a reason that is not UTF-8', send: close(1000, Buffer.of(0xc0, 0xaf)), expect: ['close 1007'] },
  { name: 'close with a reason cut inside a letter', send: close(1000, Buffer.from('é').subarray(0, 1)), expect: ['close 1007'] },
  { name: 'close with CR and LF in its reason', send: close(4000, 'a\r\nb'), expect: ['close 4000'] },
  { name: 'close a byte at a time', send: close(3000, 'slow'), chop: 1, expect: ['close 3000'] },
  { name: 'close right after a message', send: Buffer.concat([frame(TEXT, envelope('last')), close(1000)]), expect: ['text last', 'close 1000'] },
  after('text', frame(TEXT, envelope('late'))),
  after('binary', frame(BINARY, 'late')),
  after('ping', frame(PING, 'late')),
  after('another close', close(1001)),
  after('an invalid frame', frame(7, 'late', { rsv: 7, mask: false })),
  after('garbage', Buffer.alloc(4_096, 0xff)),
];
