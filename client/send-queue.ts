import type { ClientError } from './client-error.ts';
import { fail, serverError, textOf } from './client-error.ts';
import { limited } from './limited.ts';

/** Which messages are written first. The client's own frames go before all of them. */
export type Priority = 'interactive' | 'bulk';

/** How a message is sent. */
export interface SendOptions {
  /** @default 'interactive' */
  readonly priority?: Priority | undefined;
  /** Whether the server acknowledges it. Without, the promise resolves when the message is written. @default true */
  readonly ack?: boolean | undefined;
  /** Whether the outbox keeps it, if there is one. It keeps no bytes, and nothing without `retry`. @default true */
  readonly durable?: boolean | undefined;
  /** Whether it is sent again after a reconnect if it was not acknowledged. @default message.queue.retryOnReconnect */
  readonly retry?: boolean | undefined;
  /** Milliseconds until it fails. @default message.queue.ttl */
  readonly timeout?: number | undefined;
  /** Cancels it. */
  readonly signal?: AbortSignal | undefined;
}

/** A message of the queue, as the application sees it. */
export interface QueuedMessage {
  readonly id: string;
  readonly type: string;
  readonly priority: Priority;
  readonly state: 'queued' | 'sent';
  /** How often it was written. */
  readonly attempts: number;
  readonly bytes: number;
  readonly queuedAt: number;
}

export interface QueueItem {
  readonly id: string;
  readonly type: string;
  readonly frame: string | Uint8Array;
  readonly bytes: number;
  readonly priority: Priority;
  /** What ends it: a reply, which the caller gets; an acknowledgement; or that it was written. */
  readonly until: 'reply' | 'ack' | 'written';
  readonly retry: boolean;
  readonly timeout: number;
  readonly signal: AbortSignal | undefined;
  /** The age of the message since it was first written, if an earlier connection or page has written it. */
  readonly age?: (() => number) | undefined;
}

interface Entry extends Omit<QueueItem, 'age'> {
  state: 'queued' | 'sent';
  attempts: number;
  age: (() => number) | undefined;
  readonly queuedAt: number;
  settle(error: ClientError | undefined, reply?: any): void;
}

export interface QueueLimits {
  readonly enabled: boolean;
  readonly maxSize: number;
  readonly maxBytes: number;
  readonly flushInterval: number;
  readonly priority: boolean;
}

/** What the queue writes to. */
export interface Outlet {
  /** Whether messages may be written now. */
  readonly isOpen: boolean;
  /** Bytes that the WebSocket has not sent yet. */
  readonly bufferedAmount: number;
  write(frame: string | Uint8Array): void;
}

/** While more bytes than this wait in the WebSocket, the queue holds its messages back. */
const HIGH_WATER = 262_144;
/** Milliseconds between looks at the WebSocket's own buffer, which has no event. */
const LOOK_AGAIN = 20;

/** All messages that are not settled: those that wait, and those that were sent and are not acknowledged. */
export class SendQueue {
  readonly #limits: QueueLimits;
  readonly #outlet: Outlet;
  readonly #answerWindow: () => number | undefined;
  readonly #entries = new Map<string, Entry>();
  readonly #waiting: readonly [interactive: Set<Entry>, bulk: Set<Entry>] = [new Set(), new Set()];
  #bytes = 0;
  #lastFlush = -Infinity;
  #isHeld = false;
  #timer: ReturnType<typeof setTimeout> | undefined;

  /** @param answerWindow milliseconds for which the server recognizes repeated messages; `undefined` if it does not */
  constructor(limits: QueueLimits, outlet: Outlet, answerWindow: () => number | undefined) {
    this.#limits = limits;
    this.#answerWindow = answerWindow;
    this.#outlet = outlet;
  }

