const FIN = 0x80;
/** Marks a compressed message (RFC 7692 6). */
const RSV1 = 0x40;
export const TEXT = 0x1;
export const BINARY = 0x2;

/** Holds a frame until it is written: an outbox. */
export interface FrameHolder {
  /** Called when the compression is finished. `saved` is 0 if it failed or saved nothing. */
  compressed(saved: number): void;
}

/** A running or waiting compression. */
export interface Compression {
  hold(holder: FrameHolder): void;
  /** The holder dropped the frame, or wrote it uncompressed. */
  release(holder: FrameHolder): void;
}

/**
 * An unmasked frame (RFC 6455 5.2). A string payload is encoded only when it is written to the buffer of the socket:
 * one buffer per message would cost the garbage collector as much as the rest of the message.
 */
export class Frame {
  /** Bytes of the frame with its header. */
  length: number;
  /** The compression, until it is finished. Meanwhile the frame may be written uncompressed. */
  pending: Compression | undefined = undefined;
  /** The full outboxes that hold it, and the bytes that were counted for it. */
  hold: { count: number; readonly bytes: number } | undefined = undefined;
  #payload: string | Uint8Array;
  #size: number;
  #opcode: number;
  #bytes: Buffer | undefined = undefined;

  /** @param size bytes of the payload */
  constructor(payload: string | Uint8Array, size: number, opcode: number) {
    this.length = lengthOf(size);
    this.#payload = payload;
    this.#size = size;
    this.#opcode = opcode;
  }

  /** Creates a frame with a copy of the payload: the caller may change its bytes before the frame is written. */
  static copyOf(payload: Uint8Array, opcode: number): Frame {
    const frame = new Frame(payload, payload.byteLength, opcode);
    frame.#payload = frame.bytes.subarray(frame.length - frame.#size);
    return frame;
  }

  get payload(): string | Uint8Array { return this.#payload; }

  get size(): number { return this.#size; }

  /** Replaces the payload by its compressed form. */
  compress(deflated: Uint8Array): void {
    this.length = lengthOf(deflated.byteLength);
    this.#payload = deflated;
    this.#size = deflated.byteLength;
    this.#opcode |= RSV1;
    this.#bytes = undefined;
  }

  /** The frame as one buffer, which all recipients share. */
  get bytes(): Buffer {
    if (this.#bytes === undefined) this.writeTo((this.#bytes = Buffer.allocUnsafe(this.length)), 0);
    return this.#bytes;
  }

  /** Writes the frame at an offset of a buffer. Returns the offset after it. */
  writeTo(buffer: Buffer, start: number): number {
    const size = this.#size;
    const payload = this.#payload;
    let at = start;
    buffer[at++] = FIN | this.#opcode;
    if (size < 126) buffer[at++] = size;
    else if (size < 65_536) {
      buffer[at++] = 126;
      at = buffer.writeUInt16BE(size, at);
    } else {
      buffer[at++] = 127;
      at = buffer.writeBigUInt64BE(BigInt(size), at);
    }
    if (typeof payload === 'string') buffer.write(payload, at, size);
    else buffer.set(payload, at);
    return at + size;
  }
}

/** A whole, unmasked frame, as the sockets of all transports write it. */
export const encodeFrame = (opcode: number, payload: Uint8Array): Buffer =>
  new Frame(payload, payload.byteLength, opcode).bytes;

const lengthOf = (size: number): number => size + (size < 126 ? 2 : size < 65_536 ? 4 : 10);

/** Bytes from an application: a Buffer or another view, or an ArrayBuffer. */
export type Binary = ArrayBufferView | ArrayBufferLike;

/** Whether a value is sent as a binary frame. */
export function isBinary(value: unknown): value is Binary {
  return ArrayBuffer.isView(value) || value instanceof ArrayBuffer || value instanceof SharedArrayBuffer;
}
