import { setImmediate as nextTurn, setTimeout as delay } from 'node:timers/promises';
import { ModuleError, type Store } from '../index.ts';
import { withCleanups, type CleanupList } from './cleanup.ts';

/** What the stores of one test share: a server, or some memory. */
export interface StoreBackend {
  /** The store of one more node. */
  store(): Store | Promise<Store>;
  /** Lets so many milliseconds pass for all stores. @default it waits */
  readonly advance?: ((milliseconds: number) => unknown) | undefined;
  /** Loses all data, where the backend can. The tests of what happens then are left out otherwise. */
  readonly forget?: (() => unknown) | undefined;
  /** Milliseconds that short leases last; operations are much faster. @default 100 with `advance`, else 300 */
  readonly shortTtl?: number | undefined;
  /** Called after the test. */
  readonly stop?: (() => unknown) | undefined;
}

/** Makes a backend without data. */
export type MakeStore = () => StoreBackend | Promise<StoreBackend>;

export interface StoreTest {
  readonly title: string;
  readonly body: (bench: StoreBench) => Promise<void>;
}

export const storeTest = (title: string, body: StoreTest['body']): StoreTest => ({ title, body });

/** Runs one test on a backend of its own. */
export const runStoreTest = ({ body }: StoreTest, make: MakeStore): Promise<void> =>
  withCleanups(async (cleanups) => {
    const backend = await make();
    if (backend.stop) cleanups.add(backend.stop);
    await body(new StoreBench(backend, make, cleanups));
  });

/** A lease that no test outlives. */
export const LONG = 600_000;

/** The code that a promise rejects with. */
export const codeOf = (promise: Promise<unknown>): Promise<string> =>
  promise.then(() => 'none', (error: unknown) => (error instanceof ModuleError ? error.code : String(error)));

/** Makes the stores of one test, and lets time pass. */
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

  /** A node that held these seats, `[set, member, holder]`, and died. */
  async dead(id: string, seats: readonly (readonly [set: string, member: string, holder: string])[]): Promise<void> {
    const store = await this.node(id, this.shortTtl);
    await Promise.all(seats.map(([set, member, holder]) => store.enter(set, member, { holder, value: holder })));
    await this.pass(this.shortTtl);
  }

  /** A backend without the data of this one. */
  async another(): Promise<StoreBackend> {
    const backend = await this.#make();
    if (backend.stop) this.#cleanups.add(backend.stop);
    return backend;
  }

  /** Lets a little more than so much time pass. */
  async pass(milliseconds: number): Promise<void> {
    const margin = this.backend.advance ? 1 : 20;
    // What was called in this turn has begun.
    await nextTurn();
    await (this.backend.advance ?? delay)(milliseconds + margin);
    await nextTurn();
  }
}
