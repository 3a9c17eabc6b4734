import { randomBytes } from 'node:crypto';

const TEXT = 0x1;
const CLOSE = 0x8;
const PONG = 0xa;

/** A client's frame: masked, as RFC 6455 5.3 has it. */
function frame(opcode: number, payload: Buffer): Buffer {
  const { length } = payload;
  const head = length < 126
    ? Buffer.of(0x80 | opcode, 0x80 | length)
    : Buffer.of(0x80 | opcode, 0xfe, length >> 8, length & 0xff);
  const mask = randomBytes(4);
  return Buffer.concat([head, mask, payload.map((byte, index) => byte ^ mask[index & 3]!)]);
}

export const textFrame = (text: string): Buffer => frame(TEXT, Buffer.from(text));
export const closeFrame = (code: number): Buffer => frame(CLOSE, Buffer.of(code >> 8, code & 0xff));
export const pongFrame = (payload: Buffer): Buffer => frame(PONG, payload);

/** Who is told of a server's frames. */
export interface FrameVisitor {
  /** A whole message. The bytes are only lent. */
  message(bytes: Buffer, start: number, end: number, compressed: boolean): void;
  control(opcode: number, payload: Buffer): void;
}

/** Cuts a stream into frames by their headers, and looks at nothing else. */
export class FrameReader {
  #rest: Buffer | undefined;

  read(chunk: Buffer, visitor: FrameVisitor): void {
    const bytes = this.#rest ? Buffer.concat([this.#rest, chunk]) : chunk;
    const { length } = bytes;
    let at = 0;
    while (length - at >= 2) {
      const first = bytes[at]!;
      let start = at + 2;
      let size = bytes[at + 1]!;
      if (size === 126) {
        if (length - at < 4) break;
        size = bytes.readUInt16BE(at + 2);
        start += 2;
      } else if (size === 127) {
        if (length - at < 10) break;
        size = Number(bytes.readBigUInt64BE(at + 2));
        start += 8;
      }
      const end = start + size;
      if (end > length) break;
      if ((first & 0x80) === 0) throw new Error('a fragment: no server here has a reason to send one');
      if ((first & 0x08) === 0) visitor.message(bytes, start, end, (first & 0x40) !== 0);
      else visitor.control(first & 0x0f, Buffer.from(bytes.subarray(start, end)));
      at = end;
    }
    // A frame that is not whole waits in a copy: the chunk is the socket's, which reads into it again.
    this.#rest = at < length ? Buffer.from(bytes.subarray(at)) : undefined;
  }
}
