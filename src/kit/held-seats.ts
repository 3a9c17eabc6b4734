import type { PluginContext, SharedStore } from '../contracts.ts';
import { hasCode } from '../errors.ts';
import { inTurns } from './in-turns.ts';
import type { LocalShare } from './local-share.ts';

/** Milliseconds between two attempts to enter and leave what could not be done at once. */
const RETRY_INTERVAL = 1_000;
/** Maximum number of seats that are entered or left at once, so that a node with many does not flood the store. */
const MAX_AT_ONCE = 100;

/** A seat that this node wants to hold. Its holder is the member itself, such as the id of a connection. */
export interface HeldSeat { readonly set: string; readonly member: string }

/**
 * The outcome of enter(). `full`: the set is full; try again, or leave the seat. `later`: the store cannot be used. The
 * seat is entered when the store can be used again, even if the set is full then, unless it is left before.
 */
export type SeatOutcome = 'entered' | 'full' | 'later';

interface Seat extends HeldSeat {
  isWanted: boolean;
  /** Whether it is in the store. `undefined`: unknown, because a call is running, or failed and may have been done. */
  isIn: boolean | undefined;
  isBusy: boolean;
}

/**
 * HeldSeats keeps seats of this node in the shared store, such as one for each connection. While the store cannot be
 * used, seats wait, and are entered or left later. After a lost lease, the seats are entered again.
 *
 * @example
 * const seats = new HeldSeats(context, store, new LocalShare(context));
 * const seat = seats.add('members', connection.id);
 * if (await seats.enter(seat, 50) === 'full') throw new ModuleError('LIST_FULL', { limit: 50 });
 * // when the connection is closed:
 * seats.leave(seat);
 */
export class HeldSeats {
  readonly #store: SharedStore;
  readonly #share: LocalShare;
  readonly #report: (error: unknown) => void;
  readonly #seats = new Set<Seat>();
  /** Seats that must be entered or left later. */
  readonly #due = new Set<Seat>();
  /** The names of all seats, for one turn of the event loop. */
  #names: Set<string> | undefined;

  /** @param share is told whether the store can be used */
  constructor(context: PluginContext, store: SharedStore, share: LocalShare) {
    this.#store = store;
    this.#share = share;
    this.#report = (error) => context.report(error);
    context.seats({
      enterAgain: () => this.#enterAgain(),
      lapsed: () => this.#lapse(),
      holds: ({ set, member }) => this.#has(set, member),
    });
    context.every(RETRY_INTERVAL, () => this.#retry());
    context.onUnload(() => this.#leaveAll());
  }

  /** The number of seats, including those that must still be left. */
  get size(): number { return this.#seats.size; }

  /** Creates a seat. It is entered by `enter()` or `enterLater()`. */
  add(set: string, member: string): HeldSeat {
    const seat: Seat = { set, member, isWanted: true, isIn: false, isBusy: false };
    this.#seats.add(seat);
    this.#names = undefined;
    return seat;
  }

  /** Enters a seat soon, even if its set is full. */
  enterLater(seat: HeldSeat): void { this.#due.add(seat as Seat); }

  /**
   * Enters a seat, unless its set is full.
   * @param max maximum number of members
   * @param replaces the member whose place it takes
   */
  async enter(given: HeldSeat, max: number, replaces?: string): Promise<SeatOutcome> {
    const seat = given as Seat;
    if (!this.#share.isNeeded) {
      try {
        await this.#callEnter(seat, max, replaces);
        return 'entered';
      } catch (error) {
        if (hasCode(error, 'STORE_FULL')) {
          seat.isIn = false;
          return 'full';
        }
      }
    }
    this.#settle(seat);
    return 'later';
  }

  /** Leaves a seat, now or when the store can be used. A second call does nothing. */
  leave(given: HeldSeat): void {
    const seat = given as Seat;
    seat.isWanted = false;
    this.#settle(seat);
  }

  /**
   * Enters a seat in the store. Tells the LocalShare of any failure except a full set.
   * @throws what the store throws
   */
  async #callEnter(seat: Seat, max?: number, replaces?: string): Promise<void> {
    const { set, member } = seat;
    seat.isBusy = true;
    seat.isIn = undefined;
    try {
      await this.#store.enter(set, member, { holder: member, max, replaces });
      seat.isIn = true;
      this.#share.succeeded();
    } catch (error) {
      if (!hasCode(error, 'STORE_FULL')) this.#share.failed(error);
      throw error;
    } finally {
      seat.isBusy = false;
      if (!seat.isWanted) this.#settle(seat);
    }
  }

  /** Leaves a seat at once if it is no longer wanted. Enters it later if it is wanted and not entered. */
  #settle(seat: Seat): void {
    if (!this.#seats.has(seat) || seat.isBusy) return;
    if (seat.isWanted && seat.isIn !== true) this.#due.add(seat);
    else if (!seat.isWanted) void this.#leave(seat);
  }

  async #leave(seat: Seat): Promise<void> {
    const { set, member } = seat;
    this.#due.delete(seat);
    if (seat.isIn !== false) {
      seat.isBusy = true;
      try {
        await this.#store.leave(set, member, { holder: member });
      } catch (error) {
        this.#share.failed(error);
        // A seat of a lost lease is cleared by another node.
        if (!hasCode(error, 'LEASE_LOST')) this.#due.add(seat);
      } finally {
        seat.isBusy = false;
      }
    }
    if (!this.#due.has(seat)) this.#seats.delete(seat);
  }

  async #retry(): Promise<void> {
    const [first, ...others] = this.#due;
    // If the first one fails, the store can still not be used.
    if (first && await this.#do(first)) await inTurns(others, MAX_AT_ONCE, async (seat) => { await this.#do(seat); });
  }

  /** Enters or leaves a seat. Returns whether that was done. If not, it stays due. */
  async #do(seat: Seat): Promise<boolean> {
    if (seat.isBusy) return true;
    if (!seat.isWanted) await this.#leave(seat);
    else await this.#callEnter(seat).then(() => this.#due.delete(seat), () => undefined);
    return !this.#due.has(seat);
  }

  #lapse(): void {
    for (const seat of this.#seats) {
      seat.isIn = false;
      // The seat belongs to the lost lease, and is cleared with it.
      if (!seat.isWanted && !seat.isBusy) this.#forget(seat);
    }
  }

  async #enterAgain(): Promise<void> {
    const all = [...this.#seats].filter(({ isWanted }) => isWanted);
    await inTurns(all, MAX_AT_ONCE, async (seat) => {
      // It may be left during an await.
      if (seat.isWanted && this.#seats.has(seat)) await this.#callEnter(seat);
      this.#due.delete(seat);
    });
  }

  #has(set: string, member: string): boolean {
    if (!this.#names) {
      this.#names = new Set([...this.#seats].map(nameOf));
      // The caller asks for many seats in one turn.
      setImmediate(() => { this.#names = undefined; });
    }
    return this.#names.has(nameOf({ set, member }));
  }

  async #leaveAll(): Promise<void> {
    for (const seat of this.#seats) seat.isWanted = false;
    await inTurns([...this.#seats], MAX_AT_ONCE, (seat) => this.#leave(seat));
    if (this.#due.size > 0) this.#report(new Error(`${this.#due.size} seats stay in the store until this node stops`));
  }

  #forget(seat: Seat): void {
    this.#due.delete(seat);
    this.#seats.delete(seat);
  }
}

// The length of the set makes the name unique.
const nameOf = ({ set, member }: HeldSeat): string => `${set.length} ${set}${member}`;
