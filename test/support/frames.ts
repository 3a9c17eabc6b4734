import { randomBytes } from 'node:crypto';

export const CONTINUATION = 0x0;
export const TEXT = 0x1;
export const BINARY = 0x2;
export const CLOSE = 0x8;
export const PING = 0x9;
export const PONG = 0xa;

export interface FrameOptions {
  /** Whether this is the last frame of its message. @default true */
  readonly fin?: boolean;
  /** The three reserved bits as a number from 0 to 7; RSV1 is 4. @default 0 */
  readonly rsv?: number;
  /** Four bytes, or `false` for a frame without a mask. @default random */
  readonly mask?: Buffer | false;
  /** The length the header declares, whatever the payload is. @default the payload's */
  readonly declared?: number | bigint;
}

/** One WebSocket frame, valid or not, as bytes. Masked unless told otherwise: it is what a client sends. */
export function frame(opcode: number, payload: Buffer | string = '', options: FrameOptions = {}): Buffer {
  const body = Buffer.from(payload);
  const mask = options.mask ?? randomBytes(4);
  const first = ((options.fin ?? true) ? 0x80 : 0) | ((options.rsv ?? 0) << 4) | opcode;
  const head = lengthBytes(BigInt(options.declared ?? body.length), mask !== false);
  if (mask === false) return Buffer.concat([Buffer.of(first), head, body]);
  for (let i = 0; i < body.length; i++) body[i]! ^= mask[i & 3]!;
  return Buffer.concat([Buffer.of(first), head, mask, body]);
}

/** The payload of a close frame: two bytes of code, then the reason. */
export function closePayload(code: number, reason: Buffer | string = ''): Buffer {
  return Buffer.concat([Buffer.of(code >> 8, code & 0xff), Buffer.from(reason)]);
}

function lengthBytes(length: bigint, masked: boolean): Buffer {
  const bit = masked ? 0x80 : 0;
  if (length < 126n) return Buffer.of(bit | Number(length));
  if (length < 65_536n) return Buffer.of(bit | 126, Number(length >> 8n), Number(length & 0xffn));
  const bytes = Buffer.alloc(9);
  bytes[0] = bit | 127;
  bytes.writeBigUInt64BE(length, 1);
  return bytes;
}

export interface Frame {
  readonly fin: boolean;
  readonly rsv: number;
  readonly opcode: number;
  readonly masked: boolean;
  readonly payload: Buffer;
}

/** Reads the frames a server sends out of a stream of chunks. */
export function frameReader(): (chunk: Buffer) => Frame[] {
  let chunks: Buffer[] = [];
  let buffered = 0;
  let needed = 2;
  return (chunk) => {
    chunks.push(chunk);
    buffered += chunk.length;
    const frames: Frame[] = [];
    if (buffered < needed) return frames;
    let bytes = Buffer.concat(chunks);
    for (;;) {
      const size = frameSize(bytes);
      if (size === undefined || bytes.length < size.total) {
        needed = size?.total ?? bytes.length + 1;
        break;
      }
      const [first, second] = [bytes[0]!, bytes[1]!];
      frames.push({
        fin: (first & 0x80) !== 0, rsv: (first >> 4) & 7, opcode: first & 0x0f, masked: (second & 0x80) !== 0,
        payload: bytes.subarray(size.head, size.total),
      });
      bytes = bytes.subarray(size.total);
    }
    chunks = [bytes];
    buffered = bytes.length;
    return frames;
  };
}

function frameSize(bytes: Buffer): { head: number; total: number } | undefined {
  if (bytes.length < 2) return undefined;
  const mask = (bytes[1]! & 0x80) === 0 ? 0 : 4;
  const short = bytes[1]! & 0x7f;
  if (short < 126) return { head: 2 + mask, total: 2 + mask + short };
  const head = (short === 126 ? 4 : 10) + mask;
  if (bytes.length < head) return undefined;
  const length = short === 126 ? bytes.readUInt16BE(2) : Number(bytes.readBigUInt64BE(2));
  return { head, total: head + length };
}
