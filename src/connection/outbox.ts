import type { Settings } from '../runtime/options.ts';
import type { Frame, FrameHolder } from './frame.ts';
import type { Socket } from './transport.ts';

/**
 * Sockets flushed for fan-outs in one turn of the event loop. The others wait for the next turn, so that a large
 * broadcast delays nothing else.
 */
const SLICE = 256;
/** Frames of up to this many bytes together are joined into one buffer; more are not worth the copy. */
const JOIN = 16_384;

/** Flushes outboxes once per turn of the event loop: everything that a turn sends to a socket leaves in one write. */
export class Flusher {
  #withReplies: Outbox[] = [];
  #others: Outbox[] = [];
  #scheduled = false;
  // The last frames that were joined: recipients of the same burst get the same buffer.
  #run: Frame[] = [];
  #joined: Buffer = Buffer.alloc(0);

  /** @param isReply whether the outbox holds a reply to its client; replies are written first */
  add(outbox: Outbox, isReply: boolean): void {
    (isReply ? this.#withReplies : this.#others).push(outbox);
    this.#schedule();
  }

  // setImmediate, not a microtask: a burst of messages arrives in several reads of one turn, and all answers to it are
  // there only at the end of that turn.
  #schedule(): void {
    if (this.#scheduled) return;
    this.#scheduled = true;
    setImmediate(() => this.#flush());
  }

  #flush(): void {
    this.#scheduled = false;
    const withReplies = this.#withReplies;
    const others = this.#others;
    this.#withReplies = [];
    this.#others = others.length > SLICE ? others.slice(SLICE) : [];
    if (this.#others.length > 0) this.#schedule();
    for (const outbox of withReplies) outbox.flush();
    for (let index = 0; index < others.length && index < SLICE; index++) others[index]!.flush();
    this.#run = [];
  }

  /** Frames as one buffer. */
  join(frames: Frame[], size: number): Buffer {
    const run = this.#run;
    if (run.length === frames.length && frames.every((frame, index) => frame === run[index])) return this.#joined;
    const buffer = Buffer.allocUnsafe(size);
    let at = 0;
    for (const frame of frames) at = frame.writeTo(buffer, at);
    this.#run = frames;
    return (this.#joined = buffer);
  }
}

/** The frames of an outbox in which nothing waits: most are, and need no list of their own. */
const NONE: Frame[] = [];

/** What an outbox needs of its connection. */
export interface OutboxOwner {
  readonly socket: Socket;
  /** Frames that will not be sent. */
  dropped(count: number): void;
  /** The limit is passed, and the policy is to disconnect. */
  overflowed(): void;
  /** Nothing waits any more. */
  emptied(): void;
  /** A frame was counted with more bytes than it has now. */
  compressed(saved: number): void;
}

/** One client's bounded queue of frames. */
export class Outbox implements FrameHolder {
  readonly #owner: OutboxOwner;
  readonly #flusher: Flusher;
  readonly #settings: Settings['outbox'];
  #frames = NONE;
  #bytes = 0;
  #scheduled = false;
  #blocked = false;

  constructor(owner: OutboxOwner, flusher: Flusher, settings: Settings['outbox']) {
    this.#owner = owner;
    this.#flusher = flusher;
    this.#settings = settings;
  }

  /** Bytes that wait, here and in the socket. */
  get bytes(): number { return this.#bytes + this.#owner.socket.unsent; }

  /** Queues a frame. A single one may exceed the limit, so that none is unsendable. `false`: it is not queued. */
  push(frame: Frame, isReply: boolean): boolean {
    const waiting = this.bytes;
    if (waiting > 0 && waiting + frame.length > this.#settings.limit && !this.#makeRoom(frame.length)) return false;
    if (this.#frames === NONE) this.#frames = [];
    this.#frames.push(frame);
    this.#bytes += frame.length;
    frame.pending?.hold(this);
    if (!this.#scheduled && !this.#blocked) {
      this.#scheduled = true;
      this.#flusher.add(this, isReply);
    }
    return true;
  }

  #makeRoom(size: number): boolean {
    const { limit, policy } = this.#settings;
    if (policy === 'disconnect') this.#owner.overflowed();
    let count = 0;
    if (policy === 'drop-oldest') {
      while (count < this.#frames.length && this.bytes + size > limit) this.#bytes -= this.#frames[count++]!.length;
    }
    for (const frame of this.#frames.splice(0, count)) frame.pending?.release(this);
    // What the socket already holds cannot be taken back: when that alone is too much, the new frame is dropped.
    const fits = count > 0 && (this.bytes === 0 || this.bytes + size <= limit);
    this.#owner.dropped(fits ? count : count + 1);
    return fits;
  }

  /** Whether nothing waits, here or in a full socket. */
  get isIdle(): boolean { return this.#frames.length === 0 && !this.#blocked; }

  /** The frames wait for their order's sake while the first one is being compressed. */
  compressed(saved: number): void {
    this.#bytes -= saved;
    this.#owner.compressed(saved);
    if (this.#scheduled || this.#blocked) return;
    this.#scheduled = true;
    this.#flusher.add(this, false);
  }

  /**
   * Writes what waits, up to a frame that is still being compressed; where the socket is full, when it has drained.
   * @param last whether something else is written next: then everything is written, uncompressed where need be
   */
  flush(last = false): void {
    this.#scheduled = false;
    while (this.#frames.length > 0 && this.#owner.socket.isOpen) {
      if (!last && (this.#blocked || this.#frames[0]!.pending)) break;
      this.#write(this.#take());
    }
    if (this.isIdle) this.#owner.emptied();
  }

  // The socket is given little at once, and nothing when it is full: it does not give back what a newer message
  // should replace.
  #take(): Buffer {
    let count = 1;
    const first = this.#frames[0]!;
    let size = first.length;
    // A frame that is being compressed is too large to be joined.
    while (count < this.#frames.length && size + this.#frames[count]!.length <= JOIN) {
      size += this.#frames[count++]!.length;
    }
    const frames = count === this.#frames.length ? this.#frames : this.#frames.splice(0, count);
    if (frames === this.#frames) this.#frames = NONE;
    this.#bytes -= size;
    first.pending?.release(this);
    return count === 1 ? first.bytes : this.#flusher.join(frames, size);
  }

  #write(buffer: Buffer): void {
    if (this.#owner.socket.write(buffer) || this.#blocked) return;
    this.#blocked = true;
    this.#owner.socket.onceDrained(() => {
      this.#blocked = false;
      this.flush();
    });
  }

  /** Forgets what waits. Returns how many frames that was. */
  clear(): number {
    const count = this.#frames.length;
    for (const frame of this.#frames) frame.pending?.release(this);
    this.#frames = NONE;
    this.#bytes = 0;
    return count;
  }
}
