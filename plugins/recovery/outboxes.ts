import { BoundedTable } from '../../src/index.ts';
import { Answers, type AnswersHost } from './answers.ts';

interface Outbox {
  readonly answers: Answers;
  /** Number of sessions that use it. */
  sessions: number;
  /** When the last session was dropped, by `performance.now()`. */
  leftAt: number;
}

/**
 * Outboxes keeps the answers for clients that store their unanswered messages on a disk. It keeps them by user and
 * outbox, because such a client may send a message again after its session has expired.
 */
export class Outboxes {
  readonly #host: AnswersHost;
  readonly #outboxes: BoundedTable<string, Outbox>;

  constructor(host: AnswersHost) {
    this.#host = host;
    const { maxSessions, maxSessionsPerActor, answerWindow } = host.settings;
    this.#outboxes = new BoundedTable({
      max: maxSessions,
      maxPerOwner: Math.min(maxSessions, maxSessionsPerActor),
      isExpired: ({ answers, sessions, leftAt }) => {
        const isExpired = sessions === 0 && performance.now() - leftAt > answerWindow;
        if (isExpired) answers.clear();
        return isExpired;
      },
    });
  }

  /** Returns the answers of an outbox, and counts one more session that uses them. */
  enter(scope: string, userId: string): Answers {
    const known = this.#outboxes.get(scope);
    if (known) {
      known.sessions++;
      return known.answers;
    }
    const outbox = { answers: new Answers(scope, userId, this.#host), sessions: 1, leftAt: 0 };
    // If the table is full, the outbox is not in it: its answers are deleted with the session.
    this.#outboxes.set(scope, outbox, userId);
    return outbox.answers;
  }

  /** Called when a session that uses the answers is dropped. */
  leave(answers: Answers): void {
    const outbox = this.#outboxes.peek(answers.scope);
    if (outbox?.answers !== answers) return answers.clear();
    outbox.sessions--;
    outbox.leftAt = performance.now();
  }
}

/** The scope of the answers of an outbox. */
export const outboxScope = (userId: string, outbox: string): string => `outbox ${JSON.stringify([userId, outbox])}`;
