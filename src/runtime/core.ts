import { Clock } from './clock.ts';
import { EventNames } from './event-names.ts';
import type { ErrorContext } from '../contracts.ts';
import { ModuleError, toError } from '../errors.ts';
import { HookBus } from './hooks.ts';
import { isConnectionId, newNodeId, nodeOf } from './ids.ts';
import { LogSink } from './log.ts';
import type { Settings } from './options.ts';
import { Statistics } from './statistics.ts';

/** The parts of the kernel that all others use: settings, log, clock, events, statistics. */
export class Core {
  /** The node's id. */
  readonly id: string;
  readonly settings: Settings;
  readonly log: LogSink;
  readonly clock = new Clock();
  readonly hooks = new HookBus((error, event) => this.report(error, { phase: 'listener' }, event !== 'error'));
  readonly eventNames = new EventNames();
  #isEmittingError = false;
  readonly statistics = new Statistics((error, plugin) => this.report(error, { phase: 'plugin', plugin }));

  constructor(settings: Settings) {
    this.id = settings.nodeId ?? newNodeId();
    this.settings = settings;
    this.log = new LogSink(settings.logger, settings.logLevel);
  }

  /** Emits the `error` event. Without a listener, and for errors of its listeners, the error goes to the log. */
  report(error: Error, context: ErrorContext, isForListeners = true): void {
    if (this.#isDisconnection(error)) {
      return this.log.child(context.plugin ?? context.phase).debug(error.message, { code: error.code });
    }
    // The error of a message is counted already, with the code that was sent to its client.
    if (context.phase !== 'message') this.statistics.error(error instanceof ModuleError ? error.code : error.name);
    if (isForListeners && !this.#isEmittingError && this.hooks.has('error')) {
      // If a listener causes another error, that one goes to the log: emitting it could repeat without end.
      this.#isEmittingError = true;
      this.hooks.emit('error', error, context);
      this.#isEmittingError = false;
      return;
    }
    const { phase, plugin, message, connection } = context;
    const cause = error.cause === undefined ? {} : { cause: toError(error.cause).message };
    this.log.failure(plugin ?? phase, error, { phase, type: message?.type, connection: connection?.id, ...cause });
  }

  /** Whether an error only says that a client of this node has disconnected, which is no failure. */
  #isDisconnection(error: Error): error is ModuleError {
    if (!(error instanceof ModuleError)) return false;
    if (error.code !== 'CONNECTION_UNKNOWN' && error.code !== 'CONNECTION_CLOSED') return false;
    const { connection } = error.details;
    return typeof connection === 'string' && isConnectionId(connection) && nodeOf(connection) === this.id;
  }

  /** Returns the result of the work. If it throws, reports the error and returns the fallback. */
  guard<T>(work: () => T, fallback: T): T {
    try {
      return work();
    } catch (error) {
      this.report(toError(error), { phase: 'send' });
      return fallback;
    }
  }
}
