import { constants, deflateRaw, deflateRawSync, type ZlibOptions } from 'node:zlib';
import type { Compression, Frame, FrameHolder } from './frame.ts';

/** Messages of this many bytes and more are compressed on a thread. A smaller one takes about a millisecond at most. */
const LARGE = 65_536;
/** Messages compressed at once. libuv has four threads; file access and name resolution need the others. */
const MAX_RUNNING = 2;

/** How zlib compresses. */
export type DeflateSettings = Pick<ZlibOptions, 'level' | 'memLevel'>;

/** Compresses frames: small ones at once; large ones on libuv's threads, while an outbox still holds them. */
export class Deflater {
  readonly #waiting = new Set<Deflation>();
  #running = 0;

  compress(frame: Frame, settings: DeflateSettings): void {
    const { level = constants.Z_DEFAULT_COMPRESSION, memLevel = 8 } = settings;
    const options = { level, memLevel, finishFlush: constants.Z_SYNC_FLUSH };
    if (frame.size < LARGE) frame.compress(withoutTail(deflateRawSync(frame.payload, options)));
    else frame.pending = new Deflation(frame, options, this);
  }

  add(deflation: Deflation): void {
    this.#waiting.add(deflation);
    this.#next();
  }

  delete(deflation: Deflation): void { this.#waiting.delete(deflation); }

  #next(): void {
    for (const deflation of this.#waiting) {
      if (this.#running >= MAX_RUNNING) return;
      this.#waiting.delete(deflation);
      this.#running++;
      deflation.run(() => {
        this.#running--;
        this.#next();
      });
    }
  }
}

/** The compression of one frame, and the outboxes that hold this frame meanwhile. */
class Deflation implements Compression {
  readonly #frame: Frame;
  readonly #options: ZlibOptions;
  readonly #deflater: Deflater;
  readonly #holders = new Set<FrameHolder>();
  #isRunning = false;

  constructor(frame: Frame, options: ZlibOptions, deflater: Deflater) {
    this.#frame = frame;
    this.#options = options;
    this.#deflater = deflater;
  }

  /** The first holder starts the compression: a frame that no outbox accepted is not compressed. */
  hold(holder: FrameHolder): void {
    this.#holders.add(holder);
    if (this.#holders.size === 1 && !this.#isRunning) this.#deflater.add(this);
  }

  release(holder: FrameHolder): void {
    this.#holders.delete(holder);
    if (this.#holders.size === 0) this.#deflater.delete(this);
  }

  run(done: () => void): void {
    this.#isRunning = true;
    const finish = (deflated?: Buffer): void => {
      const frame = this.#frame;
      const before = frame.length;
      frame.pending = undefined;
      if (deflated && deflated.length - TAIL < frame.size) frame.compress(withoutTail(deflated));
      for (const holder of this.#holders) holder.compressed(before - frame.length);
      done();
    };
    // If zlib fails, the frame is sent uncompressed: RFC 7692 lets the sender choose for each message.
    try {
      deflateRaw(this.#frame.payload, this.#options, (error, deflated) => finish(error ? undefined : deflated));
    } catch {
      finish();
    }
  }
}

/** The bytes 00 00 ff ff at the end of a sync flush are not sent (RFC 7692 7.2.1). */
const TAIL = 4;
const withoutTail = (deflated: Buffer): Buffer => deflated.subarray(0, -TAIL);
