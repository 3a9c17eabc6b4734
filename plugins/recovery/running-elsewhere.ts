import { BoundedTable, isRecord, type Channel, type PluginContext } from '../../src/index.ts';
import type { Answers, Handled } from './answers.ts';
import type { RecoverySettings } from './recovery-options.ts';

/** Milliseconds after which a node that is asked for an answer says that the handler is still running. */
const ANSWER_TIMEOUT = 1_500;

interface Asked { readonly scope?: unknown; readonly id?: unknown }
/** `isRunning`: ask again. If it is false and there is no answer, the handler must run again. */
interface Told { readonly isRunning: boolean; readonly answer?: string | undefined }

/** Answers of a session without a connection, for which another node may ask. */
interface KeptAnswers {
  readonly answers: Answers;
  /** When they were kept, by `performance.now()`. */
  readonly since: number;
  /** Whether no session of this node uses the answers any more. */
  readonly isOrphan: boolean;
}

/**
 * RunningElsewhere is for handlers that were still running when another node took the session over: it asks the node of
 * the handler for the answer, and tells other nodes the answers of handlers of this node.
 */
export class RunningElsewhere {
  readonly #context: PluginContext;
  readonly #channel: Channel<Asked, Told>;
  readonly #kept: BoundedTable<string, KeptAnswers>;

  constructor(context: PluginContext, { maxSessions, answerWindow }: RecoverySettings) {
    this.#context = context;
    this.#kept = new BoundedTable({
      max: maxSessions,
      isExpired({ answers, since, isOrphan }) {
        const isExpired = performance.now() - since > answerWindow;
        if (isExpired && isOrphan) answers.clear();
        return isExpired;
      },
    });
    this.#channel = context.channel<Asked, Told>('answer', (asked) => this.#tell(asked));
  }

  /**
   * Keeps the answers of a session that is without a connection, if one of its handlers is still running, or was when
   * the connection was closed. Returns whether they are kept.
   */
  keep(answers: Answers, isOrphan: boolean): boolean {
    // A handler may have finished after the document of the session was written: the document says that it runs.
    if (answers.running.length === 0 && !this.#kept.has(answers.scope)) return false;
    return this.#kept.set(answers.scope, { answers, since: performance.now(), isOrphan }) === undefined;
  }

  /** Called when a connection of this node has resumed the session. */
  release({ scope }: Answers): void { this.#kept.delete(scope); }

  /**
   * Waits for the answer of the other node, and records it. If that node is dead or does not know the message, nothing
   * is recorded, so the handler runs again.
   */
  finish(answers: Answers, id: string, handled: Handled): Promise<void> {
    const { scope } = answers;
    const node = handled.runsOn!;
    const finish = async (): Promise<void> => {
      let told: Told | undefined;
      do {
        const { answers: [given] } = await this.#channel.ask({ scope, id }, { node });
        told = isRecord(given?.answer) ? given.answer : undefined;
      } while (told?.isRunning === true);
      if (typeof told?.answer === 'string') answers.recordText(id, handled, told.answer);
    };
    const running = finish().catch((error: unknown) => this.#context.report(error)).finally(() => {
      handled.runsOn = undefined;
      handled.running = undefined;
    });
    handled.running = running;
    return running;
  }

  async #tell({ scope, id }: Asked): Promise<Told> {
    if (typeof scope !== 'string' || typeof id !== 'string') return { isRunning: false };
    const handled = this.#kept.get(scope)?.answers.get(id);
    if (!handled) return { isRunning: false };
    if (handled.running) {
      const timeout = new Promise<void>((resolve) => void this.#context.after(ANSWER_TIMEOUT, resolve));
      await Promise.race([handled.running, timeout]);
    }
    return { isRunning: handled.running !== undefined, answer: handled.answer };
  }
}
