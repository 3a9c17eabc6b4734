import { clean, type Peer } from '../../src/index.ts';

/** Runs work after any number of milliseconds, by a monotonic clock. Returns the undo. */
export type After = (milliseconds: number, work: () => unknown) => () => void;

/** What an AuthHandler needs from its environment. */
export interface AuthHost {
  readonly after: After;
  warn(text: string): void;
  /** The application's `authenticate` failed. */
  failed(error: Error): void;
}

/** setTimeout takes 31 bits; a longer delay fires at once. */
const MAX_TIMEOUT = 2 ** 31 - 1;

/**
 * Outside a plugin there is neither a shared clock nor a log: each deadline has a timer, and warnings are process
 * warnings.
 */
export const standaloneHost: AuthHost = {
  after(milliseconds, work) {
    const at = performance.now() + milliseconds;
    let timer: NodeJS.Timeout;
    const sleep = (): void => {
      const left = Math.ceil(at - performance.now());
      timer = setTimeout(left > MAX_TIMEOUT ? sleep : work, Math.min(MAX_TIMEOUT, left)).unref();
    };
    sleep();
    return () => clearTimeout(timer);
  },
  warn: (text) => process.emitWarning(text, 'AuthWarning'),
  // The text of the application may contain text from a client.
  failed: ({ message }) => process.emitWarning(clean(`authenticate() failed: ${message}`), 'AuthWarning'),
};

interface Closing { once(event: 'close', listener: () => void): unknown }

/** Calls the listener when a socket closes. `false`: it is closed already, or emits no `close`. */
export function onceClosed(peer: Peer & Partial<Closing>, listener: () => void): boolean {
  if (peer.readyState !== 1 || typeof peer.once !== 'function') return false;
  peer.once('close', listener);
  return true;
}
