import type { Peer } from '../../src/index.ts';
import type { After } from './sessions.ts';

/** What an AuthHandler needs of where it works. */
export interface AuthHost {
  readonly after: After;
  warn(text: string): void;
  /** The application's `authenticate` failed. */
  failed(error: Error): void;
}

/** setTimeout takes 31 bits; beyond, it fires at once. */
const LONGEST = 2 ** 31 - 1;

/** Where there is no plugin around it, and so neither a shared clock nor a log: a timer each, and warnings of the process. */
export const standalone: AuthHost = {
  after(milliseconds, work) {
    const at = performance.now() + milliseconds;
    let timer: NodeJS.Timeout;
    const sleep = (): void => {
      const left = Math.ceil(at - performance.now());
      timer = setTimeout(left > LONGEST ? sleep : work, Math.min(LONGEST, left)).unref();
    };
    sleep();
    return () => clearTimeout(timer);
  },
  warn: (text) => process.emitWarning(text, 'AuthWarning'),
  failed: ({ message }) => process.emitWarning(`authenticate() failed: ${message}`, 'AuthWarning'),
};

interface Closing { once(event: 'close', listener: () => void): unknown }

/** Calls when a socket closes. `false`: it is closed, or it cannot tell. */
export function onceClosed(peer: Peer & Partial<Closing>, listener: () => void): boolean {
  if (peer.readyState !== 1 || typeof peer.once !== 'function') return false;
  peer.once('close', listener);
  return true;
}
