import type { Server, Socket } from 'node:net';
import { constants } from 'node:os';
import { ModuleError, toError } from './errors.ts';
import type { WebSocketManager } from './manager.ts';
import { check, describe, rules, type Rules } from './runtime/check.ts';
import { cleanLine, stackLines } from './runtime/clean.ts';

type ClosableServer = Server & { closeIdleConnections?(): void; closeAllConnections?(): void };

export interface ShutdownOptions {
  /** A server to close as well, once the manager has stopped. */
  readonly server?: ClosableServer | undefined;
  /** @default ['SIGTERM', 'SIGINT'] */
  readonly signals?: readonly NodeJS.Signals[] | undefined;
  /** Milliseconds over which clients are told to spread their return. @default 5_000 */
  readonly retryWithin?: number | undefined;
  /** Called before the process exits. */
  readonly onExit?: (() => void | Promise<void>) | undefined;
}

/** Milliseconds that requests of the server have to be answered. */
const MAX_REQUEST_TIME = 10_000;

// The operating system does not let a process handle these two.
const isSignal = (name: string): boolean => name in constants.signals && name !== 'SIGKILL' && name !== 'SIGSTOP';
const SHUTDOWN_RULES: Rules<ShutdownOptions> = {
  server: rules.methods('a server', 'close', 'on'),
  signals: rules.list('signals that can be handled, like "SIGTERM"', isSignal),
  retryWithin: rules.integer(0, 2 ** 31 - 1),
  onExit: rules.callback,
};

/** The shutdowns that are under way in this process: whether each succeeded. */
const underway = new Set<Promise<boolean>>();

/**
 * Stops a manager when the process gets a signal, and then ends the process with code 0. A second signal ends it at
 * once with code 1. The kernel itself installs no signal handlers. Returns the undo.
 *
 * @throws OPTION_INVALID, OPTION_UNKNOWN
 * @example gracefulShutdown(manager, { server, onExit: () => database.close() });
 */
export function gracefulShutdown(manager: WebSocketManager, options: ShutdownOptions = {}): () => void {
  assertManager(manager, options);
  const given = check(options, SHUTDOWN_RULES, 'gracefulShutdown');
  const { server, signals = ['SIGTERM', 'SIGINT'], retryWithin = 5_000, onExit } = given;
  const connections = server && new OpenSockets(server);
  let isStopping = false;
  const shutDown = async (): Promise<boolean> => {
    try {
      // The server still listens: clients that come meanwhile are answered 503, and try another node.
      await manager.stop({ retryWithin });
      await connections?.close();
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
    if (isStopping) return process.exit(1);
    isStopping = true;
    const own = shutDown();
    underway.add(own);
    await own;
    // The process ends for all managers in it, so it waits for the last one.
    const ends = await Promise.all(underway);
    underway.delete(own);
    process.exit(ends.every(Boolean) ? 0 : 1);
  };
  const listener = (): void => void end();
  for (const signal of signals) process.on(signal, listener);
  return () => {
    for (const signal of signals) process.off(signal, listener);
    connections?.forget();
  };
}

/** Mistakes that would show only when the signal comes. @throws OPTION_INVALID */
function assertManager(manager: unknown, options: unknown): void {
  const isServer = (value: unknown): boolean => typeof (value as Partial<Server> | null)?.listen === 'function';
  const refuse = (path: string, given: unknown, expected: string): never => {
    const what = isServer(given) ? 'a server' : describe(given);
    throw new ModuleError('OPTION_INVALID', { path: `gracefulShutdown(${path})`, given: what, expected });
  };
  if (typeof (manager as Partial<WebSocketManager> | null)?.stop !== 'function') {
    refuse('manager', manager, 'a manager of WebSocketModule.create(); a server is given after it, as { server }');
  }
  if (isServer(options)) refuse('options', options, 'an object like { server }');
}

/** A connection to the server, and how many bytes had come before the first that could be a request. */
interface OpenSocket { readonly socket: Socket; greeting: number }

/** The connections to a server. Node does not tell which of them never sent a request. */
class OpenSockets {
  readonly #server: ClosableServer;
  readonly #open = new Map<string, OpenSocket>();
  #unnamed = 0;

  readonly #add = (socket: Socket): void => {
    const name = nameOf(socket) ?? `unix ${this.#unnamed++}`;
    const entry = { socket, greeting: 0 };
    this.#open.set(name, entry);
    socket.once('close', () => { if (this.#open.get(name) === entry) this.#open.delete(name); });
  };

  /** The handshake of TLS comes over the same connection, before the request. */
  readonly #greet = (secured: Socket): void => {
    const entry = this.#open.get(nameOf(secured) ?? '');
    if (entry) entry.greeting = entry.socket.bytesRead;
  };

  constructor(server: ClosableServer) {
    this.#server = server;
    server.on('connection', this.#add);
    server.on('secureConnection', this.#greet);
  }

  forget(): void {
    this.#server.off('connection', this.#add);
    this.#server.off('secureConnection', this.#greet);
    this.#open.clear();
  }

  /** Closes the server. Requests under way are answered, unless that takes too long. */
  close(): Promise<void> {
    const server = this.#server;
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
      }, MAX_REQUEST_TIME);
      server.close(end);
      // Browsers open connections in advance, and send nothing on them.
      for (const { socket, greeting } of this.#open.values()) if (socket.bytesRead === greeting) socket.destroy();
    });
  }
}

/** What tells a connection from the others; undefined over a unix socket. */
const nameOf = ({ remoteAddress, remotePort }: Socket): string | undefined =>
  (remotePort === undefined ? undefined : `${remoteAddress ?? ''} ${remotePort}`);
