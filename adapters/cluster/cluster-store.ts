import {
  storeArguments, Watchers, type EnterOptions, type Json, type Lease, type Member, type Reaped, type SeatName,
  type Store, type Versioned,
} from '../../src/index.ts';
import { callPrimary, type PrimaryLink } from './primary-link.ts';

/** Milliseconds for a lease, for which the store may have to wait until an earlier one expires, and for reap(). */
const LONG_TIMEOUT = 60_000;

/** The state that the workers of one primary share. It is in the memory of the primary, and ends with it. */
export class ClusterStore implements Store {
  readonly name = 'cluster';
  readonly #link: () => PrimaryLink | undefined;
  readonly #watchers = new Watchers<[key: string | undefined]>();

  /** @param link the link to the primary, while the adapter runs */
  constructor(link: () => PrimaryLink | undefined) { this.#link = link; }

  /** Called for each document that a node changed; with `undefined`, if changes may have been missed. */
  changed(key: string | undefined): void { this.#watchers.notify(key); }

  watch(listener: (key: string | undefined) => void): () => void { return this.#watchers.add(listener); }

  async lease(...given: Parameters<Store['lease']>): Promise<Lease> {
    storeArguments.lease(...given);
    return this.#call('lease', given, LONG_TIMEOUT);
  }

  renew(): Promise<Lease> { return this.#call('renew', []); }

  release(): Promise<void> { return this.#call('release', []); }

  // With a long time: the next call would confirm seats whose answer came too late. A lease ends sooner than that, and
  // then another node gets them.
  reap(): Promise<readonly Reaped[]> { return this.#call('reap', [], LONG_TIMEOUT); }

  async held(
    options: { cursor?: string | undefined } = {},
  ): Promise<{ seats: SeatName[]; cursor: string | undefined }> {
    storeArguments.held(options.cursor);
    const { seats, cursor } = await this.#call<{ seats: SeatName[]; cursor?: string | null }>('held', [options]);
    return { seats, cursor: cursor ?? undefined };
  }

  async get(keys: readonly string[]): Promise<readonly (Versioned | undefined)[]> {
    storeArguments.names('keys', keys);
    // The serialization `json` has no undefined.
    return (await this.#call<(Versioned | null | undefined)[]>('get', [keys])).map((found) => found ?? undefined);
  }

  async put(...[key, value, options]: Parameters<Store['put']>): Promise<string> {
    storeArguments.put(key, value, options);
    return this.#call('put', [key, copyOf(value), options]);
  }

  async delete(...given: Parameters<Store['delete']>): Promise<boolean> {
    storeArguments.delete(...given);
    return this.#call('delete', given);
  }

  async touch(...given: Parameters<Store['touch']>): Promise<void> {
    storeArguments.touch(...given);
    return this.#call('touch', given);
  }

  async enter(set: string, member: string, options: EnterOptions = {}): Promise<{ first: boolean; size: number }> {
    storeArguments.enter(set, member, options);
    const { value } = options;
    return this.#call('enter', [set, member, { ...options, ...(value !== undefined && { value: copyOf(value) }) }]);
  }

  async leave(...given: Parameters<Store['leave']>): Promise<{ last: boolean; size: number }> {
    storeArguments.leave(...given);
    return this.#call('leave', given);
  }

  async members(
    ...given: Parameters<Store['members']>
  ): Promise<{ members: readonly Member[]; cursor: string | undefined }> {
    storeArguments.members(...given);
    const { members, cursor } = await this.#call<{ members: Member[]; cursor?: string | null }>('members', given);
    return { members, cursor: cursor ?? undefined };
  }

  async sizes(sets: readonly string[]): Promise<readonly number[]> {
    storeArguments.names('sets', sets);
    return this.#call('sizes', [sets]);
  }

  async take(...given: Parameters<Store['take']>): Promise<{ granted: number; retryAfter: number }> {
    storeArguments.take(...given);
    return this.#call('take', given);
  }

  /** @throws STORE_UNAVAILABLE if the primary does not answer, and the errors of the store */
  async #call<T>(action: string, given: readonly unknown[], timeout?: number): Promise<T> {
    return callPrimary<T>(this.#link(), 'store', action, given, timeout);
  }
}

/**
 * A copy, because the caller may change the value before it is sent.
 * @throws OPTION_INVALID if JSON cannot represent it
 */
const copyOf = (value: Json): Json => JSON.parse(storeArguments.json(value)) as Json;
