import type { Server } from 'node:net';
import { toError } from './errors.ts';
import type { WebSocketManager } from './manager.ts';
import { cleanLine, stackLines } from './runtime/clean.ts';

export interface ShutdownOptions {
  /** A server to close as well, once the manager is down. */
  readonly server?: Server & { closeIdleConnections?(): void; closeAllConnections?(): void };
  /** @default ['SIGTERM', 'SIGINT'] */
  readonly signals?: readonly NodeJS.Signals[];
  /** Milliseconds over which clients are told to spread their return. @default 5_000 */
  readonly retryWithin?: number;
  /** Called before the process exits. */
  readonly onExit?: () => void | Promise<void>;
}

/** Milliseconds for requests of the server to finish. */
const CLOSE_TIMEOUT = 10_000;
/** Shutdowns under way in this process; each resolves to whether it succeeded. */
const underway = new Set<Promise<boolean>>();

/**
 * Stops a manager when the process is told to end, and then ends it with code 0; a second signal ends it at once with
 * code 1. For applications: the kernel itself installs no signal handlers. Returns the undo.
 */
export function gracefulShutdown(manager: WebSocketManager, options: ShutdownOptions = {}): () => void {
  const { server, signals = ['SIGTERM', 'SIGINT'], retryWithin = 5_000, onExit } = options;
  let stopping = false;
  const shutDown = async (): Promise<boolean> => {
    try {
      // First, while the server still listens: new clients are answered 503 meanwhile, and go elsewhere.
      await manager.stop({ retryWithin });
      if (server) await close(server);
      await onExit?.();
      return true;
    } catch (error) {
      const failure = toError(error);
      const text = cleanLine(`${failure.name}: ${failure.message}`);
      process.stderr.write(`shutdown failed: ${text}${stackLines(failure)}\n`);
      return false;
    }
  };
  const end = async (): Promise<void> => {
    if (stopping) return process.exit(1);
    stopping = true;
    const own = shutDown();
    underway.add(own);
    await own;
    // The process ends for all its managers, when the last of them is down.
    const ends = await Promise.all(underway);
    underway.delete(own);
    process.exit(ends.every(Boolean) ? 0 : 1);
  };
  const listener = (): void => void end();
  for (const signal of signals) process.on(signal, listener);
  return () => signals.forEach((signal) => process.off(signal, listener));
}

/** Closes a server. Requests under way are answered, unless that takes too long. */
function close(server: NonNullable<ShutdownOptions['server']>): Promise<void> {
  return new Promise((resolve) => {
    // Node closes idle connections once; those that become idle later would stay.
    const idle = setInterval(() => server.closeIdleConnections?.(), 50);
    const end = (): void => {
      clearInterval(idle);
      clearTimeout(late);
      resolve();
    };
    const late = setTimeout(() => {
      server.closeAllConnections?.();
      end();
    }, CLOSE_TIMEOUT);
    server.close(end);
  });
}
