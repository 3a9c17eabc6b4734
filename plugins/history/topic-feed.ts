import type { Journal, AppendedEntry, JournalEntry, Position } from '../../src/index.ts';
import { FeedGates } from './feed-gates.ts';
import type { FeedEntry } from './stored-message.ts';

/** Entries that may wait for earlier ones. Further ones are dropped, and read from the journal later. */
const MAX_WAITING = 1_000;
/** Milliseconds for which an entry waits for earlier ones, before these are read from the journal. */
const FILL_DELAY = 20;
/** Entries that are read at once. */
const PAGE = 500;

/** What a feed uses of its plugin. */
export interface FeedHost {
  readonly journal: Journal;
  /** Resolves when the entries of other nodes arrive here. Returns undefined if they already do. */
  whenSubscribed(topic: string): Promise<void> | undefined;
  decode(topic: string, entry: AppendedEntry): FeedEntry | undefined;
  /** Sends an entry to the subscribers. @param held ids of connections that do not get it */
  deliver(topic: string, entry: FeedEntry, held: string[]): void;
  /**
   * Called when the subscribers of this node did not get all entries between two positions.
   * @param held ids of connections that are catching up
   */
  lost(topic: string, from: Position, to: Position, held: readonly string[]): void;
  after(milliseconds: number, work: () => unknown): () => void;
  report(error: unknown): void;
}

/**
 * TopicFeed delivers the entries of one topic to the subscribers of this node: each once, in the order of the offsets.
 * It gets them in any order: from append() on this node, from other nodes, and from the journal.
 */
export class TopicFeed {
  readonly topic: string;
  readonly gates = new FeedGates();
  readonly #host: FeedHost;
  /** The position of the last delivered entry. `undefined` until the feed has read from the journal where to begin. */
  #position: Position | undefined;
  /** Entries that came before earlier ones, or before the position was known, by offset. */
  readonly #waiting = new Map<number, FeedEntry>();
  #opening: Promise<void> | undefined;
  #filling: Promise<void> | undefined;
  #cancelFill: (() => void) | undefined;
  #isClosed = false;

  constructor(topic: string, host: FeedHost) {
    this.topic = topic;
    this.#host = host;
  }

