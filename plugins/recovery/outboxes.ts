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
 * The answers of clients that keep their unanswered messages on a disk: they are remembered by user and outbox, because
 * a session expires first.
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

  /** The answers of an outbox, for one more session. */
  enter(scope: string, userId: string): Answers {
    const known = this.#outboxes.get(scope);
    if (known) {
      known.sessions++;
      return known.answers;
    }
    const outbox = { answers: new Answers(scope, userId, this.#host), sessions: 1, leftAt: 0 };
    // Without room, it ends with the session.
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

/** Names the outbox of a user. */
export const outboxScope = (userId: string, outbox: string): string => `outbox ${JSON.stringify([userId, outbox])}`;
