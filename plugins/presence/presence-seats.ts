import {
  hasCode, inTurns, isRecord, isStoreUnavailable, type Json, type PluginContext, type Reaped, type SharedStore,
} from '../../src/index.ts';
import type { ShownUser } from './announcements.ts';

/** Milliseconds between two attempts to do what failed because the store could not be reached. */
const RETRY_INTERVAL = 1_000;
/** Maximum number of seats that are entered or left at once. */
const MAX_AT_ONCE = 100;
/** The beginning of the names of the sets. The topic of the place follows. */
const PREFIX = 'at:';

/** Called with the changes that the answers of the store show. Each change is seen by one node only. */
export interface PresenceSeatEvents {
  /** A user is at a place, and was not there on any node before. */
  online(topic: string, user: ShownUser): void;
  /** A user is no longer at a place on any node. `leftAt` is in milliseconds since the epoch. */
  offline(topic: string, user: ShownUser, leftAt: number): void;
}

/** The seat of a user of this node at a place. */
interface Seat {
  readonly topic: string;
  readonly userId: string;
  user: ShownUser;
  /** The user as the store has it. */
  written: ShownUser | undefined;
  /** Whether the user is at the place, so that the seat should be in the store. */
  isWanted: boolean;
  /** Whether the seat is in the store. `undefined`: a call failed, but the store may have done it. */
  isIn: boolean | undefined;
  /** Whether clients may not know yet that the user is there. */
  isUnknownToOthers: boolean;
  /** Whether nothing is announced, because the place was deleted. */
  isSilent: boolean;
  leftAt: number;
  work: Promise<void> | undefined;
}

/**
 * PresenceSeats holds a seat in the store for each user of this node at a place. A user with connections to two nodes
 * has two seats, and is one member of the set.
 */
export class PresenceSeats {
  readonly #context: PluginContext;
  readonly #store: SharedStore;
  readonly #events: PresenceSeatEvents;
  /** By topic and user. */
  readonly #seats = new Map<string, Seat>();
  readonly #byUser = new Map<string, Set<Seat>>();
  /** Seats whose state in the store must be changed: they are entered, written or left. */
  readonly #due = new Set<Seat>();
  #running = 0;
  #isLapsed = false;

  constructor(context: PluginContext, store: SharedStore, events: PresenceSeatEvents) {
    this.#context = context;
    this.#store = store;
    this.#events = events;
    context.seats({
      lapsed: () => this.#lapse(),
      enterAgain: () => this.#enterAgain(),
      reaped: (seat) => this.#reaped(seat),
      holds: ({ set, member }) => !set.startsWith(PREFIX) || this.#seats.has(keyOf(set.slice(PREFIX.length), member)),
    });
    context.every(RETRY_INTERVAL, () => this.#proceed());
    context.onUnload(() => this.#leaveAll());
  }

  /** The name of the set of a place. */
  static setOf(topic: string): string { return PREFIX + topic; }

  /** Whether the node has no lease, or has not entered its seats again yet. */
  get isLapsed(): boolean { return this.#isLapsed; }

  /** A user is at a place on this node. */
  enter(topic: string, user: ShownUser): void {
    const { userId } = user;
    const key = keyOf(topic, userId);
    let seat = this.#seats.get(key);
    if (!seat) {
      seat = {
        topic, userId, user, written: undefined, isWanted: true, isIn: false, isUnknownToOthers: true, isSilent: false,
        leftAt: 0, work: undefined,
      };
      this.#seats.set(key, seat);
      const seats = this.#byUser.get(userId);
      if (seats) seats.add(seat);
      else this.#byUser.set(userId, new Set([seat]));
    }
    Object.assign(seat, { user, isWanted: true, isSilent: false });
    this.#want(seat);
  }

  /** A user is no longer at a place on this node. */
  leave(topic: string, userId: string, leftAt = Date.now()): void {
    const seat = this.#seats.get(keyOf(topic, userId));
    if (!seat) return;
    Object.assign(seat, { isWanted: false, leftAt });
    this.#want(seat);
  }

  /** Writes the changed fields of a user at all places. */
  update(user: ShownUser): void {
    for (const seat of this.#byUser.get(user.userId) ?? []) {
      seat.user = user;
      this.#want(seat);
    }
  }

  /** Leaves the seats of a deleted place. Nothing is announced. */
  deletePlace(topic: string): void {
    for (const seat of this.#seats.values()) {
      if (seat.topic !== topic) continue;
      Object.assign(seat, { isWanted: false, isSilent: true });
      this.#want(seat);
    }
  }

  // Calling the store

  #want(seat: Seat): void {
    this.#due.add(seat);
    // While the lease is lost, nothing is called. Afterwards, #enterAgain() enters all wanted seats.
    if (!this.#isLapsed) this.#proceed();
  }

  #proceed(): void {
    if (this.#isLapsed) return;
    for (const seat of this.#due) {
      if (this.#running >= MAX_AT_ONCE) return;
      // A seat with a running call stays in the list until the call has ended.
      if (seat.work) continue;
      this.#due.delete(seat);
      this.#settle(seat).then(() => this.#proceed()).catch((error: unknown) => this.#failed(seat, error));
    }
  }

  #failed(seat: Seat, error: unknown): void {
    // With the new lease, wanted seats are entered again. Another node clears the others.
    if (hasCode(error, 'LEASE_LOST')) return;
    if (hasCode(error, 'STORE_UNAVAILABLE')) this.#due.add(seat);
    else this.#context.report(error);
  }

  #settle(seat: Seat): Promise<void> {
    this.#running++;
    seat.work = this.#work(seat).finally(() => {
      this.#running--;
      seat.work = undefined;
    });
    return seat.work;
  }

