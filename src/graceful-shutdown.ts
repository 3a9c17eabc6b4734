import type { Server } from 'node:net';
import type { WebSocketManager } from './manager.ts';

export interface ShutdownOptions {
  /** A server to close as well, once the manager is down. */
  readonly server?: Server & { closeAllConnections?(): void };
  /** @default ['SIGTERM', 'SIGINT'] */
  readonly signals?: readonly NodeJS.Signals[];
  /** Milliseconds over which clients are told to spread their return. @default 5_000 */
  readonly retryWithin?: number;
  /** Called before the process exits. */
  readonly onExit?: () => void | Promise<void>;
}

/**
 * Stops a manager when the process is told to end, and then ends it with code 0; a second signal ends it at once with code 1.
 * For applications: the kernel itself installs no signal handlers. Returns the undo.
 */
export function gracefulShutdown(manager: WebSocketManager, { server, signals = ['SIGTERM', 'SIGINT'], retryWithin = 5_000, onExit }: ShutdownOptions = {}): () => void {
  let stopping = false;
  const shutDown = async (): Promise<void> => {
    if (stopping) process.exit(1);
    stopping = true;
    try {
      // First, and on a server that still listens: who comes meanwhile is answered 503, and goes elsewhere.
      await manager.stop({ retryWithin });
      server?.close();
      server?.closeAllConnections?.();
      await onExit?.();
      process.exit(0);
    } catch (error) {
      process.stderr.write(`shutdown failed: ${error instanceof Error ? error.stack ?? error.message : String(error)}\n`);
      process.exit(1);
    }
  };
  const listener = (): void => void shutDown();
  for (const signal of signals) process.on(signal, listener);
  return () => signals.forEach((signal) => process.off(signal, listener));
}
