import { setImmediate as nextTurn } from 'node:timers/promises';
import { ModuleError, type Store } from '../index.ts';

/** What goes wrong. Shares are from 0 (never) to 1 (always). */
export interface StoreFaults {
  /** The same seed makes the same faults. @default 1 */
  readonly seed?: number | undefined;
  /** Share of calls that begin some turns later. Those behind them wait, because the order stays. @default 0 */
  readonly delays?: number | undefined;
  /** Share of calls that do nothing, and reject with STORE_UNAVAILABLE. @default 0 */
  readonly losses?: number | undefined;
  /** Share of calls that are done, and reject with STORE_UNAVAILABLE all the same. @default 0 */
  readonly lostReplies?: number | undefined;
  /** Share of calls that are done twice, and of notices that come twice. @default 0 */
  readonly duplicates?: number | undefined;
  /** Share of writes with `if` that do nothing, and reject with STORE_CONFLICT. @default 0 */
  readonly conflicts?: number | undefined;
  /** Share of notices of watch() that come as `undefined`: changes were missed. @default 0 */
  readonly lostNotices?: number | undefined;
  /** The number of the call at which the node crashes: from then on nothing is done and told. @default none */
  readonly crashAt?: number | undefined;
  /** Whether the call at which the node crashes is still done. @default 'before' */
  readonly crash?: 'before' | 'after' | undefined;
}

/** Turns that a call is delayed by, at most. */
const MAX_TURNS = 5;

/** Numbers from 0 to 1 that look random, and are the same for the same seed (mulberry32). */
function randomNumbers(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

/**
 * A store that fails as a network does: with the same seed and the same calls, in the same way.
 *
 * @example const store = new FaultyStore(new MemoryAdapter(bus).store, { seed: 7, lostReplies: 0.2, delays: 0.5 });
 */
export class FaultyStore implements Store {
  readonly name: string;
  readonly #store: Store;
  readonly #faults: StoreFaults;
  readonly #random: () => number;
  #before: Promise<unknown> | undefined;
  #calls = 0;
  #isCrashed = false;

  constructor(store: Store, faults: StoreFaults = {}) {
    this.name = `faulty-${store.name}`;
    this.#store = store;
    this.#faults = faults;
    this.#random = randomNumbers(faults.seed ?? 1);
  }

  /** How many calls were made. */
  get calls(): number { return this.#calls; }

  get isCrashed(): boolean { return this.#isCrashed; }

  /** Crashes the node now: it does not release its lease. */
  crash(): void { this.#isCrashed = true; }

  lease(...given: Parameters<Store['lease']>): ReturnType<Store['lease']> {
    return this.#call('lease', () => this.#store.lease(...given));
  }

  renew(): ReturnType<Store['renew']> {
    return this.#call('renew', () => this.#store.renew());
  }

  release(): Promise<void> {
    return this.#call('release', () => this.#store.release());
  }

  // Done once: the second call would say that what the first one returned is dealt with.
  reap(): ReturnType<Store['reap']> {
    return this.#call('reap', () => this.#store.reap(), { isRepeatable: false });
  }

  get(...given: Parameters<Store['get']>): ReturnType<Store['get']> {
    return this.#call('get', () => this.#store.get(...given));
  }

  put(...given: Parameters<Store['put']>): ReturnType<Store['put']> {
    const [key, , options] = given;
    return this.#call('put', () => this.#store.put(...given), { key: options?.if && key });
  }

  delete(...given: Parameters<Store['delete']>): ReturnType<Store['delete']> {
    const [key, options] = given;
    return this.#call('delete', () => this.#store.delete(...given), { key: options?.if && key });
  }

  touch(...given: Parameters<Store['touch']>): ReturnType<Store['touch']> {
    return this.#call('touch', () => this.#store.touch(...given));
  }

  watch(listener: (key: string | undefined) => void): () => void {
    return this.#store.watch((key) => {
      if (this.#isCrashed) return;
      const times = this.#happens(this.#faults.duplicates) ? 2 : 1;
      for (let index = 0; index < times; index++) {
        listener(this.#happens(this.#faults.lostNotices) ? undefined : key);
      }
    });
  }

  enter(...given: Parameters<Store['enter']>): ReturnType<Store['enter']> {
    return this.#call('enter', () => this.#store.enter(...given));
  }

  leave(...given: Parameters<Store['leave']>): ReturnType<Store['leave']> {
    return this.#call('leave', () => this.#store.leave(...given));
  }

  members(...given: Parameters<Store['members']>): ReturnType<Store['members']> {
    return this.#call('members', () => this.#store.members(...given));
  }

  sizes(...given: Parameters<Store['sizes']>): ReturnType<Store['sizes']> {
    return this.#call('sizes', () => this.#store.sizes(...given));
  }

  take(...given: Parameters<Store['take']>): ReturnType<Store['take']> {
    return this.#call('take', () => this.#store.take(...given));
  }

  #happens(share = 0): boolean {
    return share > 0 && this.#random() < share;
  }

  /** @param about.key the document of a write with `if` */
  async #call<T>(
    action: string, work: () => Promise<T>,
    about: { readonly key?: string | undefined; readonly isRepeatable?: boolean | undefined } = {},
  ): Promise<T> {
    const { key, isRepeatable = true } = about;
    const { delays, losses, lostReplies, duplicates, conflicts, crashAt, crash = 'before' } = this.#faults;
    const number = ++this.#calls;
    if (this.#happens(delays)) this.#delay();
    if (this.#before) await this.#before;
    if (this.#isCrashed) throw this.#unavailable(action);
    if (number === crashAt) {
      this.#isCrashed = true;
      if (crash === 'after') await work();
      throw this.#unavailable(action);
    }
    if (this.#happens(losses)) throw this.#unavailable(action);
    if (key !== undefined && this.#happens(conflicts)) throw new ModuleError('STORE_CONFLICT', { key });
    const isRepeated = isRepeatable && this.#happens(duplicates);
    const done = work();
    // The second answer comes too late for the caller.
    if (isRepeated) work().catch(() => undefined);
    const result = await done;
    // What the node would have been told while it crashed.
    if (this.isCrashed || this.#happens(lostReplies)) throw this.#unavailable(action);
    return result;
  }

  #delay(): void {
    const turns = 1 + Math.floor(this.#random() * MAX_TURNS);
    const before = this.#before ?? Promise.resolve();
    const delayed = before.then(async () => {
      for (let index = 0; index < turns; index++) await nextTurn();
    });
    this.#before = delayed;
    void delayed.then(() => { if (this.#before === delayed) this.#before = undefined; });
  }

  #unavailable(action: string): ModuleError {
    return new ModuleError('STORE_UNAVAILABLE', { store: this.name, action });
  }
}

/**
 * Runs a scenario again and again, with a crash before and after each call of its faulty store in turn, until the
 * scenario ends without a crash.
 *
 * @param scenario makes its FaultyStore with these faults, judges the outcome, and returns the store
 * @returns how many times it ran
 */
export async function crashEverywhere(
  scenario: (faults: Pick<StoreFaults, 'crashAt' | 'crash'>) => Promise<Pick<FaultyStore, 'isCrashed'>>,
): Promise<number> {
  for (let crashAt = 1, runs = 0; ; crashAt++) {
    for (const crash of ['before', 'after'] as const) {
      runs++;
      const { isCrashed } = await scenario({ crashAt, crash });
      if (!isCrashed) return runs;
    }
  }
}
