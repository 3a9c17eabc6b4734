import type { ClientConnection } from './connection.ts';
import { closeCodes } from '../protocol.ts';

/** Slots of the wheel, however long the interval is. */
const MAX_SLOTS = 1_024;

/**
 * Pings every connection once per interval, on one timer. Connections are spread over the slots of a wheel, so that
 * their pings are not all sent in one turn.
 * Time is counted in ticks, not read from a clock: while the event loop is blocked, no deadline passes, and pongs that
 * arrived meanwhile are read before a connection is closed.
 */
export class Heartbeat {
  readonly #wheel: Set<ClientConnection>[];
  readonly #ticksPerSlot: number;
  readonly #timeoutTicks: number;
  readonly #timer: NodeJS.Timeout;
  /** The pending pings, oldest first, each with the tick until which an answer is awaited. */
  #pinged: { readonly connection: ClientConnection; readonly until: number }[] = [];
  #now = 0;

  /** @param interval milliseconds between two pings of one connection  @param timeout milliseconds to answer one */
  constructor(interval: number, timeout: number) {
    const tick = Math.max(5, Math.min(interval, timeout) / 10);
    const ticks = Math.max(1, Math.round(interval / tick));
    this.#ticksPerSlot = Math.ceil(ticks / MAX_SLOTS);
    this.#wheel = Array.from({ length: Math.round(ticks / this.#ticksPerSlot) }, () => new Set());
    this.#timeoutTicks = Math.ceil(timeout / tick);
    this.#timer = setInterval(() => this.#tick(), tick);
    this.#timer.unref();
  }

  add(connection: ClientConnection): void {
    // The slot that was just pinged: the first ping is sent a whole interval from now.
    connection.slot = this.#slot;
    this.#wheel[connection.slot]!.add(connection);
  }

  remove(connection: ClientConnection): void { this.#wheel[connection.slot]!.delete(connection); }

  get #slot(): number { return Math.floor(this.#now / this.#ticksPerSlot) % this.#wheel.length; }

  stop(): void { clearInterval(this.#timer); }

  #tick(): void {
    this.#now++;
    let expired = 0;
    for (; expired < this.#pinged.length && this.#pinged[expired]!.until < this.#now; expired++) {
      const { connection } = this.#pinged[expired]!;
      // Any byte counts: a client that is sending one large message over a slow link cannot send a pong.
      const isSilent = connection.readAtPing === connection.socket.bytesRead;
      connection.readAtPing = undefined;
      // While reading is paused, nothing is received.
      if (isSilent && connection.isOpen && !connection.isPaused) {
        connection.closeWithError(closeCodes.heartbeatMissed, 'heartbeat missed');
      }
    }
    if (expired > 0) this.#pinged.splice(0, expired);
    if (this.#now % this.#ticksPerSlot !== 0) return;
    const until = this.#now + this.#timeoutTicks;
    for (const connection of this.#wheel[this.#slot]!) {
      // If the timeout is longer than the interval, the last ping may still be pending.
      if (!connection.isOpen || connection.readAtPing !== undefined) continue;
      connection.ping();
      this.#pinged.push({ connection, until });
    }
  }
}
