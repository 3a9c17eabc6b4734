import type { Connection, Journal, JournalPage, Outgoing, Position } from '../../src/index.ts';
import type { Handles } from './handles.ts';
import type { HistorySettings } from './history-options.ts';
import { withPosition, type FeedEntry } from './stored-message.ts';
import type { FeedHost, TopicFeed } from './topic-feed.ts';

/**
 * Why a client does not get what it missed. `epoch`: the history began again, or is not the one that the client knows.
 * `too-old`: some messages were removed. `too-many`: there are more than the server sends at once.
 */
export type MissedReason = 'epoch' | 'too-old' | 'too-many';

/** The position of a topic; if the client sent its own position, also the messages between that one and this one. */
export type TopicState = { readonly topic: string } & Position & (
  | { readonly recovered?: undefined }
  | { readonly recovered: true; readonly messages: readonly Outgoing[] }
  | { readonly recovered: false; readonly reason: MissedReason }
);

/** What a catch-up uses of its plugin. */
export interface CatchUpHost {
  readonly journal: Journal;
  readonly settings: HistorySettings;
  readonly handles: Handles;
  readonly decode: FeedHost['decode'];
  /** Ends the feed if it has no subscribers. */
  release(topic: string): void;
  /** Sends an entry to one connection, if that is subscribed to the topic. */
  deliver(topic: string, entry: FeedEntry, connection: Connection): void;
}

/** Bytes that several catch-ups share, because their messages are sent in one answer. */
export interface ByteBudget { left: number }

/** Entries that one read returns. */
const PAGE = 500;

/**
 * CatchUp gives one connection the messages of one topic that it missed. From its creation until finish() or abort(),
 * the connection gets no other messages of the topic. Create it before the connection is subscribed.
 */
export class CatchUp {
  readonly #feed: TopicFeed;
  readonly #connection: Connection;
  readonly #host: CatchUpHost;
  readonly #entries: FeedEntry[] = [];
  #bytes = 0;
  #budget: ByteBudget = { left: Infinity };
  #read: Position | undefined;
  #reason: MissedReason | undefined;
  #isAsked = false;
  #isOver = false;

  constructor(feed: TopicFeed, connection: Connection, host: CatchUpHost) {
    this.#feed = feed;
    this.#connection = connection;
    this.#host = host;
    feed.gates.close(connection);
  }

  get topic(): string { return this.#feed.topic; }

  /** Reads the messages after a position of the client; without one, only the position of the topic. */
  async read(from: Position | undefined, budget: ByteBudget = { left: Infinity }): Promise<void> {
    await this.#feed.open();
    if (!from) return;
    this.#isAsked = true;
    this.#budget = budget;
    this.#reason = await this.#readFrom(from);
    // The epoch has changed, and this node has not received an entry of the new epoch yet.
    if (this.#read && this.#read.epoch !== this.#feed.position?.epoch) await this.#feed.fill();
    if (this.#reason) this.#forget();
  }

  /** Ends the catch-up. The caller must send the answer at once, before anything else runs. */
  finish(): TopicState {
    const { topic, position } = this.#feed;
    const missed = this.#feed.gates.missed(this.#connection);
    const read = this.#read;
    let reason = this.#reason;
    if (!reason && missed === undefined) reason = 'too-many';
    if (!reason && read && position && position.epoch !== read.epoch) reason = 'epoch';
    const isAhead = !position || (position.epoch === read?.epoch && read.offset > position.offset);
    const now = isAhead && read ? read : position ?? { epoch: '', offset: 0, id: '' };
    if (!reason && read && missed) {
      const rest = missed.filter(({ offset }) => offset > read.offset);
      // The feed has skipped entries that the journal lost.
      if (rest.some(({ offset }, index) => offset !== read.offset + 1 + index)) reason = 'too-old';
      this.#add(rest);
    }
    if (!reason && this.#isTooMuch) reason = 'too-many';
    this.#open(now.offset);
    const state = { topic, epoch: now.epoch, offset: now.offset, id: now.id };
    if (!this.#isAsked) return state;
    if (reason) return { ...state, recovered: false, reason };
    const handle = this.#host.handles.of(this.#connection.id);
    const messages = this.#entries.filter(({ except }) => !except?.includes(handle));
    return { ...state, recovered: true, messages: messages.map((entry) => withPosition(topic, entry)) };
  }

  /** Ends the catch-up, and delivers what was held back since its creation. Does nothing after finish(). */
  abort(): void {
    if (this.#isOver) return;
    const missed = this.#feed.gates.missed(this.#connection) ?? [];
    this.#open(this.#feed.position?.offset ?? 0);
    const handle = this.#host.handles.of(this.#connection.id);
    for (const entry of missed) {
      if (!entry.except?.includes(handle)) this.#host.deliver(this.topic, entry, this.#connection);
    }
    this.#host.release(this.topic);
  }

  #open(offset: number): void {
    this.#isOver = true;
    this.#feed.gates.open(this.#connection, offset, this.#feed.position?.offset ?? 0);
  }

  get #isTooMuch(): boolean {
    const { maxMissed, maxBytes } = this.#host.settings;
    return this.#entries.length > maxMissed || this.#bytes > maxBytes || this.#budget.left < 0;
  }

  async #readFrom({ epoch, offset, id }: Position): Promise<MissedReason | undefined> {
    const { journal, settings: { maxMissed } } = this.#host;
    // The first page begins with the client's last message: its id shows whether this is the same history.
    let after = Math.max(0, offset - 1);
    for (;;) {
      const page = await journal.read(this.topic, { after, limit: Math.min(PAGE, maxMissed + 2) });
      const { top } = page;
      this.#read = top;
      if (top.epoch !== epoch || offset > top.offset || (offset === top.offset && id !== top.id)) return 'epoch';
      if (top.offset - offset > maxMissed) return 'too-many';
      const entries = page.entries.filter((entry) => entry.offset > Math.max(after, offset));
      const own = page.entries[0]?.offset === offset ? page.entries[0] : undefined;
      if (after < offset && own && own.id !== id) return 'epoch';
      if (isMissing(page, Math.max(after, offset), entries[0]?.offset)) return 'too-old';
      this.#add(entries.map((entry) => this.#host.decode(this.topic, { epoch, ...entry })));
      if (this.#isTooMuch) return 'too-many';
      after = Math.max(after, page.entries.at(-1)?.offset ?? offset);
      if (after >= top.offset) return undefined;
    }
  }

  #forget(): void {
    this.#budget.left += this.#bytes;
    this.#bytes = 0;
    this.#entries.length = 0;
  }

  #add(entries: readonly (FeedEntry | undefined)[]): void {
    for (const entry of entries) {
      if (!entry) continue;
      this.#entries.push(entry);
      this.#bytes += entry.size;
      this.#budget.left -= entry.size;
    }
  }
}

/** Whether entries between an offset and the first entry of a page were removed. */
function isMissing({ top }: JournalPage, offset: number, first: number | undefined): boolean {
  return (first ?? top.offset + 1) > offset + 1;
}
