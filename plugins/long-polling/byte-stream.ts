/**
 * ByteStream keeps the bytes to a client until the client has confirmed them. A position is the number of bytes before
 * it, counted from the beginning of the session.
 */
export class ByteStream {
  #chunks: Buffer[] = [];
  #start = 0;
  #end = 0;

  /** The position of the first byte that is not confirmed. */
  get start(): number { return this.#start; }

  /** The position after the last byte. */
  get end(): number { return this.#end; }

  /** Bytes that are not confirmed. */
  get size(): number { return this.#end - this.#start; }

  push(bytes: Buffer): void {
    this.#chunks.push(bytes);
    this.#end += bytes.length;
  }

  /** Drops the bytes before a position, which the client has. Returns `false` if the position is out of range. */
  confirm(position: number): boolean {
    if (position < this.#start || position > this.#end) return false;
    let count = 0;
    for (; count < this.#chunks.length && this.#start + this.#chunks[count]!.length <= position; count++) {
      this.#start += this.#chunks[count]!.length;
    }
    this.#chunks.splice(0, count);
    if (position > this.#start) {
      this.#chunks[0] = this.#chunks[0]!.subarray(position - this.#start);
      this.#start = position;
    }
    return true;
  }

  /** The bytes from a position on. */
  from(position: number): Buffer {
    const all = this.#chunks.length === 1 ? this.#chunks[0]! : Buffer.concat(this.#chunks);
    return all.subarray(position - this.#start);
  }
}
