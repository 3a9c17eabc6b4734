import cluster from 'node:cluster';
import type { Server, Socket } from 'node:net';
import { constants } from 'node:os';
import { ModuleError, toError } from '../errors.ts';
import type { WebSocketManager } from '../manager.ts';
import { check, describe, rules, type Rules } from '../runtime/check.ts';
import { cleanLine, stackLines } from '../runtime/clean.ts';

type ClosableServer = Server & { closeIdleConnections?(): void; closeAllConnections?(): void };

export interface ShutdownOptions {
  /** A server to close after the manager has stopped. */
  readonly server?: ClosableServer | undefined;
  /** @default ['SIGTERM', 'SIGINT'] */
  readonly signals?: readonly NodeJS.Signals[] | undefined;
  /** Each client is told to reconnect at a random time within so many milliseconds. @default 5_000 */
  readonly retryWithin?: number | undefined;
  /**
   * Milliseconds that HTTP requests may still take after the manager has stopped. `onExit` may then take as long.
   * @default 10_000
   */
  readonly exitTimeout?: number | undefined;
  /** Called before the process exits. */
  readonly onExit?: (() => void | Promise<void>) | undefined;
}

// A process cannot handle SIGKILL and SIGSTOP.
const isSignal = (name: string): boolean => name in constants.signals && name !== 'SIGKILL' && name !== 'SIGSTOP';
const SHUTDOWN_RULES: Rules<ShutdownOptions> = {
  server: rules.methods('a server', 'close', 'on'),
  signals: rules.list('signals that can be handled, like "SIGTERM"', isSignal),
  retryWithin: rules.integer(0, 2 ** 31 - 1),
  exitTimeout: rules.integer(0, 2 ** 31 - 1),
  onExit: rules.callback,
};

/** The running shutdowns of this process. Each resolves to whether it succeeded. */
const running = new Set<Promise<boolean>>();

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
  const { server, signals = ['SIGTERM', 'SIGINT'], retryWithin = 5_000, exitTimeout = 10_000, onExit } = given;
  const connections = server && new OpenSockets(server);
  const received = new Set<NodeJS.Signals>();
  const shutDown = async (): Promise<boolean> => {
    try {
      // In a cluster of processes, the other workers accept the new clients from now on. Without one, the server still
      // listens: new clients get status 503 meanwhile, and try another node.
      if (cluster.isWorker) server?.close();
      await manager.stop({ retryWithin });
      await connections?.close(exitTimeout);
      if (onExit) await within(exitTimeout, (async () => onExit())());
      return true;
    } catch (error) {
      const failure = toError(error);
      const text = cleanLine(`${failure.name}: ${failure.message}`);
      process.stderr.write(`shutdown failed: ${text}${stackLines(failure)}\n`);
      return false;
    }
  };
  const end = async (signal: NodeJS.Signals): Promise<void> => {
    const isFirst = received.size === 0;
    // A terminal sends SIGINT to all processes of a cluster, and the primary then SIGTERM to its workers.
    const isRepeated = received.has(signal) || !cluster.isWorker;
    received.add(signal);
    if (!isFirst) {
      if (isRepeated) process.exit(1);
      return;
    }
    const shutdown = shutDown();
    running.add(shutdown);
    await shutdown;
    // Other managers of the process may still be stopping: exit after the last one.
    const successes = await Promise.all(running);
    running.delete(shutdown);
    process.exit(successes.every(Boolean) ? 0 : 1);
  };
  const listener = (signal: NodeJS.Signals): void => void end(signal);
  for (const signal of signals) process.on(signal, listener);
  return () => {
    for (const signal of signals) process.off(signal, listener);
    connections?.forget();
  };
}

/** Finds mistakes that would otherwise show only when the signal arrives. @throws OPTION_INVALID */
function assertManager(manager: unknown, options: unknown): void {
  const isServer = (value: unknown): boolean => typeof (value as Partial<Server> | null)?.listen === 'function';
  const refuse = (path: string, given: unknown, expected: string): never => {
    const what = isServer(given) ? 'a server' : describe(given);
    throw new ModuleError('OPTION_INVALID', { path: `gracefulShutdown(${path})`, given: what, expected });
  };
  if (typeof (manager as Partial<WebSocketManager> | null)?.stop !== 'function') {
    refuse('manager', manager, 'a manager of WebSocketModule.create(); pass a server as the option { server }');
  }
  if (isServer(options)) refuse('options', options, 'an object like { server }');
}

/** A connection to the server, and how many bytes the client sent for the TLS handshake, before any request. */
interface OpenSocket { readonly socket: Socket; handshakeBytes: number }

/** The connections to a server. Node does not tell which of them never sent a request. */
class OpenSockets {
  readonly #server: ClosableServer;
  readonly #open = new Map<string, OpenSocket>();
  #unnamed = 0;

  readonly #add = (socket: Socket): void => {
    const name = nameOf(socket) ?? `unix ${this.#unnamed++}`;
    const opened = { socket, handshakeBytes: 0 };
    this.#open.set(name, opened);
    socket.once('close', () => { if (this.#open.get(name) === opened) this.#open.delete(name); });
  };

  /** Called after a TLS handshake. `secured` is the encrypted socket on the same connection. */
  readonly #countHandshake = (secured: Socket): void => {
    const opened = this.#open.get(nameOf(secured) ?? '');
    if (opened) opened.handshakeBytes = opened.socket.bytesRead;
  };

  constructor(server: ClosableServer) {
    this.#server = server;
    server.on('connection', this.#add);
    server.on('secureConnection', this.#countHandshake);
  }

  forget(): void {
    this.#server.off('connection', this.#add);
    this.#server.off('secureConnection', this.#countHandshake);
    this.#open.clear();
  }

  /** Closes the server. @param limit milliseconds within which running requests may finish */
  close(limit: number): Promise<void> {
    const server = this.#server;
    return new Promise((resolve) => {
      // close() closes the connections that are idle now. Those that become idle later would stay open.
      const closing = setInterval(() => server.closeIdleConnections?.(), 50);
      const end = (): void => {
        clearInterval(closing);
        clearTimeout(timeout);
        resolve();
      };
      const timeout = setTimeout(() => {
        server.closeAllConnections?.();
        end();
      }, limit);
      server.close(end);
      // Browsers open connections in advance, and send nothing on them.
      for (const { socket, handshakeBytes } of this.#open.values()) {
        if (socket.bytesRead === handshakeBytes) socket.destroy();
      }
    });
  }
}

/** @throws an error if the work takes longer than `limit` milliseconds */
async function within(limit: number, work: Promise<void>): Promise<void> {
  let timer: NodeJS.Timeout | undefined;
  const tooLate = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`onExit did not finish within ${limit} ms`)), limit);
  });
  await Promise.race([work, tooLate]).finally(() => clearTimeout(timer));
}

/** A name that no other open connection has; undefined over a unix socket. */
const nameOf = ({ remoteAddress, remotePort }: Socket): string | undefined =>
  (remotePort === undefined ? undefined : `${remoteAddress ?? ''} ${remotePort}`);
