import type { TransportSocket } from '../contracts.ts';
import type { Settings } from '../runtime/options.ts';
import type { Frame, FrameHolder } from './frame.ts';
import { OutboxBudget, type FullOutbox } from './outbox-budget.ts';

/**
 * Outboxes without replies that are flushed in one turn of the event loop. The others wait for the next turn, so that a
 * large broadcast delays nothing else.
 */
const MAX_FLUSHES = 256;
/** Frames of up to this many bytes together are joined into one buffer. For more, the copy costs too much. */
const MAX_JOINED_BYTES = 16_384;

/** Flushes outboxes once per turn of the event loop: all messages of a turn to a socket are sent in one write. */
export class Flusher {
  readonly budget: OutboxBudget;
  #withReplies: Outbox[] = [];
  #others: Outbox[] = [];
  #isScheduled = false;
  // The last joined frames and their buffer: recipients of the same frames share it.
  #lastFrames: Frame[] = [];
  #lastBuffer: Buffer = Buffer.alloc(0);

  constructor(settings: Settings['outbox']) {
    this.budget = new OutboxBudget(settings.totalLimit);
  }

  /** @param isReply whether the outbox holds a reply; such outboxes are flushed first */
  add(outbox: Outbox, isReply: boolean): void {
    (isReply ? this.#withReplies : this.#others).push(outbox);
    this.#schedule();
  }

  // setImmediate, not a microtask: several reads of one turn may bring messages, and all replies to them are there only
  // at the end of that turn.
  #schedule(): void {
    if (this.#isScheduled) return;
    this.#isScheduled = true;
    setImmediate(() => this.#flush());
  }

  #flush(): void {
    this.#isScheduled = false;
    const withReplies = this.#withReplies;
    const others = this.#others;
    this.#withReplies = [];
    this.#others = others.length > MAX_FLUSHES ? others.slice(MAX_FLUSHES) : [];
    if (this.#others.length > 0) this.#schedule();
    for (const outbox of withReplies) outbox.flush();
    for (let index = 0; index < others.length && index < MAX_FLUSHES; index++) others[index]!.flush();
    this.#lastFrames = [];
  }

  /** Joins frames into one buffer. */
  join(frames: Frame[], size: number): Buffer {
    const last = this.#lastFrames;
    if (last.length === frames.length && frames.every((frame, index) => frame === last[index])) return this.#lastBuffer;
    const buffer = Buffer.allocUnsafe(size);
    let at = 0;
    for (const frame of frames) at = frame.writeTo(buffer, at);
    this.#lastFrames = frames;
    return (this.#lastBuffer = buffer);
  }
}

/** The list that all empty outboxes share: most outboxes are empty. */
const NONE: Frame[] = [];

/** What an outbox uses of its connection. */
export interface OutboxOwner {
  readonly socket: TransportSocket;
  /** Called with the number of frames that will not be sent. */
  dropped(count: number): void;
  /** Called when the limit is exceeded and the policy is `disconnect`. */
  overflowed(): void;
  /** Called when all outboxes together exceed their limit, and this one holds the most. */
  evicted(): void;
  /** Called when nothing waits any more. */
  emptied(): void;
  /** Called when the compression of a frame saved so many bytes after the frame was counted. */
  compressed(saved: number): void;
}

/** One client's bounded queue of frames. */
export class Outbox implements FrameHolder, FullOutbox {
  readonly #owner: OutboxOwner;
  readonly #flusher: Flusher;
  readonly #settings: Settings['outbox'];
  #frames = NONE;
  #bytes = 0;
  #isScheduled = false;
  /** Whether the socket is full: the outbox waits until it has drained. */
  #isBlocked = false;
  /** While the socket is full: the frames that it has not sent, which count in the budget as the waiting ones do. */
  #unsent = NONE;

  constructor(owner: OutboxOwner, flusher: Flusher, settings: Settings['outbox']) {
    this.#owner = owner;
    this.#flusher = flusher;
    this.#settings = settings;
  }

  /** Bytes that wait in the outbox and in the socket. */
  get bytes(): number { return this.#bytes + this.#owner.socket.unsent; }

  /** Queues a frame. Returns `false` if it is dropped. A frame above the limit is queued if nothing else waits. */
  push(frame: Frame, isReply: boolean): boolean {
    const waiting = this.bytes;
    if (waiting > 0 && waiting + frame.length > this.#settings.limit && !this.#makeRoom(frame.length)) return false;
    if (this.#frames === NONE) this.#frames = [];
    this.#frames.push(frame);
    this.#bytes += frame.length;
    frame.pending?.hold(this);
    if (this.#isBlocked) {
      this.#flusher.budget.hold(this, frame);
      this.#flusher.budget.enforce();
      return this.#owner.socket.isOpen;
    }
    if (!this.#isScheduled) {
      this.#isScheduled = true;
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
    for (const frame of this.#frames.splice(0, count)) {
      frame.pending?.release(this);
      if (this.#isBlocked) this.#flusher.budget.release(frame);
    }
    // Bytes in the socket cannot be dropped. If they alone exceed the limit, the new frame is dropped.
    const fits = count > 0 && (this.bytes === 0 || this.bytes + size <= limit);
    this.#owner.dropped(fits ? count : count + 1);
    return fits;
  }

  /** Whether nothing waits in the outbox or in a full socket. */
  get isIdle(): boolean { return this.#frames.length === 0 && !this.#isBlocked; }

  // To keep their order, frames wait while the first one is being compressed.
  compressed(saved: number): void {
    this.#bytes -= saved;
    this.#owner.compressed(saved);
    if (this.#isScheduled || this.#isBlocked) return;
    this.#isScheduled = true;
    this.#flusher.add(this, false);
  }

  /**
   * Writes the waiting frames, up to one that is still being compressed. If the socket becomes full, the rest is
   * written after it has drained.
   * @param writesAll whether all frames must be written now, even uncompressed, because something else is written next
   */
  flush(writesAll = false): void {
    this.#isScheduled = false;
    while (this.#frames.length > 0 && this.#owner.socket.isOpen) {
      if (!writesAll && (this.#isBlocked || this.#frames[0]!.pending)) break;
      this.#writeNext();
    }
    if (this.isIdle) this.#owner.emptied();
  }

  // The socket gets few bytes at once, and none while it is full: frames in the socket cannot be dropped.
  #writeNext(): void {
    let count = 1;
    const first = this.#frames[0]!;
    let size = first.length;
    // A frame that is being compressed is too large to be joined.
    while (count < this.#frames.length && size + this.#frames[count]!.length <= MAX_JOINED_BYTES) {
      size += this.#frames[count++]!.length;
    }
    const frames = count === this.#frames.length ? this.#frames : this.#frames.splice(0, count);
    if (frames === this.#frames) this.#frames = NONE;
    this.#bytes -= size;
    first.pending?.release(this);
    const isFull = !this.#owner.socket.write(count === 1 ? first.bytes : this.#flusher.join(frames, size));
    if (this.#isBlocked) this.#unsent = this.#unsent.concat(frames);
    else if (isFull) this.#block(frames);
  }

  #block(unsent: Frame[]): void {
    const { budget } = this.#flusher;
    this.#isBlocked = true;
    this.#unsent = unsent;
    for (const frame of unsent) budget.hold(this, frame);
    for (const frame of this.#frames) budget.hold(this, frame);
    this.#owner.socket.onceDrained(() => {
      this.#release();
      this.#isBlocked = false;
      this.flush();
    });
    budget.enforce();
  }

  #release(): void {
    const { budget } = this.#flusher;
    for (const frame of this.#unsent) budget.release(frame);
    for (const frame of this.#frames) budget.release(frame);
    this.#unsent = NONE;
    budget.forget(this);
  }

  get share(): number {
    if (!this.#isBlocked) return 0;
    let share = 0;
    for (const { hold } of this.#unsent) share += hold!.bytes / hold!.count;
    for (const { hold } of this.#frames) share += hold!.bytes / hold!.count;
    return share;
  }

  evict(): void { this.#owner.evicted(); }

  /** Removes all waiting frames. Returns their number. */
  clear(): number {
    const count = this.#frames.length;
    for (const frame of this.#frames) frame.pending?.release(this);
    if (this.#isBlocked) this.#release();
    this.#frames = NONE;
    this.#bytes = 0;
    return count;
  }
}
