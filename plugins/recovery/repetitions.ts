import { isThenable, ModuleError, type Connection, type Message, type Next } from '../../src/index.ts';
import type { HistoryApi } from '../history.ts';
import { decodeAnswer, type Handled } from './answers.ts';
import type { RecoverySettings } from './recovery-options.ts';
import type { Session } from './session.ts';
import type { Sessions } from './sessions.ts';

/** Recognizes messages that a client sends again, and gives them the answer that was recorded. */
export class Repetitions {
  readonly #sessions: Sessions;
  readonly #history: HistoryApi;
  readonly #settings: RecoverySettings;
  readonly #exempt: string;
  #recognized = 0;

  /** @param exempt the type of the message that begins a session */
  constructor(sessions: Sessions, history: HistoryApi, settings: RecoverySettings, exempt: string) {
    this.#sessions = sessions;
    this.#history = history;
    this.#settings = settings;
    this.#exempt = exempt;
  }

  get recognized(): number { return this.#recognized; }

  /** Handles a message. Only those of clients with a session that want an acknowledgement are remembered. */
  handle(message: Message, connection: Connection, next: Next): unknown {
    const session = this.#sessions.of(connection);
    if (!session || !message.ack || message.id === undefined || message.type === this.#exempt) return next();
    const known = session.answers.get(message.id);
    // A client that gives another message the same id means another message.
    if (known?.type !== message.type) return this.#first(session, message, next);
    // The handler may still run, for an earlier connection of the client.
    if (known.running) return known.running.then(() => this.handle(message, connection, next));
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
    const result = this.#history.withKey(`${session.handle} ${message.id!}`, next);
    if (!isThenable(result)) {
      this.#record(session, handled, message, result);
      return result;
    }
    const recorded = Promise.resolve(result).then((value) => {
      this.#record(session, handled, message, value);
      return value;
    });
    handled.running = recorded.catch(() => undefined).finally(() => (handled.running = undefined));
    return recorded;
  }

  #record({ answers }: Session, handled: Handled, { isAnswered }: Message, result: unknown): void {
    // A handler that has sent its own answer runs again.
    if (!isAnswered) answers.record(handled, result);
  }
}
