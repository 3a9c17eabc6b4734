import { inspect } from 'node:util';
import createDebug from 'debug';
import type { Log, Logger, LogLevel } from '../contracts.ts';

export const levels: readonly LogLevel[] = ['debug', 'info', 'warn', 'error'];

/**
 * Where a manager's log lines go: to a logger; else those at the level to stderr, and the rest to `debug`'s
 * `websocket:*`.
 */
export class LogSink {
  readonly #logger: Logger | undefined;
  readonly #children = new Map<string, Log>();
  #threshold = 0;
  #isVerbose = false;

  constructor(logger: Logger | undefined, level: LogLevel | undefined) {
    this.#logger = logger;
    this.setLevel(level ?? (logger ? 'info' : 'warn'));
  }

  /** Whether anybody reads lines of level debug: those on the hot path are not made for nobody. */
  get isVerbose(): boolean { return this.#isVerbose; }

  setLevel(level: LogLevel): void {
    this.#threshold = levels.indexOf(level);
    rereadDebug();
    this.#isVerbose = this.#threshold === 0 || createDebug.enabled('websocket:message') || createDebug.enabled('websocket:connection');
  }

  /** A log whose lines carry the namespace `websocket:<name>`. */
  child(name: string): Log {
    const present = this.#children.get(name);
    if (present) return present;
    const namespace = `websocket:${name}`;
    const trace = createDebug(namespace);
    const write = (level: LogLevel) => (text: string, details?: Readonly<Record<string, unknown>>) => {
      const loud = levels.indexOf(level) >= this.#threshold;
      if (!loud && (this.#logger || !trace.enabled)) return;
      const line = clean(details ? `${text} ${written(details)}` : text);
      if (!loud) trace('%s', line);
      else this.#say(level, `${namespace} ${line}`);
    };
    const log = { debug: write('debug'), info: write('info'), warn: write('warn'), error: write('error') };
    this.#children.set(name, log);
    return log;
  }

  #say(level: LogLevel, line: string): void {
    try {
      if (this.#logger) return this.#logger[level](line);
    } catch {
      // A logger that fails is no reason to fail; its line goes where the others' go.
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

function written(details: Readonly<Record<string, unknown>>): string {
  try {
    return JSON.stringify(details);
  } catch {
    // Circles, BigInts, getters that throw: nothing that is logged may end what logs it.
    return inspect(details, { breakLength: Infinity, depth: 4 });
  }
}

const SECRETS = /([?&#](?:token|access_token|auth|jwt)=|\bbearer[.\s]+)[^&\s"'#,;]+/gi;
// A JWT wherever it stands: its header is JSON in base64url, and so begins with `{"`. The look-behind keeps the search
// linear.
const JWT = /(?<![\w-])eyJ[\w-]+\.[\w-]+\.[\w-]*/g;

/**
 * A text as it may stand in a log: no token, and no control character that could forge a line or drive a terminal. Only
 * the lines of a stack stay lines.
 */
export function clean(text: string): string {
  return text
    .replace(SECRETS, '$1[redacted]')
    .replace(JWT, '[redacted]')
    // eslint-disable-next-line no-control-regex -- these are what must go
    .replace(/(?!\n {4}at )[\u0000-\u001f\u007f-\u009f\u2028\u2029]/g, (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`);
}
