import type { HealthReport } from '../../src/index.ts';

/** The state of one server, from which its health is reported. */
export interface ServerHealth {
  /** The address of the server, if there are several. */
  readonly name?: string | undefined;
  /** Why the server cannot be used, and since when. */
  readonly trouble: { readonly reason: string; readonly since: Date } | undefined;
  /** Why the server works only in part. */
  readonly impairment: string | undefined;
}

/** RedisHealth reports the health of an adapter, and calls listeners when it changes. */
export class RedisHealth {
  readonly #changed: () => void;
  readonly #interrupted: (reason: string) => void;
  readonly #listeners = new Set<() => void>();
  #interruptions = 0;
  #last: { readonly at: Date; readonly reason: string } | undefined;
  #reported = '';

  /**
   * @param changed called when the status or its reason has changed
   * @param interrupted called when messages may have been lost
   */
  constructor(changed: () => void, interrupted: (reason: string) => void) {
    this.#changed = changed;
    this.#interrupted = interrupted;
  }

  report(servers: readonly ServerHealth[], figures: Readonly<Record<string, unknown>>): HealthReport {
    const last = this.#last;
    const all = {
      ...figures,
      interruptions: this.#interruptions,
      ...last && { lastInterruption: { at: last.at.toISOString(), reason: last.reason } },
    };
    const down = servers.find(({ trouble }) => trouble);
    if (down?.trouble) {
      const { reason, since } = down.trouble;
      return { status: 'unhealthy', reason: named(down, reason), since: since.toISOString(), ...all };
    }
    const impaired = servers.find(({ impairment }) => impairment !== undefined);
    if (impaired) return { status: 'degraded', reason: named(impaired, impaired.impairment!), ...all };
    return { status: 'healthy', ...all };
  }

  /** Compares a report with the last one, and calls `changed` if the status or its reason is different. */
  compare({ status, reason }: HealthReport): void {
    const now = `${status} ${String(reason)}`;
    if (now === this.#reported) return;
    this.#reported = now;
    this.#changed();
  }

  /** Notes that messages may have been lost. */
  interruption(reason: string): void {
    this.#interruptions++;
    this.#last = { at: new Date(), reason };
    this.#interrupted(reason);
    for (const listener of this.#listeners) listener();
  }

  /** Calls the listener at each interruption. Returns the undo. */
  onInterrupted(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => void this.#listeners.delete(listener);
  }
}

const named = ({ name }: ServerHealth, reason: string): string => (name === undefined ? reason : `${name}: ${reason}`);
