import { check, ModuleError, rules, type Journal } from '../../src/index.ts';
import type { HistoryMessage, HistoryPage, HistoryRange } from './history-api.ts';
import { withPosition } from './stored-message.ts';
import type { FeedHost } from './topic-feed.ts';

/** Maximum number of messages on a page. */
export const MAX_PAGE = 500;
const OFFSET = rules.integer(0, Number.MAX_SAFE_INTEGER);
const RULES = { limit: rules.integer(1, MAX_PAGE), before: OFFSET, after: OFFSET, reverse: rules.boolean };

/** HistoryReader reads pages of the history of a topic. */
export class HistoryReader {
  readonly #journal: Journal;
  readonly #decode: FeedHost['decode'];
  readonly #maxBytes: number;

  constructor(journal: Journal, decode: FeedHost['decode'], maxBytes: number) {
    this.#journal = journal;
    this.#decode = decode;
    this.#maxBytes = maxBytes;
  }

  /** @throws OPTION_INVALID, OPTION_UNKNOWN */
  async read(topic: string, range: HistoryRange): Promise<HistoryPage> {
    const { limit = 50, before, after, reverse = false } = check<HistoryRange>(range, RULES, 'range');
    const fromEnd = reverse || after === undefined;
    // One more than asked for, to know whether there are more.
    const page = await this.#journal.read(topic, { after, before, limit: limit + 1, reverse: fromEnd });
    const { epoch, offset, id } = page.top;
    const messages: HistoryMessage[] = [];
    let bytes = 0;
    let isCut = page.entries.length > limit;
    for (const entry of page.entries.slice(0, limit)) {
      const decoded = this.#decode(topic, { epoch, ...entry });
      if (!decoded) continue;
      bytes += decoded.size;
      isCut ||= bytes > this.#maxBytes;
      if (bytes > this.#maxBytes && messages.length > 0) break;
      messages.push(withPosition(topic, decoded) as HistoryMessage);
    }
    if (fromEnd && !reverse) messages.reverse();
    return { topic, epoch, offset, id, messages, more: isCut };
  }
}

/** @throws HISTORY_UNKNOWN */
export function assertHistory(topic: string, isKept: boolean): void {
  if (!isKept) throw new ModuleError('HISTORY_UNKNOWN', { topic });
}
