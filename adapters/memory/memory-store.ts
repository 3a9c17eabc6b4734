import {
  ModuleError, storeArguments, type EnterOptions, type Lease, type Member, type Reaped, type SeatName, type Store,
  type Versioned,
} from '../../src/index.ts';
import type { StoreData } from './store-data.ts';
import type { StoreRun } from './store-run.ts';

/** The store of one node. Stores with the same StoreData share their state. Every call is one atomic step. */
export class MemoryStore implements Store {
  readonly name = 'memory';
  readonly #data: StoreData;
  #run: StoreRun | undefined;
  #ttl = 0;

  constructor(data: StoreData) { this.#data = data; }

  async lease(node: string, ttl: number): Promise<Lease> {
    storeArguments.lease(node, ttl);
    // Not release(), which would confirm the seats that reap() returned.
    if (this.#run) this.#run.until = -Infinity;
    this.#run = undefined;
    const { clock } = this.#data;
    const other = this.#data.alive(node);
    const until = other?.until ?? 0;
    // In a loop, because a timer may fire a little early.
    while (other?.until === until && clock.now() < until) await clock.wait(Math.ceil(until - clock.now()));
    if (this.#data.alive(node)) throw new ModuleError('NODE_ID_TAKEN', { node });
    this.#ttl = ttl;
    this.#run = this.#data.begin(node, ttl);
    return this.#data.leaseOf(this.#run);
  }

  async renew(): Promise<Lease> {
    const run = this.#held();
    this.#data.renew(run, this.#ttl);
    return this.#data.leaseOf(run);
  }

  async release(): Promise<void> {
    if (this.#run) this.#data.end(this.#run);
    this.#run = undefined;
  }

  async reap(): Promise<readonly Reaped[]> {
    return this.#data.reap(this.#writing());
  }

  async get(keys: readonly string[]): Promise<readonly (Versioned | undefined)[]> {
    storeArguments.names('keys', keys);
    this.#held();
    return keys.map((key) => this.#data.documents.get(key));
  }

  async put(...[key, value, options]: Parameters<Store['put']>): Promise<string> {
    storeArguments.put(key, value, options);
    const text = storeArguments.json(value);
    const run = this.#writing();
    if (options?.if === 'absent') this.#assertKnown(run);
    const version = this.#data.documents.put(key, text, options?.if, options?.ttl);
    if (version === undefined) throw new ModuleError('STORE_CONFLICT', { key });
    this.#data.watchers.notify(key);
    return version;
  }

  async delete(...[key, options]: Parameters<Store['delete']>): Promise<boolean> {
    storeArguments.delete(key, options);
    this.#writing();
    const deleted = this.#data.documents.delete(key, options?.if);
    if (deleted === undefined) throw new ModuleError('STORE_CONFLICT', { key });
    if (deleted) this.#data.watchers.notify(key);
    return deleted;
  }

  async touch(keys: readonly string[], ttl: number): Promise<void> {
    storeArguments.touch(keys, ttl);
    this.#writing();
    for (const key of keys) this.#data.documents.touch(key, ttl);
  }

  watch(listener: (key: string | undefined) => void): () => void { return this.#data.watchers.add(listener); }

  async enter(set: string, member: string, options: EnterOptions = {}): Promise<{ first: boolean; size: number }> {
    storeArguments.enter(set, member, options);
    const { holder, max = Infinity, ttl = Infinity, replaces, value } = options;
    const text = value === undefined ? undefined : storeArguments.json(value);
    const run = this.#writing();
    if (max < Infinity) this.#assertKnown(run);
    const entered = this.#data.sets.enter(set, member, { run, holder, max, ttl, replaces, text });
    if (!entered) throw new ModuleError('STORE_FULL', { set, limit: max });
    return entered;
  }

  async leave(...[set, member, options]: Parameters<Store['leave']>): Promise<{ last: boolean; size: number }> {
    storeArguments.leave(set, member, options);
    this.#writing();
    return this.#data.sets.leave(set, member, options?.holder, options?.keepFor ?? 0);
  }

  async members(
    ...[set, options]: Parameters<Store['members']>
  ): Promise<{ members: Member[]; cursor: string | undefined }> {
    storeArguments.members(set, options);
    this.#held();
    const { members, next } = this.#data.sets.page(set, Number(options.cursor ?? 0), options.limit);
    return { members, cursor: next === undefined ? undefined : String(next) };
  }

  async sizes(sets: readonly string[]): Promise<readonly number[]> {
    storeArguments.names('sets', sets);
    this.#held();
    return sets.map((set) => this.#data.sets.count(set));
  }

  async take(...[key, rate, count]: Parameters<Store['take']>): Promise<{ granted: number; retryAfter: number }> {
    storeArguments.take(key, rate, count);
    this.#writing();
    return this.#data.rates.take(key, rate, count);
  }

  async held(
    { cursor }: { cursor?: string | undefined } = {},
  ): Promise<{ seats: SeatName[]; cursor: string | undefined }> {
    storeArguments.held(cursor);
    // No page is needed: they are in memory already.
    return { seats: [...this.#held().seats], cursor: undefined };
  }

  /** @throws STORE_DATA_LOST */
  #assertKnown(run: StoreRun): void {
    if (this.#data.hasLost(run)) throw new ModuleError('STORE_DATA_LOST', { store: this.name });
  }

  /** The run of this node. @throws LEASE_LOST */
  #held(): StoreRun {
    const run = this.#run;
    if (!run || !this.#data.holds(run)) throw new ModuleError('LEASE_LOST', { node: run?.node });
    return run;
  }

  /**
   * The run of this node, for a write. If the data was lost, the run is registered again, so that the seats that it
   * takes from now on are released after a crash.
   * @throws LEASE_LOST
   */
  #writing(): StoreRun {
    const run = this.#held();
    this.#data.restore(run);
    return run;
  }
}