  get position(): Position | undefined { return this.#position; }

  /** Whether the position is being read. */
  get isOpening(): boolean { return this.#opening !== undefined; }

  /** Resolves when the position is known. Rejects if the journal cannot be reached. */
  async open(): Promise<void> {
    if (this.#position) return;
    this.#opening ??= this.#open().finally(() => (this.#opening = undefined));
    await this.#opening;
  }

  close(): void {
    this.#isClosed = true;
    this.#cancelFill?.();
    this.#waiting.clear();
  }

  /** Lets the feed begin with this entry, which must then be given to receive(). */
  startBefore({ epoch, offset }: FeedEntry): void { this.#position ??= { epoch, offset: offset - 1, id: '' }; }

  receive(entry: FeedEntry): void {
    const position = this.#position;
    if (!position) return this.#keep(entry);
    if (entry.epoch !== position.epoch) return void this.fill();
    if (entry.offset <= position.offset) return;
    if (entry.offset === position.offset + 1) {
      this.#advance(entry);
      if (this.#waiting.size > 0) this.#drain();
    } else this.#keep(entry);
    if (this.#waiting.size > 0) this.#fillSoon();
  }

  /** Reads what is missing from the journal, and delivers it. */
  fill(): Promise<void> {
    this.#cancelFill?.();
    this.#cancelFill = undefined;
    // While the journal cannot be reached, the regular check of all feeds tries again.
    return (this.#filling ??= this.#fill()
      .catch((error: unknown) => this.#host.report(error))
      .finally(() => (this.#filling = undefined)));
  }

  async #open(): Promise<void> {
    await this.#host.whenSubscribed(this.topic);
    const [top] = await this.#host.journal.positions([this.topic]);
    if (this.#position || this.#isClosed || !top) return;
    // Entries that arrived during the call were appended after the first subscriber came, so they are delivered.
    const offsets = [...this.#waiting.values()].filter(({ epoch }) => epoch === top.epoch).map(({ offset }) => offset);
    const first = Math.min(top.offset + 1, ...offsets);
    this.#position = first > top.offset ? top : { epoch: top.epoch, offset: first - 1, id: '' };
    this.#drain();
    if (this.#waiting.size > 0) this.#fillSoon();
  }

  #keep(entry: FeedEntry): void {
    if (this.#waiting.size < MAX_WAITING) this.#waiting.set(entry.offset, entry);
  }

  #advance(entry: FeedEntry): void {
    const { epoch, offset, id } = entry;
    this.#position = { epoch, offset, id };
    this.#host.deliver(this.topic, entry, this.gates.hold(entry));
  }

  /** Delivers the waiting entries that are next, and drops those that are not needed. */
  #drain(): void {
    const { epoch, offset } = this.#position!;
    for (const [key, entry] of this.#waiting) {
      if (entry.epoch !== epoch || entry.offset <= offset) this.#waiting.delete(key);
    }
    for (let next; (next = this.#waiting.get(this.#position!.offset + 1));) {
      this.#waiting.delete(next.offset);
      this.#advance(next);
    }
  }

  // Not at once: the answer to an append of this node often arrives before earlier entries of other nodes.
  #fillSoon(): void {
    if (this.#filling) return;
    this.#cancelFill ??= this.#host.after(FILL_DELAY, () => {
      this.#cancelFill = undefined;
      return this.#waiting.size > 0 ? this.fill() : undefined;
    });
  }

  async #fill(): Promise<void> {
    const { journal } = this.#host;
    while (this.#position && !this.#isClosed) {
      const page = await journal.read(this.topic, { after: this.#position.offset, limit: PAGE });
      if (page.top.epoch !== this.#position.epoch) {
        await this.#renew();
        continue;
      }
      this.#take(page.top, page.entries);
      this.#drain();
      if (this.#position.offset < page.top.offset) continue;
      if (this.#waiting.size === 0) return;
      // Waiting entries are not in the journal. If the journal has lost them, this call lets it renew the epoch.
      const { epoch, offset, id } = [...this.#waiting.values()].at(-1)!;
      const seen = new Map([[this.topic, { epoch, offset, id }]]);
      const [top] = await journal.positions([this.topic], seen);
      if (top!.epoch === this.#position.epoch && top!.offset <= this.#position.offset) this.#waiting.clear();
    }
  }

  /** Delivers the entries of a page that are new. */
  #take(top: Position, entries: readonly JournalEntry[]): void {
    const { epoch, offset } = this.#position!;
    const first = entries[0]?.offset ?? top.offset + 1;
    if (first > offset + 1) {
      // The journal has removed the entries in between.
      const to = { epoch, offset: first - 1, id: first > top.offset ? top.id : '' };
      const from = this.#position!;
      this.#position = to;
      this.#host.lost(this.topic, from, to, this.gates.heldUpTo(to.offset));
    }
    for (const entry of entries) this.#deliver({ epoch, ...entry });
  }

  #deliver(entry: AppendedEntry): void {
    if (this.#isClosed || entry.offset <= this.#position!.offset) return;
    const decoded = this.#host.decode(this.topic, entry);
    if (decoded) this.#advance(decoded);
    else this.#position = { epoch: entry.epoch, offset: entry.offset, id: entry.id };
  }

  /**
   * Goes on in a new epoch. The journal may still have entries that were delivered already: only the entries after the
   * last delivered message are new. If the history has begun again, all entries are new.
   */
  async #renew(): Promise<void> {
    const { top, entries } = await this.#host.journal.read(this.topic, { limit: PAGE, reverse: true });
    const before = this.#position!;
    if (top.epoch === before.epoch) return;
    const known = before.id === '' ? -1 : entries.findIndex(({ id }) => id === before.id);
    const hasBegunAgain = known < 0 && entries.length === top.offset;
    const fresh = known >= 0 ? entries.slice(0, known) : hasBegunAgain ? entries : [];
    this.#position = { epoch: top.epoch, offset: top.offset - fresh.length, id: fresh.length === 0 ? top.id : '' };
    this.#host.lost(this.topic, before, this.#position, this.gates.heldUpTo(this.#position.offset));
    for (const entry of [...fresh].reverse()) this.#deliver({ epoch: top.epoch, ...entry });
    this.#drain();
  }
}
