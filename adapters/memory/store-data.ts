import { newId, Watchers, type Lease, type Reaped } from '../../src/index.ts';
import { SharedDocuments } from './shared-documents.ts';
import { SharedRates } from './shared-rates.ts';
import { SharedSets } from './shared-sets.ts';
import { SYSTEM_CLOCK, type StoreClock } from './store-clock.ts';
import { StoreRun } from './store-run.ts';

/** Maximum number of seats that one call of reap() returns. */
const MAX_REAPED = 500;

/** The state that the memory stores of one bus share. */
export class StoreData {
  readonly clock: StoreClock;
  readonly documents: SharedDocuments;
  readonly sets: SharedSets;
  readonly rates: SharedRates;
  /** Called with the key of a changed document, or with `undefined` if all data is lost. */
  readonly watchers = new Watchers<[key: string | undefined]>();
  /** Runs with a lease, and runs with seats that no caller of reap() has handled yet. */
  readonly #runs = new Set<StoreRun>();
  /** The newest run of each node. */
  readonly #newest = new Map<string, StoreRun>();
  #generation = newId();

  constructor(clock: StoreClock = SYSTEM_CLOCK) {
    this.clock = clock;
    const now = () => clock.now();
    this.documents = new SharedDocuments(now);
    this.sets = new SharedSets(now);
    this.rates = new SharedRates(now);
  }

  /** The numbers of entries in memory, for tests. */
  get sizes(): Readonly<Record<'documents' | 'sets' | 'rates' | 'runs', number>> {
    return { documents: this.documents.size, sets: this.sets.size, rates: this.rates.size, runs: this.#runs.size };
  }

  /** Deletes all data, like the restart of a server without persistence. */
  forget(): void {
    this.#generation = newId();
    for (const run of this.#runs) run.forget();
    for (const part of [this.documents, this.sets, this.rates, this.#runs, this.#newest]) part.clear();
    this.watchers.notify(undefined);
  }

  /** The run that holds the lease of a node. */
  alive(node: string): StoreRun | undefined {
    const run = this.#newest.get(node);
    return run?.isAlive(this.clock.now()) ? run : undefined;
  }

  begin(node: string, ttl: number): StoreRun {
    const run = new StoreRun(node, newId(), this.clock.now() + ttl, this.#generation);
    this.#add(run);
    return run;
  }

  renew(run: StoreRun, ttl: number): void {
    run.until = this.clock.now() + ttl;
    run.generation = this.#generation;
    this.restore(run);
  }

  /** Registers a run again after the data was lost. */
  restore(run: StoreRun): void {
    if (!this.#runs.has(run)) this.#add(run);
  }

  /** Whether a run may use the store: its lease has not expired, and no newer run of its node has begun. */
  holds(run: StoreRun): boolean {
    const newest = this.#newest.get(run.node);
    return run.isAlive(this.clock.now()) && (newest === undefined || newest === run);
  }

  /** Whether data was lost since a run took or renewed its lease. */
  hasLost(run: StoreRun): boolean { return run.generation !== this.#generation; }

  end(run: StoreRun): void {
    // A node that releases its lease has handled the seats that reap() returned.
    if (run.isAlive(this.clock.now())) run.handed = [];
    run.until = -Infinity;
  }

  leaseOf({ incarnation }: StoreRun): Lease {
    return { incarnation, now: Math.floor(this.clock.now()), generation: this.#generation };
  }

  reap(by: StoreRun): Reaped[] {
    by.handed = [];
    const now = this.clock.now();
    for (const run of this.#runs) {
      if (run.isAlive(now)) continue;
      this.#handOver(run, by);
      if (by.handed.length >= MAX_REAPED) break;
      this.#runs.delete(run);
      if (this.#newest.get(run.node) === run) this.#newest.delete(run.node);
    }
    return [...by.handed];
  }

  #handOver(run: StoreRun, by: StoreRun): void {
    // The run ended before it had handled the seats that reap() returned.
    by.handed.push(...run.handed);
    run.handed = [];
    while (by.handed.length < MAX_REAPED) {
      const seat = run.takeSeat();
      if (!seat) return;
      const end = this.sets.reap(seat, run);
      if (end) by.handed.push({ node: run.node, ...seat, ...end });
    }
  }

  #add(run: StoreRun): void {
    this.#runs.add(run);
    this.#newest.set(run.node, run);
  }
}
