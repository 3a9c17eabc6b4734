import type { JournalEntry, JournalPage, JournalRange, Position } from '../journal.ts';

/** Bytes that an entry takes in addition to its text. */
const OVERHEAD = 100;
/** Bytes of the values on one page, unless the first value alone has more. */
const MAX_PAGE_BYTES = 1_048_576;

/** The bytes that an entry takes, about. */
export const entrySize = (id: string, value: string): number =>
  OVERHEAD + Buffer.byteLength(id) + Buffer.byteLength(value);

/**
 * Whether an entry that a node has seen is lost, so that the topic needs a new epoch.
 * @param idAt the id of the entry at an offset, if it is kept
 */
export function isEntryLost(seen: Position, top: Position, idAt: (offset: number) => string | undefined): boolean {
  if (seen.epoch !== top.epoch) return false;
  const known = seen.offset === top.offset ? top.id : idAt(seen.offset);
  return seen.offset > top.offset || (known ?? seen.id) !== seen.id;
}

/**
 * A page of the entries `first` to `top.offset`, which are all kept.
 * @param at the entry at an offset
 */
export function journalPage(
  { after = 0, before = Infinity, limit, reverse = false }: JournalRange, top: Position, first: number,
  at: (offset: number) => { readonly id: string; readonly value: string },
): JournalPage {
  const from = Math.max(after + 1, first);
  const last = Math.min(before - 1, top.offset);
  const entries: JournalEntry[] = [];
  let bytes = 0;
  for (let step = 0; step < limit && from + step <= last; step++) {
    const offset = reverse ? last - step : from + step;
    const { id, value } = at(offset);
    bytes += Buffer.byteLength(value);
    if (bytes > MAX_PAGE_BYTES && entries.length > 0) break;
    entries.push({ offset, id, value });
  }
  return { top, entries, complete: after + 1 >= first || after >= last };
}
