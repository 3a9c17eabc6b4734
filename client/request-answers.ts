import { textOf } from './client-error.ts';
import type { ServerMessage } from './client-types.ts';

/** What a listener returned, or threw. */
export interface Outcome { readonly value?: unknown; readonly error?: unknown }

/** Answers that are remembered. */
const MAX_ANSWERS = 100;

/** Answers requests of the server. The server repeats a request until it has an answer; the work is done once. */
export class RequestAnswers {
  /** The answers by the id of the request. Empty while the listener works. */
  readonly #answers = new Map<string, string>();
  readonly #write: (answer: string) => void;

  constructor(write: (answer: string) => void) {
    this.#write = write;
  }

  isKnown(id: string): boolean { return this.#answers.has(id); }

  repeat(id: string): void {
    const answer = this.#answers.get(id);
    if (answer) this.#write(answer);
  }

  add({ id, type }: ServerMessage, hasListener: boolean, outcome: Outcome): void {
    const write = (answer: object): void => {
      this.#answers.set(id!, JSON.stringify({ ...answer, replyTo: id }));
      this.repeat(id!);
    };
    const refuse = (code: string, error: unknown): void =>
      write({ type: 'error', content: { code, message: textOf(error) } });
    this.#answers.set(id!, '');
    if (this.#answers.size > MAX_ANSWERS) this.#answers.delete(this.#answers.keys().next().value!);
    if (!hasListener) return refuse('UNKNOWN_TYPE', `no listener for ${type}`);
    if ('error' in outcome) return refuse('CLIENT_ERROR', outcome.error);
    Promise.resolve(outcome.value)
      .then((content) => write({ type: 'ack', content }))
      .catch((error: unknown) => refuse('CLIENT_ERROR', error));
  }
}
