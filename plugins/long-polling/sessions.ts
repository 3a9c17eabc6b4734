import { ModuleError, type PluginContext, type TimeoutQueue } from '../../src/index.ts';
import type { PollingSocket, SocketHost } from './polling-socket.ts';

/** Sessions keeps the sockets of this node by session id. A session without a waiting request ends after a time. */
export class Sessions implements SocketHost {
  readonly #sockets = new Map<string, PollingSocket>();
  readonly #idle: TimeoutQueue<PollingSocket>;

  constructor(context: PluginContext, timeout: number) {
    this.#idle = context.timeoutQueue<PollingSocket>(timeout, (socket) => {
      this.#idle.items.delete(socket);
      socket.terminate();
    });
  }

  get size(): number { return this.#sockets.size; }

  /** Sessions for which no request waits. */
  get idleCount(): number { return this.#idle.items.size; }

  opened(socket: PollingSocket): void {
    this.#sockets.set(socket.id, socket);
    this.#idle.add(socket);
  }

  idle(socket: PollingSocket, isIdle: boolean): void {
    this.#idle.items.delete(socket);
    if (!isIdle) return;
    socket.startedAt = performance.now();
    this.#idle.add(socket);
  }

  /** Called after a request that sends: a client that only sends is not idle. */
  touch(socket: PollingSocket): void { if (!socket.isPolled) this.idle(socket, true); }

  gone(socket: PollingSocket): void {
    this.#sockets.delete(socket.id);
    this.#idle.items.delete(socket);
  }

  /** @throws POLLING_SESSION_UNKNOWN, ORIGIN_REFUSED */
  find(id: string, origin: string | undefined): PollingSocket {
    const socket = this.#sockets.get(id);
    if (!socket) throw new ModuleError('POLLING_SESSION_UNKNOWN');
    // Browsers send no origin with a GET request to the same origin.
    if (origin !== undefined && origin !== socket.origin) throw new ModuleError('ORIGIN_REFUSED', { origin, host: '' });
    return socket;
  }

  terminate(): void { for (const socket of [...this.#sockets.values()]) socket.terminate(); }
}
