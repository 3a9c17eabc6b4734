import { Clock } from './clock.ts';
import { EventNames } from './event-names.ts';
import type { ErrorContext } from '../contracts.ts';
import { ModuleError, toError } from '../errors.ts';
import { HookBus } from './hooks.ts';
import { isConnectionId, newNodeId, nodeOf } from './ids.ts';
import { LogSink } from './log.ts';
import type { Settings } from './options.ts';
import { Statistics } from './statistics.ts';

/** What all parts of one manager share. */
export class Core {
  /** The node's id. */
  readonly id: string;
  readonly settings: Settings;
  readonly log: LogSink;
  readonly clock = new Clock();
  readonly hooks = new HookBus((error, event) => this.report(error, { phase: 'listener' }, event !== 'error'));
  readonly eventNames = new EventNames();
  #isTelling = false;
  readonly statistics = new Statistics((error, plugin) => this.report(error, { phase: 'plugin', plugin }));

  constructor(settings: Settings) {
    this.id = settings.nodeId ?? newNodeId();
    this.settings = settings;
    this.log = new LogSink(settings.logger, settings.logLevel);
  }

  /** Emits the `error` event. Without a listener, and for errors of its listeners, the error goes to the log. */
  report(error: Error, context: ErrorContext, isForListeners = true): void {
    if (this.#isDeparture(error)) {
      return this.log.child(context.plugin ?? context.phase).debug(error.message, { code: error.code });
    }
    // What a message ran into is counted as what its sender was told.
    if (context.phase !== 'message') this.statistics.error(error instanceof ModuleError ? error.code : error.name);
    if (isForListeners && !this.#isTelling && this.hooks.has('error')) {
      // What a listener does about an error may fail as well, and must not come back to it without end.
      this.#isTelling = true;
      this.hooks.emit('error', error, context);
      this.#isTelling = false;
      return;
    }
    const { phase, plugin, message, connection } = context;
    const cause = error.cause === undefined ? {} : { cause: toError(error.cause).message };
    this.log.failure(plugin ?? phase, error, { phase, type: message?.type, connection: connection?.id, ...cause });
  }

  /** Whether an error only says that a client of this node has left. Clients leave at any time: that is no failure. */
  #isDeparture(error: Error): error is ModuleError {
    if (!(error instanceof ModuleError)) return false;
    if (error.code !== 'CONNECTION_UNKNOWN' && error.code !== 'CONNECTION_CLOSED') return false;
    const { connection } = error.details;
    return typeof connection === 'string' && isConnectionId(connection) && nodeOf(connection) === this.id;
  }

  /** What the work gives, or else the fallback, and an error event that says why. */
  guard<T>(work: () => T, fallback: T): T {
    try {
      return work();
    } catch (error) {
      this.report(toError(error), { phase: 'send' });
      return fallback;
    }
  }
}
