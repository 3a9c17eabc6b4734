import { fail } from './client-error.ts';

export interface StreamOptions {
  /** Messages that may wait for the loop. @default 1_000 */
  readonly limit?: number | undefined;
  /** What happens beyond it: the loop ends with STREAM_FULL, or the oldest message is dropped. @default 'error' */
  readonly overflow?: 'error' | 'drop-oldest' | undefined;
  /** Ends the loop. */
  readonly signal?: AbortSignal | undefined;
}

/** Messages for a `for await` loop. What the loop has not taken yet waits, within a bound. */
export class MessageStream<T> implements AsyncIterableIterator<T> {
  readonly #limit: number;
  readonly #dropsOldest: boolean;
  readonly #messages: T[] = [];
  readonly #takers: { resolve(result: IteratorResult<T>): void; reject(error: unknown): void }[] = [];
  readonly #onEnd: () => void;
  #isDone = false;
  #error: Error | undefined;

  constructor({ limit = 1_000, overflow = 'error', signal }: StreamOptions, onEnd: () => void) {
    this.#limit = limit;
    this.#dropsOldest = overflow === 'drop-oldest';
    const onAbort = (): void => this.end();
    this.#onEnd = () => {
      signal?.removeEventListener('abort', onAbort);
      onEnd();
    };
    signal?.addEventListener('abort', onAbort);
    if (signal?.aborted) this.end();
  }

  push(message: T): void {
    if (this.#isDone) return;
    const taker = this.#takers.shift();
    if (taker) return taker.resolve({ value: message, done: false });
    if (this.#messages.length >= this.#limit) {
      if (!this.#dropsOldest) {
        return this.end(fail('STREAM_FULL', `${this.#limit} messages wait for the loop`, { limit: this.#limit }));
      }
      this.#messages.shift();
    }
    this.#messages.push(message);
  }

  /** Ends the loop after the messages that wait. */
  end(error?: Error): void {
    if (this.#isDone) return;
    this.#isDone = true;
    this.#error = error;
    this.#onEnd();
    for (const taker of this.#takers.splice(0)) {
      if (error) taker.reject(error);
      else taker.resolve({ value: undefined, done: true });
    }
  }

  async next(): Promise<IteratorResult<T>> {
    if (this.#messages.length > 0) return { value: this.#messages.shift()!, done: false };
    const error = this.#error;
    this.#error = undefined;
    if (error) throw error;
    if (this.#isDone) return { value: undefined, done: true };
    return await new Promise((resolve, reject) => this.#takers.push({ resolve, reject }));
  }

  async return(): Promise<IteratorResult<T>> {
    this.#messages.length = 0;
    this.end();
    return { value: undefined, done: true };
  }

  [Symbol.asyncIterator](): this { return this; }
}
