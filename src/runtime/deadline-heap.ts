/** What a heap orders: by time, and by the order of addition where the times are equal. */
export interface HeapEntry {
  readonly at: number;
  /** How many entries were added before it. */
  readonly order: number;
  /** Its place in the heap; -1: it is not in one. */
  index: number;
}

/** Entries below which the list is left as it is. */
const MIN_PEAK = 1_024;

/**
 * A binary heap whose entries know their places, so that any of them is removed in O(log n) and leaves nothing behind.
 * A deadline later than most, as most are, finds its place in one step.
 */
export class DeadlineHeap<E extends HeapEntry> {
  #entries: E[] = [];
  /** The most entries since the list was last copied: as long as that is what the list takes in memory. */
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

  /** Empties the heap. Returns what was in it. */
  clear(): readonly E[] {
    const entries = this.#entries;
    this.#entries = [];
    this.#peak = 0;
    for (const entry of entries) entry.index = -1;
    return entries;
  }

  // pop() leaves a list as long as it was. A copy for each quartering costs each entry next to nothing.
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
