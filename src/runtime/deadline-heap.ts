/** An entry of the heap. Entries are ordered by time; those of equal times by the order in which they were added. */
export interface HeapEntry {
  readonly at: number;
  /** The number of entries that were added before. */
  readonly order: number;
  /** The position in the heap, or -1 if it is not in the heap. */
  index: number;
}

/** The list is not copied if it never had more entries than this. */
const MIN_PEAK = 1_024;

/**
 * A binary heap whose entries know their positions, so that any entry is removed in O(log n). Adding an entry that is
 * later than most others, which is the usual case, takes one step.
 */
export class DeadlineHeap<E extends HeapEntry> {
  #entries: E[] = [];
  /** The maximum number of entries since the list was last copied. The list takes memory for so many. */
  #peak = 0;

  get size(): number { return this.#entries.length; }

  /** The entry that is due first. */
  get first(): E | undefined { return this.#entries[0]; }

  add(entry: E): void {
    const size = this.#entries.push(entry);
    if (size > this.#peak) this.#peak = size;
    this.#rise(entry, this.#entries.length - 1);
  }

  remove(entry: E): void {
    const { index } = entry;
    if (index < 0) return;
    entry.index = -1;
    const last = this.#entries.pop()!;
    if (this.#peak > MIN_PEAK && this.#entries.length < this.#peak / 4) this.#shrink();
    if (last === entry) return;
    if (index > 0 && isBefore(last, this.#entries[(index - 1) >> 1]!)) this.#rise(last, index);
    else this.#sink(last, index);
  }

  /** Removes all entries, and returns them. */
  clear(): readonly E[] {
    const entries = this.#entries;
    this.#entries = [];
    this.#peak = 0;
    for (const entry of entries) entry.index = -1;
    return entries;
  }

  // pop() frees no memory of the list, so the list is copied when it has shrunk to a quarter.
  #shrink(): void {
    this.#entries = this.#entries.slice();
    this.#peak = this.#entries.length;
  }

  #rise(entry: E, index: number): void {
    const entries = this.#entries;
    while (index > 0) {
      const parentIndex = (index - 1) >> 1;
      const parent = entries[parentIndex]!;
      if (!isBefore(entry, parent)) break;
      this.#place(parent, index);
      index = parentIndex;
    }
    this.#place(entry, index);
  }

  #sink(entry: E, index: number): void {
    const entries = this.#entries;
    for (let child = 2 * index + 1; child < entries.length; child = 2 * index + 1) {
      if (child + 1 < entries.length && isBefore(entries[child + 1]!, entries[child]!)) child++;
      if (!isBefore(entries[child]!, entry)) break;
      this.#place(entries[child]!, index);
      index = child;
    }
    this.#place(entry, index);
  }

  #place(entry: E, index: number): void {
    this.#entries[index] = entry;
    entry.index = index;
  }
}

const isBefore = (a: HeapEntry, b: HeapEntry): boolean => a.at < b.at || (a.at === b.at && a.order < b.order);
