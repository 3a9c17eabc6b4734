// The types of loggers and of error reports.

/** Where an error occurred. */
export type ErrorPhase =
  | 'upgrade' | 'connection' | 'message' | 'send' | 'socket' | 'http' | 'listener' | 'timer' | 'plugin' | 'adapter'
  | 'store';

export type LogLevel = 'debug' | 'info' | 'warn' | 'error';
/** Any object with these four methods: pino, winston, console. Each call gets one line of text. */
export type Logger = Readonly<Record<LogLevel, (line: string) => void>>;
export type Log = Readonly<Record<LogLevel, (text: string, details?: Readonly<Record<string, unknown>>) => void>>;
