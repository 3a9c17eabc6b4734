import type { RecoverySettings } from './recovery-options.ts';

/** What is remembered of one message of a client. */
export interface Handled {
  readonly type: string;
  /** When it came, by `performance.now()`. */
  readonly at: number;
  /** Settles when the handler has finished. `undefined` afterwards. */
  running: Promise<unknown> | undefined;
  /** Whether it is no longer remembered: the session may end before the handler has finished. */
  isForgotten: boolean;
  /** What the handler returned, as JSON; `''` for nothing. `undefined` if it is not remembered. */
  answer: string | undefined;
}

/** The characters of the answers of all sessions. */
export class AnswerBudget {
  readonly #max: number;
  used = 0;

  constructor(max: number) { this.#max = max; }

  /** Returns whether the characters are counted now. */
  take(length: number): boolean {
    if (this.used + length > this.#max) return false;
    this.used += length;
    return true;
  }
}

/** The last messages of one session, and their answers. */
export class Answers {
  readonly #settings: RecoverySettings;
  readonly #budget: AnswerBudget;
  readonly #handled = new Map<string, Handled>();
  /** Messages that came until then may be forgotten. */
  #forgottenUntil = -Infinity;

  constructor(settings: RecoverySettings, budget: AnswerBudget) {
    this.#settings = settings;
    this.#budget = budget;
  }

  get(id: string): Handled | undefined { return this.#handled.get(id); }

  /** Whether a message that was first sent at this time may have been handled and forgotten. */
  isForgotten(sentAt: number): boolean {
    return sentAt <= this.#forgottenUntil || performance.now() - sentAt > this.#settings.answerWindow;
  }

  /** Remembers that a message is being handled. */
  begin(id: string, type: string): Handled {
    const now = performance.now();
    this.#delete(id);
    const handled: Handled = { type, at: now, running: undefined, isForgotten: false, answer: undefined };
    this.#handled.set(id, handled);
    // The entries have the order in which they came.
    for (const [key, { at, running }] of this.#handled) {
      const isOver = this.#handled.size > this.#settings.maxAnswers || now - at > this.#settings.answerWindow;
      if (!isOver || running || key === id) break;
      this.#forgottenUntil = at;
      this.#delete(key);
    }
    return handled;
  }

  /** Remembers what the handler returned, if there is room for it. */
  record(handled: Handled, result: unknown): void {
    const text = encode(result);
    if (text === undefined || text.length > this.#settings.maxAnswerLength) return;
    if (handled.isForgotten || !this.#budget.take(text.length)) return;
    handled.answer = text;
  }

  /** Deletes all answers. */
  clear(): void { for (const id of this.#handled.keys()) this.#delete(id); }

  #delete(id: string): void {
    const handled = this.#handled.get(id);
    if (!handled) return;
    handled.isForgotten = true;
    this.#budget.used -= handled.answer?.length ?? 0;
    this.#handled.delete(id);
  }
}

/** A result as JSON. `undefined` if JSON cannot represent it. */
function encode(result: unknown): string | undefined {
  if (result === undefined) return '';
  if (ArrayBuffer.isView(result) || result instanceof ArrayBuffer) return undefined;
  try {
    return JSON.stringify(result);
  } catch {
    // A circular value, or a bigint. Sending it reports the error.
    return undefined;
  }
}

/** The result of a handler again. */
export const decodeAnswer = (answer: string): unknown => (answer === '' ? undefined : JSON.parse(answer));
