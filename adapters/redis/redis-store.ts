import {
  describe, ModuleError, newId, storeArguments, Watchers, type EnterOptions, type Json, type Lease, type Member,
  type Reaped, type SeatName, type Store, type Versioned,
} from '../../src/index.ts';
import { DocumentReads } from './document-reads.ts';
import { hashTag, type RedisCommands } from './redis-commands.ts';
import { RedisRun } from './redis-run.ts';
import { StoreCalls, type StoreCallsOptions, type Values } from './store-calls.ts';

/** Maximum number of seats that one call of reap() returns. */
const MAX_REAPED = 250;
/** Number of seats on one page, about. */
const MAX_HELD = 500;
/** Number of values in a reply of the script for one seat. */
const REAPED_VALUES = 6;
/** Maximum milliseconds between two attempts to take a lease that another run holds. */
const MAX_WAIT = 1_000;

/** RedisStore is the store of one node. Stores with the same key prefix and database share their state. */
export class RedisStore implements Store {
  readonly name = 'redis';
  readonly #calls: StoreCalls;
  readonly #reads: DocumentReads;
  readonly #watchers = new Watchers<[key: string | undefined]>();
  #run: RedisRun | undefined;
  /** The next run. It stays the same until lease() succeeds, because Redis may have done a failed attempt. */
  #next: RedisRun | undefined;
  /** A run that has ended on this node, and must still be ended in Redis. */
  #ended: RedisRun | undefined;
  #listening: RedisCommands | undefined;
  /** Whether the outcome of a failed write is unknown: Redis may have done it, or may still do it. */
  #isInDoubt = false;

  constructor(options: StoreCallsOptions) {
    this.#calls = new StoreCalls(options);
    this.#reads = new DocumentReads((keys) => this.#calls.read(keys));
  }

