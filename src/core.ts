import { Clock } from './clock.ts';
import type { ErrorContext } from './contracts.ts';
import { ModuleError, toError } from './errors.ts';
import { HookBus } from './hooks.ts';
import { newNodeId } from './ids.ts';
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
  readonly hooks = new HookBus((error, context) => this.report(error, context));
  readonly statistics = new Statistics((error, plugin) => this.report(error, { phase: 'plugin', plugin }));

  constructor(settings: Settings) {
    this.id = settings.nodeId ?? newNodeId();
    this.settings = settings;
    this.log = new LogSink(settings.logger, settings.logLevel);
  }

  /** Tells the `error` event; without a listener, or from one that fails itself, stderr. */
  report(error: Error, context: ErrorContext): void {
    // What a message ran into is counted as what its sender was told.
    if (context.phase !== 'message') this.statistics.error(error instanceof ModuleError ? error.code : error.name);
    if (this.hooks.has('error') && (context.phase !== 'listener' || context.connection)) return this.hooks.emit('error', error, context);
    const { phase, plugin, message, connection } = context;
    const cause = error.cause === undefined ? {} : { cause: toError(error.cause).message };
    this.log.child(plugin ?? phase).error(error.stack ?? error.message, { phase, type: message?.type, connection: connection?.id, ...cause });
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
