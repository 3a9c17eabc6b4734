import { inspect } from 'node:util';
import createDebug from 'debug';
import type { Log, Logger, LogLevel } from '../contracts.ts';
import { cleanLine, stackLines } from './clean.ts';
import { RepeatLimiter } from './repeat-limiter.ts';

type Details = Readonly<Record<string, unknown>>;

export const levels: readonly LogLevel[] = ['debug', 'info', 'warn', 'error'];

/** Characters of an error's message, which may quote all that a client sent. */
const MAX_MESSAGE = 2_048;

/**
 * Where a manager's log lines go: to a logger; else those at the level to stderr, and the rest to `debug`'s
 * `websocket:*`.
 */
export class LogSink {
  readonly #logger: Logger | undefined;
  readonly #children = new Map<string, { readonly log: Log; readonly trace: createDebug.Debugger }>();
  readonly #repeats = new RepeatLimiter();
  #threshold = 0;
  #isVerbose = false;

  constructor(logger: Logger | undefined, level: LogLevel | undefined) {
    this.#logger = logger;
    this.setLevel(level ?? (logger ? 'info' : 'warn'));
  }

  /** Whether lines of level debug are read. Where they are not, the hot path does not make them. */
  get isVerbose(): boolean { return this.#isVerbose; }

  setLevel(level: LogLevel): void {
    this.#threshold = levels.indexOf(level);
    rereadDebug();
    this.#isVerbose = this.#threshold === 0
      || createDebug.enabled('websocket:message') || createDebug.enabled('websocket:connection');
  }

  /** A log whose lines carry the namespace `websocket:<name>`. */
  child(name: string): Log { return this.#child(name).log; }

  /** Writes an error with its stack. Of the errors of one code, at most ten in a minute are written. */
  failure(name: string, error: Error & { readonly code?: unknown }, details: Details): void {
    const { trace } = this.#child(name);
    if (!this.#isOn('error', trace)) return;
    const code = typeof error.code === 'string' ? error.code : error.name;
    const admission = this.#repeats.admit(`${name} ${code}`, performance.now());
    if (!admission) return;
    const { suppressed, isLast } = admission;
    const more = {
      ...(suppressed > 0 && { suppressed }),
      ...(isLast && { note: 'further errors of this code are not written for a minute' }),
    };
    const text = cleanLine(`${error.name}: ${error.message}`, MAX_MESSAGE);
    this.#write('error', trace, `${text} ${cleanLine(written({ ...details, ...more }))}${stackLines(error)}`);
  }

  #child(name: string) {
    const present = this.#children.get(name);
    if (present) return present;
    const trace = createDebug(`websocket:${name}`);
    const write = (level: LogLevel) => (text: string, details?: Details) => {
      if (!this.#isOn(level, trace)) return;
      this.#write(level, trace, cleanLine(details ? `${text} ${written(details)}` : text));
    };
    const log = { debug: write('debug'), info: write('info'), warn: write('warn'), error: write('error') };
    const child = { log, trace };
    this.#children.set(name, child);
    return child;
  }

  #isLoud(level: LogLevel): boolean { return levels.indexOf(level) >= this.#threshold; }

  #isOn(level: LogLevel, trace: createDebug.Debugger): boolean {
    return this.#isLoud(level) || (!this.#logger && trace.enabled);
  }

  /** @param line one that is clean */
  #write(level: LogLevel, trace: createDebug.Debugger, line: string): void {
    if (this.#isLoud(level)) this.#say(level, `${trace.namespace} ${line}`);
    else trace('%s', line);
  }

  #say(level: LogLevel, line: string): void {
    try {
      if (this.#logger) return this.#logger[level](line);
    } catch {
      // A failing logger is no reason to fail; the line goes to stderr.
    }
    process.stderr.write(`${new Date().toISOString()} ${level.toUpperCase()} ${line}\n`);
  }
}

let lastDebug = process.env.DEBUG;

// `debug` reads the variable once, when it is loaded; the documentation sets it afterwards.
function rereadDebug(): void {
  const now = process.env.DEBUG;
  if (now === lastDebug) return;
  lastDebug = now;
  createDebug.enable(now ?? '');
}

function written(details: Details): string {
  try {
    return JSON.stringify(details);
  } catch {
    // Circles, BigInts, getters that throw: logging must never throw.
    return inspect(details, { breakLength: Infinity, depth: 4 });
  }
}
