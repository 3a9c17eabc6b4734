import { closeCodes, ModuleError, type Connection, type PluginContext } from '../../src/index.ts';
import type { Shortage } from './budgets.ts';

export interface PenaltyOptions {
  /** Rejections after which a connection is muted. */
  readonly muteAfter: number;
  /** Milliseconds for which it is not read; `0` for no mutes. */
  readonly muteFor: number;
  /** Mutes after which it is closed instead of muted. */
  readonly closeAfter: number | false;
}

/** The rejections and mutes of a connection. */
interface Record {
  refusals: number;
  mutes: number;
  refusedAt: number;
  /** Resolves when the connection is read again. */
  muted: Promise<void> | undefined;
}

/** Milliseconds without a rejection after which earlier rejections and mutes no longer count. */
const RESET_AFTER = 60_000;

/** Rejects messages. A connection that does not slow down is muted, and finally closed. */
export class Penalties {
  readonly counts = { refused: 0, muted: 0, closed: 0 };
  readonly #options: PenaltyOptions;
  readonly #records = new WeakMap<Connection, Record>();
  readonly #mute: ReturnType<typeof muter>;

  constructor(context: PluginContext, options: PenaltyOptions) {
    this.#options = options;
    this.#mute = muter(context, options.muteFor);
  }

  /** Resolves when the mute of a connection ends. `undefined`: it is not muted. */
  muteOf(connection: Connection): Promise<void> | undefined { return this.#records.get(connection)?.muted; }

  /** Rejects a message. May mute or close the connection. Returns the error. */
  refuse(connection: Connection, shortage: Shortage, now: number): ModuleError {
    const { muteAfter, muteFor, closeAfter } = this.#options;
    const record = this.#recordOf(connection);
    this.counts.refused++;
    if (now - record.refusedAt > RESET_AFTER) record.refusals = record.mutes = 0;
    record.refusedAt = now;
    if (++record.refusals < muteAfter) return new ModuleError('RATE_LIMITED', { ...shortage });
    record.refusals = 0;
    if (closeAfter !== false && record.mutes >= closeAfter) {
      this.counts.closed++;
      connection.close(closeCodes.rateLimited, `RATE_LIMITED: retry after ${shortage.retryAfter} ms`);
      return new ModuleError('RATE_LIMITED', { ...shortage });
    }
    record.mutes++;
    record.muted = muteFor === 0 ? undefined : this.#mute(() => (record.muted = undefined));
    if (!record.muted) return new ModuleError('RATE_LIMITED', { ...shortage });
    this.counts.muted++;
    const announced = { ...shortage, retryAfter: Math.max(shortage.retryAfter, muteFor), muted: true };
    return new ModuleError('RATE_LIMITED', announced);
  }

  #recordOf(connection: Connection): Record {
    const known = this.#records.get(connection);
    if (known) return known;
    const record = { refusals: 0, mutes: 0, refusedAt: 0, muted: undefined };
    this.#records.set(connection, record);
    return record;
  }
}

/** Starts mutes: promises that resolve after the given time, or when the plugin or the server stops. */
function muter(context: PluginContext, milliseconds: number): (ended: () => void) => Promise<void> | undefined {
  const endings = new Set<() => void>();
  // During unloading no message may wait for a mute, because unloading waits for the messages.
  let isOver = false;
  const endAll = (): void => {
    isOver = true;
    endings.forEach((end) => end());
  };
  context.signal.addEventListener('abort', endAll);
  context.on('stopping', endAll);
  return (ended) => (isOver ? undefined : new Promise((resolve) => {
    const end = (): void => {
      endings.delete(end);
      ended();
      resolve();
    };
    endings.add(end);
    context.after(milliseconds, end);
  }));
}