  /** Messages that are not settled. */
  get size(): number { return this.#entries.size; }
  /** Bytes of these messages. */
  get bytes(): number { return this.#bytes; }

  /** The messages that are not settled, in the order of `send()`. */
  entries(): QueuedMessage[] {
    return [...this.#entries.values()].map(({ id, type, priority, state, attempts, bytes, queuedAt }) => (
      { id, type, priority, state, attempts, bytes, queuedAt }
    ));
  }

  /** Cancels a message. Returns whether there was one. A sent message may still take effect. */
  cancel(id: string): boolean {
    const entry = this.#entries.get(id);
    entry?.settle(fail('CANCELLED', 'the message was cancelled'));
    return entry !== undefined;
  }

  /** Cancels all messages. */
  clear(error = fail('CANCELLED', 'the message was cancelled')): void {
    for (const entry of [...this.#entries.values()]) entry.settle(error);
  }

  /** Adds a message. Resolves or rejects exactly once. */
  add(item: QueueItem): Promise<any> {
    const { bytes, signal } = item;
    const { enabled, maxSize, maxBytes } = this.#limits;
    if (signal?.aborted) return Promise.reject(aborted(signal));
    if (!enabled && !this.#outlet.isOpen) {
      return Promise.reject(fail('NOT_CONNECTED', 'there is no connection, and message.queue.enabled is false'));
    }
    if (this.#entries.has(item.id)) {
      return Promise.reject(fail('MESSAGE_INVALID', `a message with the id ${item.id} is not settled yet`));
    }
    if (this.size >= maxSize || this.#bytes + bytes > maxBytes) {
      const details = { size: this.size, bytes: this.#bytes };
      return Promise.reject(fail('QUEUE_FULL', `the queue is full (${this.size} messages)`, details));
    }
    return new Promise((resolve, reject) => {
      const onAbort = (): void => entry.settle(aborted(signal!));
      const entry: Entry = {
        ...item,
        state: 'queued',
        attempts: 0,
        age: item.age,
        queuedAt: Date.now(),
        settle: (error, reply) => {
          clearTimeout(timer);
          signal?.removeEventListener('abort', onAbort);
          this.#setOf(entry).delete(entry);
          if (this.#entries.delete(entry.id)) this.#bytes -= bytes;
          if (error) reject(error);
          else resolve(reply);
        },
      };
      const timer = setTimeout(() => entry.settle(entry.state === 'sent'
        ? fail('TIMEOUT', `${entry.type} was not answered within ${item.timeout} ms`)
        : fail('MESSAGE_EXPIRED', `${entry.type} could not be sent within ${item.timeout} ms`)), limited(item.timeout));
      signal?.addEventListener('abort', onAbort);
      this.#entries.set(entry.id, entry);
      this.#bytes += bytes;
      this.#setOf(entry).add(entry);
      if (this.#isHeld && this.#outlet.isOpen) this.#write(entry);
      else this.flush();
    });
  }

  /** Settles the message that this one answers. Returns what it was waiting for, if there was one. */
  answer(reply: Readonly<Record<string, any>>): QueueItem['until'] | undefined {
    const entry = this.#entries.get(reply['replyTo'] as string);
    if (!entry) return undefined;
    const error = reply['type'] === 'error' ? serverError(reply) : undefined;
    entry.settle(error?.code === 'MESSAGE_TOO_OLD' ? unknownOutcome(entry, error) : error, reply);
    return entry.until;
  }

  /** The connection is gone: sent messages wait again, or fail. */
  interrupt(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    this.#isHeld = false;
    for (const set of this.#waiting) set.clear();
    for (const entry of [...this.#entries.values()]) {
      if (entry.state === 'sent' && !(entry.retry && this.#limits.enabled)) {
        entry.settle(fail('CONNECTION_CLOSED', `the connection was closed before ${entry.type} was answered`));
      } else {
        entry.state = 'queued';
        this.#setOf(entry).add(entry);
      }
    }
  }

  /** Until `release()`, only new messages are written: what listeners of `open` send goes before what waited. */
  hold(): void {
    this.#isHeld = true;
  }

  release(): void {
    this.#isHeld = false;
    this.flush();
  }

  /** Writes what may be written now. */
  flush(): void {
    if (this.#isHeld || this.#timer !== undefined || !this.#outlet.isOpen) return;
    const wait = this.#limits.flushInterval - (Date.now() - this.#lastFlush);
    if (wait > 0 && wait <= this.#limits.flushInterval) return this.#flushIn(wait);
    this.#lastFlush = Date.now();
    for (const set of this.#waiting) {
      for (const entry of set) {
        if (this.#outlet.bufferedAmount > HIGH_WATER) return this.#flushIn(LOOK_AGAIN);
        this.#write(entry);
      }
    }
  }

  #flushIn(milliseconds: number): void {
    this.#timer = setTimeout(() => {
      this.#timer = undefined;
      this.#lastFlush = -Infinity;
      this.flush();
    }, milliseconds);
  }

  #write(entry: Entry): void {
    this.#setOf(entry).delete(entry);
    const answerWindow = this.#answerWindow();
    let { frame } = entry;
    if (entry.age && answerWindow !== undefined) {
      const age = entry.age();
      // The server may have handled it, and may have forgotten that.
      if (age > answerWindow) return entry.settle(unknownOutcome(entry));
      frame = asRepeat(frame as string, age);
    }
    entry.age ??= stopwatch();
    entry.state = 'sent';
    entry.attempts++;
    try {
      this.#outlet.write(frame);
      if (entry.until === 'written') entry.settle(undefined);
    } catch (error) {
      entry.settle(fail('CONNECTION_CLOSED', textOf(error), {}, error));
    }
  }

  #setOf({ priority }: QueueItem): Set<Entry> {
    return this.#waiting[this.#limits.priority && priority === 'bulk' ? 1 : 0];
  }
}

/** Measures milliseconds. Clocks are set back, and others stand still while a device sleeps: the longer time counts. */
function stopwatch(): () => number {
  const [date, time] = [Date.now(), performance.now()];
  return () => Math.max(Date.now() - date, performance.now() - time);
}

/** The frame of a message that is sent again. */
function asRepeat(frame: string, age: number): string {
  const message = JSON.parse(frame) as { meta?: object };
  return JSON.stringify({ ...message, meta: { ...message.meta, repeat: Math.ceil(age) } });
}

const unknownOutcome = ({ id, type }: QueueItem, cause?: unknown): ClientError => fail(
  'OUTCOME_UNKNOWN', `it is unknown whether the server handled ${type}, and too late to send it again`, { id }, cause,
);

const aborted = (signal: AbortSignal): ClientError =>
  fail('ABORTED', 'the message was aborted', {}, signal.reason as unknown);
