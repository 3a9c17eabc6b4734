import { isThenable, ModuleError, type Connection, type Message, type Next } from '../../src/index.ts';
import type { HistoryApi } from '../history.ts';
import { decodeAnswer, type Answers, type Handled } from './answers.ts';
import type { RecoverySettings } from './recovery-options.ts';
import type { Session } from './session.ts';
import type { Sessions } from './sessions.ts';

/** The types of the messages that change sessions. */
export interface SessionTypes {
  readonly recover: string;
  /** Their answers are sent after the session is written to the shared store. Empty without a store. */
  readonly changing: ReadonlySet<string>;
}

/** Repetitions recognizes messages that a client sends again, and returns the answer that was recorded. */
export class Repetitions {
  readonly #sessions: Sessions;
  readonly #history: HistoryApi;
  readonly #settings: RecoverySettings;
  readonly #types: SessionTypes;
  #recognized = 0;

  constructor(sessions: Sessions, history: HistoryApi, settings: RecoverySettings, types: SessionTypes) {
    this.#sessions = sessions;
    this.#history = history;
    this.#settings = settings;
    this.#types = types;
  }

  get recognized(): number { return this.#recognized; }

  /** Handles a message. Only those of clients with a session that want an acknowledgement are remembered. */
  handle(message: Message, connection: Connection, next: Next): unknown {
    const session = this.#sessions.of(connection);
    if (!session || message.type === this.#types.recover) return next();
    if (this.#types.changing.has(message.type)) {
      return this.#written(session, connection, this.#recognize(session, message, connection, next));
    }
    return this.#recognize(session, message, connection, next);
  }

  /**
   * Returns the result after the session is written. The answer may say that the client is in a room; from then on, any
   * node to which the client reconnects must find this room in the session.
   */
  async #written(session: Session, connection: Connection, result: unknown): Promise<unknown> {
    const answer = await result;
    if (session.owner === connection) this.#sessions.changed(session);
    await this.#sessions.written(session);
    return answer;
  }

  #recognize(session: Session, message: Message, connection: Connection, next: Next): unknown {
    if (!message.ack || message.id === undefined) return next();
    const known = session.answers.get(message.id);
    // Another type under the same id is another message.
    if (known?.type !== message.type) return this.#first(session, message, next);
    if (known.runsOn !== undefined && !known.running) void this.#sessions.finish(session, message.id, known);
    // The handler may still run, for an earlier connection of the client.
    if (known.running) {
      return known.running.then(() => (connection.isOpen ? this.handle(message, connection, next) : undefined));
    }
    if (known.answer === undefined) {
      message.isRepeat = true;
      return this.#run(session, message, next);
    }
    this.#recognized++;
    return decodeAnswer(known.answer);
  }

  /** @throws MESSAGE_TOO_OLD */
  #first(session: Session, message: Message, next: Next): unknown {
    const age = message.meta?.repeat;
    if (typeof age === 'number' && age >= 0) {
      const { answerWindow: window } = this.#settings;
      if (session.answers.isForgotten(performance.now() - age)) throw new ModuleError('MESSAGE_TOO_OLD', { window });
      message.isRepeat = true;
    }
    return this.#run(session, message, next);
  }

  #run(session: Session, message: Message, next: Next): unknown {
    const { answers } = session;
    const handled = answers.begin(message.id!, message.type);
    // A handler that runs again appends its messages under the same keys.
    const result = this.#history.withKey(`${answers.scope} ${message.id!}`, next);
    if (!isThenable(result)) {
      this.#record(answers, handled, message, result);
      return result;
    }
    const recorded = Promise.resolve(result).then((value) => {
      this.#record(answers, handled, message, value);
      return value;
    });
    handled.running = recorded.catch(() => undefined).finally(() => (handled.running = undefined));
    return recorded;
  }

  #record(answers: Answers, handled: Handled, { id, isAnswered }: Message, result: unknown): void {
    // A handler that has sent its own answer runs again.
    if (!isAnswered) answers.record(id!, handled, result);
  }
}