  /** Enters, writes or leaves a seat, until the store has what is wanted. */
  async #work(seat: Seat): Promise<void> {
    for (;;) {
      if (seat.isWanted) {
        if (seat.isIn && seat.written === seat.user) return;
        await this.#enter(seat);
      } else if (seat.isIn === false) {
        return this.#forget(seat);
      } else {
        // If it is unknown whether the seat is in the store, leave() cannot tell whether this was the last one. After
        // enter(), it can.
        if (seat.isIn === undefined) await this.#callEnter(seat);
        await this.#leave(seat);
      }
    }
  }

  async #enter(seat: Seat): Promise<void> {
    const isRepeated = seat.isIn === undefined;
    const first = await this.#callEnter(seat);
    // If the call is a repetition, the earlier one may have entered the seat: then `first` is false in any case.
    if (seat.isUnknownToOthers && (first || isRepeated)) this.#events.online(seat.topic, seat.user);
    seat.isUnknownToOthers = false;
  }

  async #callEnter(seat: Seat): Promise<boolean> {
    const { topic, userId, user } = seat;
    if (!seat.isIn) seat.isIn = undefined;
    const { first } = await this.#store.enter(PREFIX + topic, userId, {
      holder: this.#context.node.id, value: toJson(user),
    });
    Object.assign(seat, { isIn: true, written: user });
    return first;
  }

  async #leave(seat: Seat): Promise<void> {
    const { topic, userId, user } = seat;
    seat.isIn = undefined;
    const { last } = await this.#store.leave(PREFIX + topic, userId, { holder: this.#context.node.id });
    Object.assign(seat, { isIn: false, isUnknownToOthers: true });
    if (last && !seat.isSilent) this.#events.offline(topic, user, seat.leftAt);
  }

  #forget(seat: Seat): void {
    this.#seats.delete(keyOf(seat.topic, seat.userId));
    this.#due.delete(seat);
    const seats = this.#byUser.get(seat.userId);
    seats?.delete(seat);
    if (seats?.size === 0) this.#byUser.delete(seat.userId);
  }

  // The lease of the node

  #lapse(): void {
    this.#isLapsed = true;
    for (const seat of [...this.#seats.values()]) {
      // The seat belongs to the lost lease. Another node clears it, and announces that the user is gone.
      Object.assign(seat, { isIn: false, isUnknownToOthers: true });
      if (!seat.isWanted && !seat.work) this.#forget(seat);
    }
  }

  async #enterAgain(): Promise<void> {
    await inTurns([...this.#seats.values()], MAX_AT_ONCE, async (seat) => {
      // A call of the lost lease ends first.
      await seat.work?.catch(() => undefined);
      // The store may have lost its data, so a wanted seat is entered in any case.
      if (seat.isWanted) seat.isIn = false;
      await this.#settle(seat);
    });
    this.#isLapsed = false;
    this.#proceed();
  }

  /** A seat of a dead node was cleared. */
  #reaped({ set, member, last, value }: Reaped): void {
    if (!last || !set.startsWith(PREFIX)) return;
    this.#events.offline(set.slice(PREFIX.length), { ...(isRecord(value) && value), userId: member }, Date.now());
  }

  async #leaveAll(): Promise<void> {
    const seats = [...this.#seats.values()];
    for (const seat of seats) Object.assign(seat, { isWanted: false, isSilent: true });
    await inTurns(seats, MAX_AT_ONCE, async (seat) => {
      await (seat.work ?? this.#settle(seat)).catch((error: unknown) => {
        // Another node clears the seat when this one stops.
        if (!isStoreUnavailable(error)) this.#context.report(error);
      });
    });
  }
}

/** The fields of a user as JSON: `profile` may return fields that JSON omits. */
const toJson = (user: ShownUser): Json => JSON.parse(JSON.stringify(user)) as Json;

// The length of the topic makes the key unique.
const keyOf = (topic: string, userId: string): string => `${topic.length} ${topic}${userId}`;
