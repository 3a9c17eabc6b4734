import type { Message } from '../protocol.ts';

export type RawFrame = readonly [data: Buffer, binary: boolean];

/**
 * Bytes of one connection that may wait as parsed messages. Further frames wait unparsed: a parsed one may take 28
 * times the memory.
 */
const MAX_PARSED_BYTES = 65_536;

/** Bytes counted for each waiting message in addition to its own, so that empty messages are bounded, too. */
const OVERHEAD = 128;

/** The connection of an inbox. */
export interface InboxOwner {
  readonly inbox: Inbox | undefined;
  /** Bytes of an incomplete message, as the budget counts them. */
  unfinished?: number | undefined;
}

/**
 * Messages of one client that wait to be handled: first parsed messages, so that a reply among them settles its
 * request, then unparsed frames. Reading pauses when the inbox is full; frames that were already read, or are being
 * inflated, still arrive.
 */
export class Inbox {
  readonly messages: { readonly message: Message; readonly bytes: number }[] = [];
  readonly frames: RawFrame[] = [];
  readonly #owner: InboxOwner;
  readonly #budget: InboxBudget;
  #bytes = 0;
  #parsedBytes = 0;

  constructor(owner: InboxOwner, budget: InboxBudget) {
    this.#owner = owner;
    this.#budget = budget;
  }

  /** Bytes of the waiting frames and messages. */
  get bytes(): number { return this.#bytes; }

  get isEmpty(): boolean { return this.messages.length === 0 && this.frames.length === 0; }

  /** Whether no further frame may be parsed before its turn. */
  isFull(maxWaiting: number): boolean {
    return this.messages.length >= maxWaiting || this.#parsedBytes >= MAX_PARSED_BYTES;
  }

  pushMessage(message: Message, bytes: number): void {
    this.messages.push({ message, bytes });
    this.#parsedBytes += bytes;
    this.#count(bytes + OVERHEAD);
  }

  shiftMessage(): Message | undefined {
    const next = this.messages.shift();
    if (!next) return undefined;
    this.#parsedBytes -= next.bytes;
    this.#count(-next.bytes - OVERHEAD);
    return next.message;
  }

  pushFrame(data: Buffer, binary: boolean): void {
    this.frames.push([data, binary]);
    this.#count(data.length + OVERHEAD);
  }

  /** Puts a frame back that may not be handled yet. */
  unshiftFrame(data: Buffer, binary: boolean): void {
    this.frames.unshift([data, binary]);
    this.#count(data.length + OVERHEAD);
  }

  shiftFrame(): RawFrame | undefined {
    const frame = this.frames.shift();
    if (frame) this.#count(-frame[0].length - OVERHEAD);
    return frame;
  }

  /** Removes everything. Returns the number of messages. */
  clear(): number {
    const count = this.messages.length + this.frames.length;
    this.messages.length = this.frames.length = 0;
    this.#parsedBytes = 0;
    this.#count(-this.#bytes);
    return count;
  }

  #count(bytes: number): void {
    this.#bytes += bytes;
    this.#budget.count(this.#owner, bytes);
  }
}

/** The bytes that wait in all inboxes of a node, including those of incomplete messages. */
export class InboxBudget<Owner extends InboxOwner = InboxOwner> {
  bytes = 0;
  readonly #filled = new Set<Owner>();

  count(owner: Owner, bytes: number): void {
    this.bytes += bytes;
    if (heldBy(owner) > 0) this.#filled.add(owner);
    else this.#filled.delete(owner);
  }

  /** Counts the bytes of an owner's incomplete message, in place of those that were counted before. */
  countUnfinished(owner: Owner, bytes: number): void {
    const before = owner.unfinished ?? 0;
    if (bytes === before) return;
    owner.unfinished = bytes;
    this.count(owner, bytes - before);
  }

  /** The owner that holds the most bytes. */
  get largest(): Owner | undefined {
    let largest: Owner | undefined;
    for (const owner of this.#filled) if (!largest || heldBy(owner) > heldBy(largest)) largest = owner;
    return largest;
  }
}

const heldBy = ({ inbox, unfinished = 0 }: InboxOwner): number => (inbox?.bytes ?? 0) + unfinished;
