import type { Server } from 'node:net';
import type { WebSocketManager } from './manager.ts';

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

/** Milliseconds that requests of the server have to be answered. */
const PATIENCE = 10_000;
/** Those under way in this process: whether each came to a good end. */
const underway = new Set<Promise<boolean>>();

/**
 * Stops a manager when the process is told to end, and then ends it with code 0; a second signal ends it at once with
 * code 1. For applications: the kernel itself installs no signal handlers. Returns the undo.
 */
export function gracefulShutdown(manager: WebSocketManager, { server, signals = ['SIGTERM', 'SIGINT'], retryWithin = 5_000, onExit }: ShutdownOptions = {}): () => void {
  let stopping = false;
  const shutDown = async (): Promise<boolean> => {
    try {
      // First, and on a server that still listens: who comes meanwhile is answered 503, and goes elsewhere.
      await manager.stop({ retryWithin });
      if (server) await close(server);
      await onExit?.();
      return true;
    } catch (error) {
      process.stderr.write(`shutdown failed: ${error instanceof Error ? error.stack ?? error.message : String(error)}\n`);
      return false;
    }
  };
  const end = async (): Promise<void> => {
    if (stopping) return process.exit(1);
    stopping = true;
    const own = shutDown();
    underway.add(own);
    await own;
    // The process ends for all managers in it: when the last one is down.
    const ends = await Promise.all(underway);
    underway.delete(own);
    process.exit(ends.every(Boolean) ? 0 : 1);
  };
  const listener = (): void => void end();
  for (const signal of signals) process.on(signal, listener);
  return () => signals.forEach((signal) => process.off(signal, listener));
}

/** Requests that are being answered are, unless that takes too long. */
function close(server: NonNullable<ShutdownOptions['server']>): Promise<void> {
  return new Promise((resolve) => {
    // Node closes idle connections once; those that become idle then would stay.
    const idle = setInterval(() => server.closeIdleConnections?.(), 50);
    const end = (): void => {
      clearInterval(idle);
      clearTimeout(late);
      resolve();
    };
    const late = setTimeout(() => {
      server.closeAllConnections?.();
      end();
    }, PATIENCE);
    server.close(end);
  });
}
