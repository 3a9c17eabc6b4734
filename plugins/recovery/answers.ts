import type { RecoverySettings } from './recovery-options.ts';

/** What is remembered of one message of a client that is being handled, or was handled. */
export interface Handled {
  readonly type: string;
  /** When the message arrived, by `performance.now()`. */
  readonly at: number;
  /** Settles when the handler has finished. `undefined` afterwards. */
  running: Promise<unknown> | undefined;
  /** The node on which the handler was still running when this node took the session over. `undefined` for others. */
  runsOn: string | undefined;
  /** Whether this entry was deleted: the session may end before the handler has finished. */
  isForgotten: boolean;
  /** What the handler returned, as JSON; `''` if it returned nothing. `undefined` if no answer is recorded. */
  answer: string | undefined;
}

/** AnswerBudget counts the characters of the answers of all sessions, up to a limit. */
export class AnswerBudget {
  readonly #max: number;
  used = 0;

  constructor(max: number) { this.#max = max; }

  /** Counts characters. Returns `false`, and counts nothing, if the limit would be exceeded. */
  take(length: number): boolean {
    if (this.used + length > this.#max) return false;
    this.used += length;
    return true;
  }
}

/** Writes answers to where other nodes find them. */
export interface AnswerSink {
  recorded(scope: string, id: string, handled: Handled): void;
  /** The answer was forgotten to make room. */
  forgotten(scope: string, id: string): void;
}

export interface AnswersHost {
  readonly settings: RecoverySettings;
  readonly budget: AnswerBudget;
  readonly sink: AnswerSink | undefined;
}

/** Answers remembers the last messages of one session or outbox, and their answers. */
export class Answers {
  /** Identifies the session or outbox on all nodes. */
  readonly scope: string;
  /** The user of the outbox; `undefined` for the answers of a session. */
  readonly outboxOf: string | undefined;
  readonly #host: AnswersHost;
  // Created when it is needed: most sessions never have one.
  #handled: Map<string, Handled> | undefined;
  /** Messages that arrived up to this time may have been forgotten. */
  #forgottenUntil = -Infinity;

  constructor(scope: string, outboxOf: string | undefined, host: AnswersHost) {
    this.scope = scope;
    this.outboxOf = outboxOf;
    this.#host = host;
  }

  /** The time up to which messages may have been forgotten, by `performance.now()`. */
  get forgottenUntil(): number { return this.#forgottenUntil; }

  /** The messages whose handlers are running. */
  get running(): { readonly id: string; readonly type: string }[] {
    const running = [...this.#handled ?? []].filter(([, handled]) => handled.running !== undefined);
    return running.map(([id, { type }]) => ({ id, type }));
  }

  get(id: string): Handled | undefined { return this.#handled?.get(id); }

  /** Whether a message that was first sent at this time may have been handled and forgotten. */
  isForgotten(sentAt: number): boolean {
    return sentAt <= this.#forgottenUntil || performance.now() - sentAt > this.#host.settings.answerWindow;
  }

  /** Notes that messages which arrived up to this time may have been forgotten. */
  forgetUntil(at: number): void { this.#forgottenUntil = Math.max(this.#forgottenUntil, at); }

  /** Remembers that a message is being handled. */
  begin(id: string, type: string): Handled {
    const now = performance.now();
    this.#delete(id);
    const handled = this.#add(id, type, now);
    const { maxAnswers, answerWindow } = this.#host.settings;
    // The oldest entry is the first one.
    for (const [key, { at, running, answer }] of this.#handled!) {
      const isOld = now - at > answerWindow;
      if (!(isOld || this.#handled!.size > maxAnswers) || running || key === id) break;
      this.forgetUntil(at);
      this.#delete(key);
      if (!isOld && answer !== undefined) this.#host.sink?.forgotten(this.scope, key);
    }
    return handled;
  }

  /** Remembers what the handler returned, if there is room for it. */
  record(id: string, handled: Handled, result: unknown): void {
    const text = encode(result);
    if (text !== undefined) this.recordText(id, handled, text);
  }

  recordText(id: string, handled: Handled, text: string): void {
    if (text.length > this.#host.settings.maxAnswerLength) return;
    if (handled.isForgotten || !this.#host.budget.take(text.length)) return;
    handled.answer = text;
    this.#host.sink?.recorded(this.scope, id, handled);
  }

  /** Adds an answer that another node has recorded, unless this node knows the message. */
  restore(id: string, type: string, at: number, answer: string): void {
    if (this.#handled?.has(id)) return;
    if (!this.#host.budget.take(answer.length)) return this.forgetUntil(at);
    this.#add(id, type, at).answer = answer;
  }

  /** Adds a message whose handler is running on another node, unless its answer is known. */
  restoreRunning(id: string, type: string, node: string): void {
    if (!this.#handled?.has(id)) this.#add(id, type, performance.now()).runsOn = node;
  }

  /** Deletes all answers. */
  clear(): void { for (const id of this.#handled?.keys() ?? []) this.#delete(id); }

  #add(id: string, type: string, at: number): Handled {
    const handled: Handled = { type, at, running: undefined, runsOn: undefined, isForgotten: false, answer: undefined };
    (this.#handled ??= new Map()).set(id, handled);
    return handled;
  }

  #delete(id: string): void {
    const handled = this.#handled?.get(id);
    if (!handled) return;
    handled.isForgotten = true;
    this.#host.budget.used -= handled.answer?.length ?? 0;
    this.#handled!.delete(id);
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
