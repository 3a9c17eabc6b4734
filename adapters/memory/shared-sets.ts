import type { Json, Member } from '../../src/index.ts';
import { Deadlines } from './deadlines.ts';
import { RotatingSweep } from './rotating-sweep.ts';
import type { HeldSeat, StoreRun } from './store-run.ts';

interface Entry {
  /** The position of the member in the order of entering. */
  readonly order: number;
  text: string;
  /** The run to which the seat of each holder belongs. */
  readonly holders: Map<string, StoreRun>;
  /** Whether there is a seat without a holder. */
  isFree: boolean;
}

export interface Seating {
  readonly run: StoreRun;
  readonly holder: string | undefined;
  readonly max: number;
  readonly ttl: number;
  readonly replaces: string | undefined;
  readonly text: string | undefined;
}

/** One set. The members are sorted by `order`, because each new one is the last. */
class SharedSet {
  readonly members = new Map<string, Entry>();
  /** The members whose seat without a holder has a `ttl`. */
  readonly ending = new Deadlines();
  /** The members that left and whose place is kept. */
  readonly kept = new Deadlines();
  last = 0;

  /** Releases the expired seats and places. Returns whether the set is empty then. */
  expire(now: number): boolean {
    this.kept.expire(now);
    for (const member of this.ending.expire(now)) {
      const entry = this.members.get(member)!;
      entry.isFree = false;
      this.dropIfEmpty(member, entry);
    }
    return this.members.size === 0 && this.kept.size === 0;
  }

  dropIfEmpty(member: string, entry: Entry): boolean {
    return !entry.isFree && entry.holders.size === 0 && this.members.delete(member);
  }

  /** Releases all seats of a member. Returns whether it was in the set. */
  remove(set: string, member: string): boolean {
    const entry = this.members.get(member);
    if (!entry) return false;
    for (const [holder, run] of entry.holders) run.release({ set, member, holder });
    this.ending.delete(member);
    return this.members.delete(member);
  }
}

/** The sets of a memory store. */
export class SharedSets {
  readonly #sets = new Map<string, SharedSet>();
  readonly #now: () => number;
  readonly #sweep: RotatingSweep<string, SharedSet>;

  constructor(now: () => number) {
    this.#now = now;
    this.#sweep = new RotatingSweep(this.#sets, (set) => set.expire(now()));
  }

  get size(): number { return this.#sets.size; }

  /** Returns undefined if the set is full. */
  enter(name: string, member: string, seating: Seating): { first: boolean; size: number } | undefined {
    this.#sweep.step();
    const set = this.#find(name) ?? this.#add(name);
    const { run, holder, max, ttl, replaces, text } = seating;
    const known = set.members.get(member);
    const isReplacing = replaces !== undefined && replaces !== member && set.members.has(replaces);
    const isPlaceTaken = known !== undefined || isReplacing || set.kept.has(member);
    if (!isPlaceTaken && set.members.size + set.kept.size >= max) return undefined;
    if (isReplacing) set.remove(name, replaces);
    set.kept.delete(member);
    const entry = known ?? { order: ++set.last, text: 'null', holders: new Map<string, StoreRun>(), isFree: false };
    set.members.set(member, entry);
    if (text !== undefined) entry.text = text;
    if (holder === undefined) {
      entry.isFree = true;
      if (ttl === Infinity) set.ending.delete(member);
      else set.ending.set(member, this.#now() + ttl);
    } else {
      const seat = { set: name, member, holder };
      entry.holders.get(holder)?.release(seat);
      entry.holders.set(holder, run);
      run.hold(seat);
    }
    return { first: known === undefined, size: set.members.size };
  }

  leave(name: string, member: string, holder: string | undefined, keepFor: number): { last: boolean; size: number } {
    this.#sweep.step();
    const set = this.#find(name);
    if (!set) return { last: false, size: 0 };
    const last = holder === undefined
      ? set.remove(name, member)
      : this.#releaseSeat(set, { set: name, member, holder });
    if (last && keepFor > 0) set.kept.set(member, this.#now() + keepFor);
    else if (holder === undefined) set.kept.delete(member);
    this.#dropIfEmpty(name, set);
    return { last, size: set.members.size };
  }

  /**
   * Releases a seat of a run that has ended. Returns undefined if the seat is released or belongs to another run now.
   */
  reap(seat: HeldSeat, run: StoreRun): { value: Json; last: boolean } | undefined {
    const set = this.#find(seat.set);
    const entry = set?.members.get(seat.member);
    if (!set || entry?.holders.get(seat.holder) !== run) return undefined;
    entry.holders.delete(seat.holder);
    const last = set.dropIfEmpty(seat.member, entry);
    this.#dropIfEmpty(seat.set, set);
    return { value: JSON.parse(entry.text) as Json, last };
  }

  /** A page of the members whose order exceeds `after`. `next` is the `after` of the next page. */
  page(name: string, after: number, limit: number): { members: Member[]; next: number | undefined } {
    const members: Member[] = [];
    let next: number | undefined;
    for (const [id, { order, text }] of this.#find(name)?.members ?? []) {
      if (order <= after) continue;
      if (members.length === limit) return { members, next };
      members.push({ id, value: JSON.parse(text) as Json });
      next = order;
    }
    return { members, next: undefined };
  }

  count(name: string): number { return this.#find(name)?.members.size ?? 0; }

  clear(): void { this.#sets.clear(); }

  #releaseSeat(set: SharedSet, seat: HeldSeat): boolean {
    const entry = set.members.get(seat.member);
    const run = entry?.holders.get(seat.holder);
    if (!entry || !run) return false;
    run.release(seat);
    entry.holders.delete(seat.holder);
    return set.dropIfEmpty(seat.member, entry);
  }

  #add(name: string): SharedSet {
    const set = new SharedSet();
    this.#sets.set(name, set);
    return set;
  }

  #find(name: string): SharedSet | undefined {
    const set = this.#sets.get(name);
    if (!set?.expire(this.#now())) return set;
    this.#sets.delete(name);
    return undefined;
  }

  #dropIfEmpty(name: string, set: SharedSet): void {
    if (set.members.size === 0 && set.kept.size === 0) this.#sets.delete(name);
  }
}
