/** How received items are handed out. */
export interface ReceiveOptions {
  readonly maxSize: number;
  readonly processInterval: number;
  readonly batchSize: number;
}

/** A batch ends after this time, so that a page can draw: at 60 frames per second it has 16 ms. */
const BUDGET = 8;
/** Milliseconds without an item that must have been a turn of the event loop. */
const PAUSE = 1;

const scope = globalThis as unknown as {
  MessageChannel?: (new () => {
    readonly port1: { onmessage: (() => void) | null };
    readonly port2: { postMessage(value: unknown): void };
  }) | undefined;
  readonly document?: unknown;
};

/**
 * Calls the function in a later turn of the event loop. In a page by a message channel: after five nested timeouts
 * browsers make each at least 4 ms long. Elsewhere an open channel would keep the process alive.
 */
function makeLater(callback: () => void): () => void {
  if (scope.document === undefined || !scope.MessageChannel) return () => setTimeout(callback, 0);
  const { port1, port2 } = new scope.MessageChannel();
  port1.onmessage = callback;
  return () => port2.postMessage(0);
}

/** Received items, handed out in batches, so that a burst does not freeze a page. */
export class ReceiveBuffer<T> {
  readonly #options: ReceiveOptions;
  readonly #handle: (item: T) => void;
  /** Made when the first burst comes: an open channel takes memory. */
  #later: (() => void) | undefined;
  #items: T[] = [];
  /** The index of the next item. Removing the first item of a long array at each step takes long. */
  #next = 0;
  #isScheduled = false;
  /** When a time of handing out at once began, and when the last item was handed out. */
  #since = -Infinity;
  #last = -Infinity;

  constructor(options: ReceiveOptions, handle: (item: T) => void) {
    this.#options = options;
    this.#handle = handle;
  }

  get size(): number { return this.#items.length - this.#next; }

  push(item: T): void {
    const isFirst = this.size === 0;
    this.#items.push(item);
    // Nothing is lost: beyond the limit the page waits instead.
    if (this.size > this.#options.maxSize) this.#batch();
    // Messages are handed out at once while that takes little time. Browsers may deliver many in one turn.
    else if (isFirst && this.#options.processInterval === 0 && this.#hasTime()) this.#batch();
    this.#schedule();
  }

  /** Adds items before all others. */
  insert(items: readonly T[]): void {
    this.#items = [...items, ...this.#items.slice(this.#next)];
    this.#next = 0;
    this.#schedule();
  }

  clear(): void {
    this.#items = [];
    this.#next = 0;
  }

  #schedule(): void {
    if (this.#isScheduled || this.size === 0) return;
    this.#isScheduled = true;
    const { processInterval } = this.#options;
    if (processInterval > 0) setTimeout(() => this.#drain(), processInterval);
    else (this.#later ??= makeLater(() => this.#drain()))();
  }

  #hasTime(): boolean {
    const now = performance.now();
    // A pause: the page had its turn.
    if (now - this.#last > PAUSE) this.#since = now;
    return now - this.#since < BUDGET;
  }

  #drain(): void {
    this.#isScheduled = false;
    this.#last = -Infinity;
    this.#batch();
    this.#schedule();
  }

  #batch(): void {
    const end = performance.now() + BUDGET;
    for (let count = 0; this.size > 0 && count < this.#options.batchSize; count++) {
      const item = this.#items[this.#next++]!;
      if (this.size === 0) this.clear();
      this.#handle(item);
      this.#last = performance.now();
      if (this.#last > end) break;
    }
    // What was handed out is freed, though more may always be waiting.
    if (this.#next > 1_000) {
      this.#items.splice(0, this.#next);
      this.#next = 0;
    }
  }
}
