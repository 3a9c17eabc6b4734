import { inspect } from 'node:util';
import createDebug from 'debug';
import type { Log, Logger, LogLevel } from '../contracts.ts';
import { cleanLine, stackLines } from './clean.ts';
import { RepeatLimiter } from './repeat-limiter.ts';

type Details = Readonly<Record<string, unknown>>;

export const levels: readonly LogLevel[] = ['debug', 'info', 'warn', 'error'];

/** Characters of an error's message, which may quote a whole message of a client. */
const MAX_MESSAGE = 2_048;

/**
 * Writes the log lines of a manager: to the logger if there is one; else lines of at least `level` to stderr, and the
 * others to the package `debug`, as `websocket:*`.
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

  /** Whether lines of level debug are written. If not, the hot path does not create them. */
  get isVerbose(): boolean { return this.#isVerbose; }

  setLevel(level: LogLevel): void {
    this.#threshold = levels.indexOf(level);
    rereadDebug();
    this.#isVerbose = this.#threshold === 0
      || createDebug.enabled('websocket:message') || createDebug.enabled('websocket:connection');
  }

  /** A log whose lines begin with `websocket:<name>`. */
  child(name: string): Log { return this.#child(name).log; }

  /** Writes an error with its stack: at most ten per minute of each code. */
  failure(name: string, error: Error & { readonly code?: unknown }, details: Details): void {
    const { trace } = this.#child(name);
    if (!this.#isWritten('error', trace)) return;
    const code = typeof error.code === 'string' ? error.code : error.name;
    const admission = this.#repeats.admit(`${name} ${code}`, performance.now());
    if (!admission) return;
    const { suppressed, isLast } = admission;
    const more = {
      ...(suppressed > 0 && { suppressed }),
      ...(isLast && { note: 'further errors of this code are not written for a minute' }),
    };
    const text = cleanLine(`${error.name}: ${error.message}`, MAX_MESSAGE);
    this.#write('error', trace, `${text} ${cleanLine(toText({ ...details, ...more }))}${stackLines(error)}`);
  }

  #child(name: string) {
    const present = this.#children.get(name);
    if (present) return present;
    const trace = createDebug(`websocket:${name}`);
    const write = (level: LogLevel) => (text: string, details?: Details) => {
      if (!this.#isWritten(level, trace)) return;
      this.#write(level, trace, cleanLine(details ? `${text} ${toText(details)}` : text));
    };
    const log = { debug: write('debug'), info: write('info'), warn: write('warn'), error: write('error') };
    const child = { log, trace };
    this.#children.set(name, child);
    return child;
  }

  #isAtLevel(level: LogLevel): boolean { return levels.indexOf(level) >= this.#threshold; }

  #isWritten(level: LogLevel, trace: createDebug.Debugger): boolean {
    return this.#isAtLevel(level) || (!this.#logger && trace.enabled);
  }

  /** @param line a line that clean() has cleaned */
  #write(level: LogLevel, trace: createDebug.Debugger, line: string): void {
    if (this.#isAtLevel(level)) this.#writeToLogger(level, `${trace.namespace} ${line}`);
    else trace('%s', line);
  }

  #writeToLogger(level: LogLevel, line: string): void {
    try {
      if (this.#logger) return this.#logger[level](line);
    } catch {
      // If the logger fails, the line is written to stderr.
    }
    process.stderr.write(`${new Date().toISOString()} ${level.toUpperCase()} ${line}\n`);
  }
}

let lastDebug = process.env.DEBUG;

// `debug` reads the variable only when it is loaded, but applications may set it later.
function rereadDebug(): void {
  const now = process.env.DEBUG;
  if (now === lastDebug) return;
  lastDebug = now;
  createDebug.enable(now ?? '');
}

function toText(details: Details): string {
  try {
    return JSON.stringify(details);
  } catch {
    // Circular values, BigInts and throwing getters are possible, but logging must not throw.
    return inspect(details, { breakLength: Infinity, depth: 4 });
  }
}
