import { setImmediate as nextTurn } from 'node:timers/promises';
import { ModuleError, type Store } from '../index.ts';
import { randomNumbers } from './random-numbers.ts';

/** The faults of a FaultyStore. A share is a number from 0 (never) to 1 (always). */
export interface StoreFaults {
  /** The same seed causes the same faults. @default 1 */
  readonly seed?: number | undefined;
  /** Share of calls that begin some turns later. Later calls wait for them, so the order is kept. @default 0 */
  readonly delays?: number | undefined;
  /** Share of calls that do nothing and reject with STORE_UNAVAILABLE. @default 0 */
  readonly losses?: number | undefined;
  /** Share of calls that are done but reject with STORE_UNAVAILABLE. @default 0 */
  readonly lostReplies?: number | undefined;
  /** Share of calls that are done twice, and of notices that are sent twice. @default 0 */
  readonly duplicates?: number | undefined;
  /** Share of writes with `if` that do nothing, and reject with STORE_CONFLICT. @default 0 */
  readonly conflicts?: number | undefined;
  /** Share of notices of watch() that are lost: the listener gets `undefined`. @default 0 */
  readonly lostNotices?: number | undefined;
  /** The number of the call at which the node crashes. From then on, all calls fail. @default none */
  readonly crashAt?: number | undefined;
  /** Whether the call at which the node crashes is still done. @default 'before' */
  readonly crash?: 'before' | 'after' | undefined;
}

/** Maximum number of turns by which a call is delayed. */
const MAX_TURNS = 5;

/**
 * Wraps a store, and fails like an unreliable network. The same seed and the same calls cause the same faults.
 *
 * @example const store = new FaultyStore(new MemoryAdapter(bus).store, { seed: 7, lostReplies: 0.2, delays: 0.5 });
 */
export class FaultyStore implements Store {
  readonly name: string;
  readonly #store: Store;
  readonly #faults: StoreFaults;
  readonly #random: () => number;
  #before: Promise<unknown> | undefined;
  /** What reap() returned, while the caller has not received it. */
  #unread: Awaited<ReturnType<Store['reap']>> | undefined;
  #calls = 0;
  #isCrashed = false;

  constructor(store: Store, faults: StoreFaults = {}) {
    this.name = `faulty-${store.name}`;
    this.#store = store;
    this.#faults = faults;
    this.#random = randomNumbers(faults.seed ?? 1);
  }

  /** The number of calls so far. */
  get calls(): number { return this.#calls; }

  get isCrashed(): boolean { return this.#isCrashed; }

  /** Crashes the node now: it does not release its lease. */
  crash(): void { this.#isCrashed = true; }

  lease(...given: Parameters<Store['lease']>): ReturnType<Store['lease']> {
    return this.#call('lease', async () => {
      const lease = await this.#store.lease(...given);
      this.#unread = undefined;
      return lease;
    });
  }

  renew(): ReturnType<Store['renew']> {
    return this.#call('renew', () => this.#store.renew());
  }

  release(): Promise<void> {
    return this.#call('release', () => this.#store.release());
  }

  // Never repeated: the second call would confirm that the seats of the first one are handled. If the reply was lost,
  // the next call returns the same seats.
  reap(): ReturnType<Store['reap']> {
    const reap = async (): ReturnType<Store['reap']> => (this.#unread ??= await this.#store.reap());
    return this.#call('reap', reap, { isRepeatable: false }).then((seats) => {
      this.#unread = undefined;
      return seats;
    });
  }

  held(...given: Parameters<Store['held']>): ReturnType<Store['held']> {
    return this.#call('held', () => this.#store.held(...given));
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
    // The caller gets only the first answer.
    if (isRepeated) work().catch(() => undefined);
    const result = await done;
    // The node crashed during the call, so it gets no answer.
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
 * Runs a scenario repeatedly. The first two runs crash before and after the first call of the faulty store, the next
 * two at the second call, and so on, until a run ends without a crash.
 *
 * @param scenario creates a FaultyStore with these faults, uses it, asserts the outcome, and returns the store
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
