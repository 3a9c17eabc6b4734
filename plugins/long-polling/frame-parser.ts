import { isUtf8 } from 'node:buffer';

export const TEXT = 0x1;
export const BINARY = 0x2;
export const CLOSE = 0x8;
export const PING = 0x9;
export const PONG = 0xa;

/** A frame of a client: unmasked, and never fragmented. */
export interface ClientFrame { readonly opcode: number; readonly payload: Buffer }

/** The error for a client that violates the protocol. `closeCode` is the code with which it is closed. */
export class FrameFault extends Error {
  override readonly name = 'FrameFault';
  readonly code = 'POLLING_FRAME_INVALID';
  readonly closeCode: number;

  constructor(closeCode: number, message: string) {
    super(message);
    this.closeCode = closeCode;
  }
}

/** Bytes that each buffer counts in addition to its content, because a client may send a message byte by byte. */
const BUFFER_OVERHEAD = 256;

/** FrameParser cuts a stream of bytes, which arrives in pieces of any length, into frames (RFC 6455 5.2). */
export class FrameParser {
  readonly #maxPayload: number;
  #pieces: Buffer[] = [];
  #bytes = 0;
  /** Number of bytes with which parsing can go on: those of the header, and then those of the frame. */
  #needed = 2;
  /** Identifies the frame that is being read. */
  #mark = {};

  constructor(maxPayload: number) {
    this.#maxPayload = maxPayload;
  }

  /** The incomplete frame; `undefined` between two frames. `mark` is the same object until the frame is complete. */
  get unfinished(): { readonly bytes: number; readonly mark: object } | undefined {
    if (this.#bytes === 0) return undefined;
    return { bytes: this.#bytes + BUFFER_OVERHEAD * (this.#pieces.length + 1), mark: this.#mark };
  }

  push(bytes: Buffer): void {
    if (bytes.length === 0) return;
    this.#pieces.push(bytes);
    this.#bytes += bytes.length;
  }

  /** The next frame, if all its bytes are there. @throws FrameFault */
  next(): ClientFrame | undefined {
    while (this.#bytes >= this.#needed) {
      // The pieces are joined once for the header, and once when the frame is complete.
      const all = this.#pieces.length === 1 ? this.#pieces[0]! : Buffer.concat(this.#pieces);
      this.#pieces = [all];
      const { opcode, start, length } = this.#header(all);
      if (start === 0 || all.length < start + length) {
        if (start > 0) this.#needed = start + length;
        continue;
      }
      const end = start + length;
      const payload = all.subarray(start, end);
      if (opcode === TEXT && !isUtf8(payload)) throw new FrameFault(1007, 'a text frame is not UTF-8');
      this.#bytes -= end;
      this.#pieces = this.#bytes > 0 ? [all.subarray(end)] : [];
      this.#needed = 2;
      this.#mark = {};
      return { opcode, payload };
    }
    return undefined;
  }

  /** Drops the bytes of the incomplete frame. */
  clear(): void {
    this.#pieces = [];
    this.#bytes = 0;
    this.#needed = 2;
  }

  /** Reads the header. `start`: where the payload begins; 0 if the header is incomplete, and `#needed` was raised. */
  #header(all: Buffer): { readonly opcode: number; readonly start: number; readonly length: number } {
    const [first = 0, second = 0] = all;
    const opcode = first & 0x0f;
    if ((first & 0xf0) !== 0x80) throw new FrameFault(1002, 'a frame is fragmented or has reserved bits');
    if ((second & 0x80) !== 0) throw new FrameFault(1002, 'a frame is masked');
    if (opcode !== TEXT && opcode !== BINARY && opcode !== CLOSE && opcode !== PING && opcode !== PONG) {
      throw new FrameFault(1002, `a frame has the unknown opcode ${opcode}`);
    }
    if (opcode >= CLOSE && second > 125) throw new FrameFault(1002, 'a control frame is longer than 125 bytes');
    const start = second < 126 ? 2 : second === 126 ? 4 : 10;
    if (all.length < start) {
      this.#needed = start;
      return { opcode, start: 0, length: 0 };
    }
    const length = start === 2 ? second : start === 4 ? all.readUInt16BE(2) : Number(all.readBigUInt64BE(2));
    if (length > this.#maxPayload) throw new FrameFault(1009, `a message is longer than ${this.#maxPayload} bytes`);
    return { opcode, start, length };
  }
}

/** The payload of a close frame. */
export function closePayload(code: number, reason: string): Buffer {
  const payload = Buffer.from(`xx${reason}`);
  payload.writeUInt16BE(code);
  return payload;
}

/** The code and reason of a client's close frame; 1005 without a code (RFC 6455 7.1.5). */
export function readClose(payload: Buffer): { readonly code: number; readonly reason: string } {
  if (payload.length < 2) return { code: 1005, reason: '' };
  return { code: payload.readUInt16BE(), reason: payload.toString('utf8', 2) };
}
