import { setImmediate as nextTurn, setTimeout as delay } from 'node:timers/promises';
import { ModuleError, type Store } from '../index.ts';
import { withCleanups, type CleanupList } from './cleanup.ts';

/** The server or the memory that the stores of one test share. */
export interface StoreBackend {
  /** Creates the store of another node. */
  store(): Store | Promise<Store>;
  /** Advances the clock of all stores by so many milliseconds. @default waits that long */
  readonly advance?: ((milliseconds: number) => unknown) | undefined;
  /** Deletes all data, like a restart without persistence. The tests with `forgets: true` need it. */
  readonly forget?: (() => unknown) | undefined;
  /** Milliseconds of short leases; operations must be much faster. @default 100 with `advance`, else 300 */
  readonly shortTtl?: number | undefined;
  /** Called after the test. */
  readonly stop?: (() => unknown) | undefined;
}

/** Creates a backend without data. */
export type MakeStore = () => StoreBackend | Promise<StoreBackend>;

export interface StoreTest {
  readonly title: string;
  readonly body: (bench: StoreBench) => Promise<void>;
}

export const storeTest = (title: string, body: StoreTest['body']): StoreTest => ({ title, body });

/** Runs one test with a new backend. */
export const runStoreTest = ({ body }: StoreTest, make: MakeStore): Promise<void> =>
  withCleanups(async (cleanups) => {
    const backend = await make();
    if (backend.stop) cleanups.add(backend.stop);
    await body(new StoreBench(backend, make, cleanups));
  });

/** Milliseconds of a lease that does not expire during a test. */
export const LONG = 600_000;

/** The code of the error with which a promise rejects. */
export const codeOf = (promise: Promise<unknown>): Promise<string> =>
  promise.then(() => 'none', (error: unknown) => (error instanceof ModuleError ? error.code : String(error)));

/** Creates the stores of one test, and advances their clock. */
export class StoreBench {
  readonly backend: StoreBackend;
  /** Milliseconds. */
  readonly shortTtl: number;
  readonly #make: MakeStore;
  readonly #cleanups: CleanupList;

  constructor(backend: StoreBackend, make: MakeStore, cleanups: CleanupList) {
    this.backend = backend;
    this.shortTtl = backend.shortTtl ?? (backend.advance ? 100 : 300);
    this.#make = make;
    this.#cleanups = cleanups;
  }

  /** A store without a lease. */
  store(): Store | Promise<Store> { return this.backend.store(); }

  /** A store that holds a lease. */
  async node(id: string, ttl = LONG): Promise<Store> {
    const store = await this.store();
    await store.lease(id, ttl);
    return store;
  }

  nodes(...ids: string[]): Promise<Store[]> { return Promise.all(ids.map((id) => this.node(id))); }

  /** Simulates a node that held these seats, `[set, member, holder]`, and crashed: its lease has expired. */
  async dead(id: string, seats: readonly (readonly [set: string, member: string, holder: string])[]): Promise<void> {
    const store = await this.node(id, this.shortTtl);
    await Promise.all(seats.map(([set, member, holder]) => store.enter(set, member, { holder, value: holder })));
    await this.pass(this.shortTtl);
  }

  /** Creates another backend, without the data of this one. */
  async another(): Promise<StoreBackend> {
    const backend = await this.#make();
    if (backend.stop) this.#cleanups.add(backend.stop);
    return backend;
  }

  /** Advances the clock by a little more than this time. */
  async pass(milliseconds: number): Promise<void> {
    const margin = this.backend.advance ? 1 : 20;
    // First a turn, so that the calls of this turn have begun.
    await nextTurn();
    await (this.backend.advance ?? delay)(milliseconds + margin);
    await nextTurn();
  }
}
