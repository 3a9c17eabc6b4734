import type { ClientConnection } from './connection.ts';
import { closeCodes } from '../protocol.ts';

/** Parts of an interval, however long it is. */
const MAX_SLOTS = 1_024;

/**
 * Pings every connection once per interval, all on one timer. Connections are dealt over the slots of a wheel, so that
 * their pings don't leave in one turn.
 * Its time is counted in ticks, not read from a clock: while the event loop stands still, so do the deadlines, and the
 * pongs that came meanwhile are read before anybody is judged.
 */
export class Heartbeat {
  readonly #wheel: Set<ClientConnection>[];
  /** Ticks between two slots. */
  readonly #stride: number;
  readonly #timeoutTicks: number;
  readonly #timer: NodeJS.Timeout;
  /** Who was pinged, in order, and the tick by which they must have answered. */
  #pinged: { readonly connection: ClientConnection; readonly by: number }[] = [];
  #now = 0;

  /** @param interval milliseconds between two pings of one connection  @param timeout milliseconds to answer one */
  constructor(interval: number, timeout: number) {
    const tick = Math.max(5, Math.min(interval, timeout) / 10);
    const ticks = Math.max(1, Math.round(interval / tick));
    this.#stride = Math.ceil(ticks / MAX_SLOTS);
    this.#wheel = Array.from({ length: Math.round(ticks / this.#stride) }, () => new Set());
    this.#timeoutTicks = Math.ceil(timeout / tick);
    this.#timer = setInterval(() => this.#tick(), tick);
    this.#timer.unref();
  }

  add(connection: ClientConnection): void {
    // The slot that was just served: its first ping leaves a whole interval from now, and arrivals spread by
    // themselves.
    connection.slot = this.#slot;
    this.#wheel[connection.slot]!.add(connection);
  }

  remove(connection: ClientConnection): void { this.#wheel[connection.slot]!.delete(connection); }

  get #slot(): number { return Math.floor(this.#now / this.#stride) % this.#wheel.length; }

  stop(): void { clearInterval(this.#timer); }

  #tick(): void {
    this.#now++;
    let judged = 0;
    for (; judged < this.#pinged.length && this.#pinged[judged]!.by < this.#now; judged++) {
      const { connection } = this.#pinged[judged]!;
      // Any byte counts: within one large message on a slow link, a client cannot send a pong.
      const isSilent = connection.readAtPing === connection.socket.bytesRead;
      connection.readAtPing = undefined;
      // While we don't read from it, we can't hear it.
      if (isSilent && connection.isOpen && !connection.isPaused) connection.closeWithError(closeCodes.heartbeatMissed, 'heartbeat missed');
    }
    if (judged > 0) this.#pinged.splice(0, judged);
    if (this.#now % this.#stride !== 0) return;
    const by = this.#now + this.#timeoutTicks;
    for (const connection of this.#wheel[this.#slot]!) {
      // With a timeout longer than the interval, the last ping still has its time.
      if (!connection.isOpen || connection.readAtPing !== undefined) continue;
      connection.ping();
      this.#pinged.push({ connection, by });
    }
  }
}