  async lease(node: string, ttl: number): Promise<Lease> {
    storeArguments.lease(node, ttl);
    this.#end();
    await this.#listen();
    if (this.#next?.node !== node) this.#next = new RedisRun(node, newId());
    const run = this.#next;
    let other: string | undefined;
    for (;;) {
      const sentAt = this.#calls.clock.now();
      const given = [run.incarnation, String(ttl)];
      const [status, ...values] = await this.#calls.free('lease', node, this.#ended?.incarnation ?? '', given);
      if (status === 'ok') {
        this.#next = this.#ended = undefined;
        this.#isInDoubt = false;
        this.#run = run;
        return extended(run, sentAt, ttl, values);
      }
      const [incarnation, ends, now] = values;
      const holder = `${incarnation} ${ends}`;
      // The other run has renewed its lease, so it has not crashed.
      if (holder !== (other ??= holder)) throw new ModuleError('NODE_ID_TAKEN', { node });
      await this.#calls.clock.wait(Math.min(Math.ceil(Number(ends) - Number(now)), MAX_WAIT));
    }
  }

  async renew(): Promise<Lease> {
    const run = this.#held();
    const { generation, ttl } = run;
    const sentAt = this.#calls.clock.now();
    const lease = extended(run, sentAt, ttl, await this.#calls.call(run, 'renew', [String(ttl)]));
    if (lease.generation !== generation) this.#watchers.notify(undefined);
    return lease;
  }

  async release(): Promise<void> {
    this.#end();
    const run = this.#ended;
    if (!run) return;
    await this.#calls.free('release', run.node, run.incarnation, [String(run.reap.received)]);
    if (this.#ended === run) this.#ended = undefined;
  }

  async reap(): Promise<readonly Reaped[]> {
    const run = this.#held();
    const number = ++run.reap.called;
    const values = await this.#calls.call(run, 'reap', [MAX_REAPED, number, run.reap.received].map(String));
    run.reap.received = number;
    return Array.from({ length: values.length / REAPED_VALUES }, (_, index) => reaped(values, index * REAPED_VALUES));
  }

  async held(
    { cursor = '0' }: { cursor?: string | undefined } = {},
  ): Promise<{ seats: SeatName[]; cursor: string | undefined }> {
    storeArguments.held(cursor);
    const [next, ...values] = await this.#calls.call(this.#held(), 'held', [cursorOf(cursor), String(MAX_HELD)]);
    const seats: SeatName[] = [];
    for (let at = 0; at < values.length; at += 3) {
      const [set, member, holder] = values.slice(at, at + 3).map(String);
      seats.push({ set: set!, member: member!, holder: holder! });
    }
    return { seats, cursor: next === '' ? undefined : String(next) };
  }

  async get(keys: readonly string[]): Promise<readonly (Versioned | undefined)[]> {
    storeArguments.names('keys', keys);
    const run = this.#held();
    const found = await this.#reads.get(keys);
    this.#calls.check(run);
    return found;
  }

  async put(...[key, value, options]: Parameters<Store['put']>): Promise<string> {
    storeArguments.put(key, value, options);
    const text = storeArguments.json(value);
    return this.#change('put', key, [text, options?.if ?? '', String(options?.ttl ?? '')], () => true);
  }

  async delete(...[key, options]: Parameters<Store['delete']>): Promise<boolean> {
    storeArguments.delete(key, options);
    let isDeleted = false;
    await this.#change('delete', key, [options?.if ?? ''], ([deleted]) => (isDeleted = deleted === 1));
    return isDeleted;
  }

  async touch(keys: readonly string[], ttl: number): Promise<void> {
    storeArguments.touch(keys, ttl);
    const run = this.#held();
    this.#reads.flush();
    await this.#calls.callForAll(run, 'touch', keys, [String(ttl)]);
  }

  watch(listener: (key: string | undefined) => void): () => void { return this.#watchers.add(listener); }

  async enter(set: string, member: string, options: EnterOptions = {}): Promise<{ first: boolean; size: number }> {
    storeArguments.enter(set, member, options);
    const { holder = '', max, ttl, replaces = '', value } = options;
    const text = value === undefined ? '' : storeArguments.json(value);
    const given = [set, member, holder, String(max ?? ''), String(ttl ?? ''), replaces, text];
    const [first, size] = await this.#calls.call(this.#held(), 'enter', given, {
      refused: () => new ModuleError('STORE_FULL', { set, limit: max! }),
      isReplicated: true,
    });
    return { first: first === 1, size: Number(size) };
  }

  async leave(...[set, member, options]: Parameters<Store['leave']>): Promise<{ last: boolean; size: number }> {
    storeArguments.leave(set, member, options);
    const given = [set, member, options?.holder ?? '', String(options?.keepFor ?? '')];
    const [last, size] = await this.#calls.call(this.#held(), 'leave', given);
    return { last: last === 1, size: Number(size) };
  }

  async members(
    ...[set, options]: Parameters<Store['members']>
  ): Promise<{ members: Member[]; cursor: string | undefined }> {
    storeArguments.members(set, options);
    const { cursor: after = '0', limit } = options;
    const given = [set, cursorOf(after), String(limit)];
    const [cursor, ...values] = await this.#calls.call(this.#held(), 'members', given);
    const members: Member[] = [];
    for (let at = 0; at < values.length; at += 2) {
      members.push({ id: String(values[at]), value: parse(values[at + 1]) });
    }
    return { members, cursor: cursor === '' ? undefined : String(cursor) };
  }

  async sizes(sets: readonly string[]): Promise<readonly number[]> {
    storeArguments.names('sets', sets);
    return await this.#calls.callForAll(this.#held(), 'sizes', sets) as readonly number[];
  }

  async take(...[key, rate, count]: Parameters<Store['take']>): Promise<{ granted: number; retryAfter: number }> {
    storeArguments.take(key, rate, count);
    const given = [key, String(rate.burst), String(rate.per), String(count)];
    const [granted, retryAfter] = await this.#calls.call(this.#held(), 'take', given);
    return { granted: Number(granted), retryAfter: Number(retryAfter) };
  }

  /** The run of this node. @throws LEASE_LOST */
  #held(): RedisRun {
    if (!this.#run) throw new ModuleError('LEASE_LOST', { node: undefined });
    this.#calls.check(this.#run);
    return this.#run;
  }

  /** Ends the present lease for this node. Redis is told later. */
  #end(): void {
    this.#run?.end();
    this.#ended ??= this.#run;
    this.#run = undefined;
  }

  /**
   * Writes or deletes a document. Returns the version of the change.
   * @param hasChanged whether the reply says that something has changed
   */
  async #change(
    action: string, key: string, given: readonly string[], hasChanged: (values: Values) => boolean,
  ): Promise<string> {
    const run = this.#held();
    const version = run.nextVersion();
    this.#reads.flush();
    try {
      const connections = this.#calls.connections(action);
      const about = [connections.isSharded ? 'SPUBLISH' : 'PUBLISH', channelOf(connections), version, key];
      await this.#calls.call(run, action, [...about, ...given], {
        done: (values) => { if (hasChanged(values)) this.#watchers.notify(key); },
        refused: () => new ModuleError('STORE_CONFLICT', { key }),
        isReplicated: true,
      });
    } catch (error) {
      if ((error as ModuleError).code === 'STORE_UNAVAILABLE') {
        this.#isInDoubt = true;
        this.#watchers.notify(key);
      }
      throw error;
    }
    return version;
  }

  /** Listens for the changes of other nodes. */
  async #listen(): Promise<void> {
    const connections = this.#calls.connections('lease');
    if (this.#listening !== connections) {
      this.#listening = connections;
      connections.onInterrupted(() => this.#watchers.notify(undefined));
    }
    const subscribed = connections.subscribe(channelOf(connections), (message) => this.#changed(message));
    await this.#calls.attempt('lease', subscribed);
  }

  #changed(message: Buffer): void {
    const text = message.toString();
    const space = text.indexOf(' ');
    const key = text.slice(space + 1);
    // put() and delete() notify the watchers of the changes of this node, unless their reply was lost.
    const isOwn = this.#run !== undefined && text.startsWith(`${this.#run.incarnation}.`);
    if (space > 0 && key !== '' && (!isOwn || this.#isInDoubt)) this.#watchers.notify(key);
  }
}

/** The channel of all changes of documents. */
const channelOf = ({ keyPrefix, database, isSharded }: RedisCommands): string =>
  `${isSharded ? hashTag(keyPrefix) : keyPrefix}${database}:d`;

/** @throws OPTION_INVALID */
function cursorOf(given: string): string {
  if (/^\d{1,20}$/.test(given)) return given;
  const expected = 'a cursor that the previous page returned';
  throw new ModuleError('OPTION_INVALID', { path: 'cursor', given: describe(given), expected });
}

const parse = (text: string | number | undefined): Json => JSON.parse(String(text)) as Json;

function extended(run: RedisRun, sentAt: number, ttl: number, [now, generation]: Values): Lease {
  run.extend(sentAt, ttl, Number(now), String(generation));
  return { incarnation: run.incarnation, now: Math.floor(Number(now)), generation: run.generation };
}

function reaped(values: Values, at: number): Reaped {
  const [node, set, member, holder, text, last] = values.slice(at, at + REAPED_VALUES).map(String);
  return { node: node!, set: set!, member: member!, holder: holder!, value: parse(text), last: last === '1' };
}
