import type { AppendedEntry, PluginContext, Position } from '../../src/index.ts';
import type { HistoryRules } from './history-options.ts';
import { TopicFeed, type FeedHost } from './topic-feed.ts';

/** Milliseconds between two comparisons with the journal. */
const CHECK_INTERVAL = 5_000;
/** Maximum number of topics that one call compares. */
const MAX_COMPARED = 500;

/** TopicFeeds keeps one feed for each topic with a history that has subscribers on this node. */
export class TopicFeeds {
  readonly #context: PluginContext;
  readonly #rules: HistoryRules;
  readonly #host: FeedHost;
  readonly #feeds = new Map<string, TopicFeed>();

  /** @param isShared whether other nodes append to the journal, too */
  constructor(context: PluginContext, rules: HistoryRules, host: FeedHost, isShared: boolean) {
    this.#context = context;
    this.#rules = rules;
    this.#host = host;
    context.on('topic:opened', ({ topic }) => this.#opened(topic));
    context.on('topic:closed', ({ topic }) => this.close(topic));
    context.onUnload(() => { for (const topic of this.#feeds.keys()) this.close(topic); });
    if (!isShared) return;
    context.every(CHECK_INTERVAL, () => this.check());
    context.on('node:gap', ({ topic }) => this.#feeds.get(topic)?.fill());
    context.on('adapter:interrupted', () => this.check());
  }

  get size(): number { return this.#feeds.size; }

  get(topic: string): TopicFeed | undefined { return this.#feeds.get(topic); }

  /** The feed of a topic. A new feed begins at the end of the history. */
  ensure(topic: string): TopicFeed {
    let feed = this.#feeds.get(topic);
    if (!feed) {
      this.#feeds.set(topic, (feed = new TopicFeed(topic, this.#host)));
      // Callers that need the position await open() themselves. The regular check of all feeds tries again.
      feed.open().catch((error: unknown) => this.#host.report(error));
    }
    return feed;
  }

  /** Ends a feed that has no subscribers. */
  release(topic: string): void { if (this.#context.node.subscribers(topic).size === 0) this.close(topic); }

  close(topic: string): void {
    this.#feeds.get(topic)?.close();
    this.#feeds.delete(topic);
  }

  /** Delivers an entry that this node or another one has appended. */
  receive(topic: string, entry: AppendedEntry): void {
    let feed = this.#feeds.get(topic);
    if (!feed && this.#context.node.subscribers(topic).size === 0) return;
    const decoded = this.#host.decode(topic, entry);
    if (!decoded) return;
    if (!feed) {
      // The topic had subscribers before the plugin was loaded, or before it had a history.
      if (!this.#rules.of(topic)) return;
      this.#feeds.set(topic, (feed = new TopicFeed(topic, this.#host)));
      feed.startBefore(decoded);
    }
    feed.receive(decoded);
  }

  /** Compares all feeds with the journal, and reads what is missing. */
  async check(): Promise<void> {
    const feeds = [...this.#feeds.values()];
    for (let start = 0; start < feeds.length; start += MAX_COMPARED) {
      await this.#compare(feeds.slice(start, start + MAX_COMPARED));
    }
  }

  async #compare(feeds: readonly TopicFeed[]): Promise<void> {
    const seen = new Map<string, Position>();
    for (const { topic, position } of feeds) if (position && isWhole(position)) seen.set(topic, position);
    const tops = await this.#host.journal.positions(feeds.map(({ topic }) => topic), seen);
    await Promise.all(feeds.map(async (feed, index) => {
      const [top, { position }] = [tops[index]!, feed];
      if (!position) await feed.open();
      else if (top.epoch !== position.epoch || top.offset > position.offset) await feed.fill();
    }));
  }

  #opened(topic: string): void {
    const feed = this.#feeds.get(topic);
    // A catch-up has created the feed before its client subscribed. Entries of that time may not have arrived here.
    if (feed) void (async () => this.#host.whenSubscribed(topic))().then(() => feed.fill(), () => undefined);
    else if (this.#rules.of(topic)) this.ensure(topic);
  }
}

/** Whether a position has its id. After entries were lost, it has none until the next entry is delivered. */
export const isWhole = ({ offset, id }: Position): boolean => offset === 0 || id !== '';
