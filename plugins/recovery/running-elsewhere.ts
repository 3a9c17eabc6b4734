import { BoundedTable, isRecord, type Channel, type PluginContext } from '../../src/index.ts';
import type { Answers, Handled } from './answers.ts';
import type { RecoverySettings } from './recovery-options.ts';

/** Milliseconds for which a node lets another one wait for a handler, before it says that it still runs. */
const PATIENCE = 1_500;

interface Asked { readonly scope?: unknown; readonly id?: unknown }
/** `isRunning`: ask again. Without an answer, the handler must run again. */
interface Told { readonly isRunning: boolean; readonly answer?: string | undefined }

interface KeptAnswers {
  readonly answers: Answers;
  readonly since: number;
  /** Whether no session uses them. */
  readonly isOrphan: boolean;
}

/**
 * RunningElsewhere gets the answers of handlers that were still running on another node when this node took the session
 * over, and gives those of this node to others.
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
    // It may have finished since the document of the session was written, which says that it runs.
    if (answers.running.length === 0 && !this.#kept.has(answers.scope)) return false;
    return this.#kept.set(answers.scope, { answers, since: performance.now(), isOrphan }) === undefined;
  }

  /** A connection of this node has the session again. */
  release({ scope }: Answers): void { this.#kept.delete(scope); }

  /** Waits for the other node. If that is dead or does not know the message, the handler runs again. */
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
      const patience = new Promise<void>((resolve) => void this.#context.after(PATIENCE, resolve));
      await Promise.race([handled.running, patience]);
    }
    return { isRunning: handled.running !== undefined, answer: handled.answer };
  }
}
