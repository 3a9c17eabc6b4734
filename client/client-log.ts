import type { LogLevel } from './config.ts';
import type { Settings } from './settings.ts';

export type Log = (level: LogLevel, text: string, message?: unknown, ...more: unknown[]) => void;

const LEVELS: readonly LogLevel[] = ['debug', 'info', 'warn', 'error'];

/** Writes lines as the options say. The contents of messages are written only if asked for. */
export const makeLog = ({ enabled, logLevel, logMessages, logger }: Settings['debug']): Log =>
  (level, text, message, ...more) => {
    if (!enabled || LEVELS.indexOf(level) < LEVELS.indexOf(logLevel)) return;
    logger[level](`[websocket] ${text}`, ...more, ...logMessages && message !== undefined ? [message] : []);
  };
