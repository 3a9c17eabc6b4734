import { isStoreUnavailable, type Json, type PluginContext, type SharedStore } from '../../src/index.ts';
import type { Answers, AnswerSink, Handled } from './answers.ts';
import type { RecoverySettings } from './recovery-options.ts';

/** Number of answers that one call reads. An answer has up to `maxAnswerLength` characters. */
const PAGE = 100;
/** Milliseconds after which a failed write is repeated. */
const RETRY_INTERVAL = 1_000;

/** What must be written for one session or outbox. */
interface Pending {
  /** The answers to write, by the id of the message. `undefined`: delete it. */
  answers: Map<string, Handled | undefined>;
  writing: Promise<void> | undefined;
}

/**
 * StoredAnswers keeps the answers of sessions and outboxes in the shared store, so that any node to which a client
 * reconnects has them. There is one set for each session or outbox; its members are the ids of the messages. Answers
 * are written in the background.
 */
export class StoredAnswers implements AnswerSink {
  readonly #context: PluginContext;
  readonly #store: SharedStore;
  readonly #settings: RecoverySettings;
  readonly #pending = new Map<string, Pending>();

  constructor(context: PluginContext, store: SharedStore, settings: RecoverySettings) {
    this.#context = context;
    this.#store = store;
    this.#settings = settings;
    context.every(RETRY_INTERVAL, () => {
      for (const [scope, pending] of this.#pending) pending.writing ??= this.#write(scope, pending);
    });
  }

  recorded(scope: string, id: string, handled: Handled): void {
    // The store refuses other names. Then only this node knows the answer.
    if (id !== '' && id.isWellFormed()) this.#add(scope, id, handled);
  }

  forgotten(scope: string, id: string): void { if (id !== '' && id.isWellFormed()) this.#add(scope, id, undefined); }

  /** Resolves when each answer of a session that is there now was written, or its write has failed. */
  async written(scope: string): Promise<void> {
    const pending = this.#pending.get(scope);
    if (pending) await (pending.writing ??= this.#write(scope, pending));
  }

  /** Writes no more for a session that this node has forgotten. */
  drop(scope: string): void { this.#pending.delete(scope); }

  /** Reads the answers that other nodes have recorded. @throws STORE_UNAVAILABLE, LEASE_LOST */
  async load(answers: Answers): Promise<void> {
    const { maxAnswers } = this.#settings;
    let cursor: string | undefined;
    let count = 0;
    let oldest = Infinity;
    do {
      const page = await this.#store.members(answers.scope, { cursor, limit: PAGE });
      for (const { id, value } of page.members) {
        const [type, at, answer] = value as unknown as StoredAnswer;
        const since = performance.now() - (this.#store.now() - at);
        oldest = Math.min(oldest, since);
        answers.restore(id, type, since, answer);
      }
      count += page.members.length;
      ({ cursor } = page);
    } while (cursor !== undefined && count <= maxAnswers);
    // Older ones may have been deleted to make room.
    if (count >= maxAnswers) answers.forgetUntil(oldest);
  }

  #add(scope: string, id: string, handled: Handled | undefined): void {
    let pending = this.#pending.get(scope);
    if (!pending) this.#pending.set(scope, (pending = { answers: new Map(), writing: undefined }));
    pending.answers.set(id, handled);
    pending.writing ??= this.#write(scope, pending);
  }

  /** Writes until nothing is left. After a failure, what is left is written at the next interval. */
  async #write(scope: string, pending: Pending): Promise<void> {
    // Writes the answers of one turn together.
    await Promise.resolve();
    while (pending.answers.size > 0 && this.#pending.get(scope) === pending) {
      const { answers } = pending;
      pending.answers = new Map();
      const writes = await Promise.allSettled([...answers].map(([id, handled]) => this.#writeOne(scope, id, handled)));
      let failure: unknown;
      for (const [index, [id, handled]] of [...answers].entries()) {
        const written = writes[index]!;
        if (written.status === 'fulfilled') continue;
        failure = written.reason;
        if (!pending.answers.has(id)) pending.answers.set(id, handled);
      }
      if (failure === undefined) continue;
      pending.writing = undefined;
      if (!isStoreUnavailable(failure)) this.#context.report(failure);
      return;
    }
    pending.writing = undefined;
    if (this.#pending.get(scope) === pending) this.#pending.delete(scope);
  }

  async #writeOne(scope: string, id: string, handled: Handled | undefined): Promise<void> {
    if (handled?.answer === undefined || handled.isForgotten) {
      await this.#store.leave(scope, id);
      return;
    }
    const { type, at, answer } = handled;
    const since = Math.round(this.#store.now() - (performance.now() - at));
    const value: StoredAnswer = [type, since, answer];
    await this.#store.enter(scope, id, { value: value as unknown as Json, ttl: this.#settings.answerWindow });
  }
}

/** `at`: when the message came, by the clock of the store. */
type StoredAnswer = readonly [type: string, at: number, answer: string];
