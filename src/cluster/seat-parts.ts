import type { Reaped, SeatName, SeatPart, Store } from '../contracts.ts';
import { ModuleError, toError } from '../errors.ts';
import { UndoList, type Labelled, type Undo } from '../runtime/scope.ts';

/** Maximum number of calls of reaped() that run at once. */
const MAX_HANDING = 50;
/** Maximum number of seats that are kept for plugins that are not loaded. */
const MAX_KEPT = 10_000;
/** Milliseconds after which a failed enterAgain() is called again. The actual wait is random, up to twice this time. */
const RETRY = 1_000;

/** What a plugin added by `context.seats()`. */
interface Part {
  readonly plugin: string;
  readonly seats: SeatPart;
  /** The number of the last request to enter its seats, and of the last one that succeeded. */
  due: number;
  entered: number;
  isEntering: boolean;
  /** When a failed attempt is repeated, by `performance.now()`. */
  retryAt: number;
}

/** What SeatParts uses of its keeper. */
export interface SeatPartsHost {
  /** Whether the node holds its lease. */
  holds(): boolean;
  report(error: Error, plugin?: string): void;
  /** Called when all plugins have entered their seats. */
  entered(): void;
}

/** The prefix of a plugin's keys and sets in the store. No prefix is the beginning of another one. */
export const storePrefix = (plugin: string): string => `${plugin.replace(/[%:]/g, encodeURIComponent)}:`;

/**
 * SeatParts calls the plugins that have seats in the store: after a lapse, to enter their seats again, and with the
 * seats of dead nodes.
 */
export class SeatParts {
  readonly #host: SeatPartsHost;
  readonly #parts = new UndoList<Part>(() => this.#settle());
  /** Seats of plugins that are not loaded, oldest first. */
  #kept: Reaped[] = [];
  #isDropping = false;

  constructor(host: SeatPartsHost) { this.#host = host; }

  get size(): number { return this.#parts.size; }

  inventory(): Labelled[] { return this.#parts.inventory(() => 'seats'); }

  /** Whether all plugins have entered their seats. */
  get areEntered(): boolean { return [...this.#parts].every(({ due, entered }) => due === entered); }

  add(plugin: string, seats: SeatPart): Undo {
    const holds = this.#host.holds();
    const part: Part = { plugin, seats, due: 0, entered: 0, isEntering: false, retryAt: 0 };
    const undo = this.#parts.add(part, plugin);
    if (!holds) this.#lapse(part);
    void this.#handKept(part);
    return undo;
  }

  lapsed(): void { for (const part of this.#parts) this.#lapse(part); }

  #lapse(part: Part): void {
    try {
      part.seats.lapsed?.();
    } catch (error) {
      this.#host.report(toError(error), part.plugin);
    }
  }

  /** Lets all plugins enter their seats again, after a new lease or a loss of data. */
  enterAgain(): void {
    for (const part of this.#parts) {
      part.due++;
      part.retryAt = 0;
    }
    this.proceed();
    this.#settle();
  }

  /** Calls enterAgain() of the plugins that are due. A plugin's call begins only after its previous one has ended. */
  proceed(): void {
    const now = performance.now();
    for (const part of this.#parts) {
      if (part.due !== part.entered && !part.isEntering && part.retryAt <= now) void this.#enter(part);
    }
  }

  async #enter(part: Part): Promise<void> {
    const { due } = part;
    part.isEntering = true;
    try {
      await part.seats.enterAgain();
      part.entered = due;
    } catch (error) {
      part.retryAt = performance.now() + RETRY * 2 * Math.random();
      // If the store cannot be used, the plugin has not failed.
      const code = error instanceof ModuleError ? error.code : undefined;
      const isOfStore = code === 'STORE_UNAVAILABLE' || code === 'LEASE_LOST';
      if (this.#host.holds() && !isOfStore) this.#host.report(toError(error), part.plugin);
    }
    part.isEntering = false;
    // A newer lease began meanwhile.
    if (part.due !== due && this.#host.holds()) this.proceed();
    this.#settle();
  }

  #settle(): void { if (this.areEntered && this.#host.holds()) this.#host.entered(); }

  /** Releases the seats that the store has for this node, and that no plugin holds. @throws what the store throws */
  async releaseOthers(store: Store): Promise<void> {
    let cursor: string | undefined;
    do {
      const page = await store.held({ cursor });
      const others = page.seats.filter((seat) => !this.#holds(seat));
      await Promise.all(others.map(({ set, member, holder }) => store.leave(set, member, { holder })));
      cursor = page.cursor;
    } while (cursor !== undefined);
  }

  /** Whether the plugin that owns a seat says that this node holds it. Without a plugin that knows, it is kept. */
  #holds(seat: SeatName): boolean {
    // A plugin may have several parts, and each knows its own sets.
    const owners = [...this.#parts].filter(({ plugin }) => seat.set.startsWith(storePrefix(plugin)));
    return owners.length === 0 || owners.some(({ plugin, seats }) =>
      !seats.holds || seats.holds({ ...seat, set: seat.set.slice(storePrefix(plugin).length) }));
  }

  /**
   * Hands the seats of dead nodes to the plugins that own them.
   * @param mayGoOn whether the lease under which they were cleared still holds
   * @returns whether all were handed
   */
  async hand(seats: readonly Reaped[], mayGoOn: () => boolean): Promise<boolean> {
    for (let from = 0; from < seats.length; from += MAX_HANDING) {
      if (!mayGoOn()) return false;
      await Promise.all(seats.slice(from, from + MAX_HANDING).map((seat) => this.#handOne(seat)));
    }
    return mayGoOn();
  }

  async #handOne(seat: Reaped): Promise<void> {
    const parts = [...this.#parts].filter(({ plugin }) => seat.set.startsWith(storePrefix(plugin)));
    if (parts.length === 0) this.#keep(seat);
    for (const part of parts) await this.#give(part, seat);
  }

  #keep(seat: Reaped): void {
    this.#kept.push(seat);
    if (this.#kept.length <= MAX_KEPT) return;
    this.#kept.shift();
    if (!this.#isDropping) {
      this.#host.report(new Error(`seats of dead nodes were dropped: no loaded plugin owns "${seat.set}"`));
    }
    this.#isDropping = true;
  }

  async #handKept(part: Part): Promise<void> {
    const prefix = storePrefix(part.plugin);
    const own = this.#kept.filter(({ set }) => set.startsWith(prefix));
    if (own.length === 0) return;
    this.#kept = this.#kept.filter(({ set }) => !set.startsWith(prefix));
    this.#isDropping = false;
    // The plugin is still in its setup.
    await Promise.resolve();
    for (const seat of own) await this.#give(part, seat);
  }

  async #give(part: Part, seat: Reaped): Promise<void> {
    try {
      await part.seats.reaped?.({ ...seat, set: seat.set.slice(storePrefix(part.plugin).length) });
    } catch (error) {
      this.#host.report(toError(error), part.plugin);
    }
  }
}
