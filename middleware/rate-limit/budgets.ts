import { BoundedTable, customerKey, type Connection } from '../../src/index.ts';
import type { Limit, RateLimitScope } from './limit.ts';
import type { TokenReserve, SharedTokens } from './shared-tokens.ts';

/** Why a message is rejected: milliseconds to wait, and the scope and limit that are used up. */
export interface Shortage { readonly retryAfter: number; readonly scope: string }

/** The numbers of one connection, user or address: one for every limit. */
type States = number[];

/** `retryAfter` in milliseconds for a new actor while the table is full of others. */
const RETRY_WHEN_FULL = 1_000;

/** Milliseconds for which full buckets are kept, so that an occasional message need not create new ones. */
const IDLE = 10_000;

const costOf = (unit: Limit['unit'], bytes: number): number => (unit === 'bytes' ? bytes : 1);

/**
 * What connections, users and addresses may still send. A message takes a token of each limit in each scope, or none at
 * all. Under `user`, an anonymous client counts by its connection, and so does a client without a known address under
 * `ip`. Users and addresses are limited on this node, and on all nodes together if these share tokens.
 */
export class Budgets {
  readonly #scopes: readonly RateLimitScope[];
  readonly #size: number;
  readonly #connections = new WeakMap<Connection, { readonly states: States; readonly addressKey: string }>();
  readonly #users: BoundedTable<string, States>;
  readonly #addresses: BoundedTable<string, States>;
  // Filled and read within one call, so that a message needs no list of its own.
  readonly #found: (States | undefined)[] = [];
  readonly #foundReserves: (readonly TokenReserve[] | undefined)[] = [];
  readonly #shared: SharedTokens | undefined;
  #taken = 0;

  /**
   * @param size number of limits
   * @param maxTracked users, and addresses, that are tracked; further ones are rejected
   * @param shared if all nodes count users and addresses together
   */
  constructor(scopes: readonly RateLimitScope[], size: number, maxTracked: number, shared?: SharedTokens) {
    this.#scopes = scopes;
    this.#size = size;
    this.#shared = shared;
    const table = (): BoundedTable<string, States> => new BoundedTable({
      max: maxTracked,
      isExpired: (states) => isFull(states, performance.now() - IDLE),
      isDisposable: (states) => isFull(states, performance.now()),
    });
    this.#users = table();
    this.#addresses = table();
  }

  /** Number of users and addresses that are tracked. */
  get tracked(): number { return this.#users.size + this.#addresses.size; }

  /** Takes the cost of a message in all scopes, or in none. Returns what is missing in the latter case. */
  take(connection: Connection, limits: readonly Limit[], bytes: number, now: number): Shortage | undefined {
    // Every eighth message checks one actor of each table, and drops it if it is idle.
    if (++this.#taken % 8 === 0) {
      this.#users.sweep(1);
      this.#addresses.sweep(1);
    }
    const found = this.#find(connection);
    let retryAfter = 0;
    let scope = '';
    for (let index = 0; index < found.length; index++) {
      const states = found[index];
      if (!states && retryAfter < RETRY_WHEN_FULL) [retryAfter, scope] = [RETRY_WHEN_FULL, this.#scopes[index]!];
      if (!states) continue;
      const reserves = this.#shared && this.#foundReserves[index];
      for (const { meter, slot, unit, label } of limits) {
        const reserve = reserves?.[slot];
        const cost = costOf(unit, bytes);
        let wait = meter.wait(states[slot]!, now, reserve ? cost * this.#shared!.factor(reserve, now) : cost);
        if (reserve) wait = Math.max(wait, this.#shared!.wait(reserve, now));
        if (wait > retryAfter) [retryAfter, scope] = [wait, this.#scopes[index]! + label];
      }
    }
    if (retryAfter > 0) return { retryAfter, scope };
    for (let index = 0; index < found.length; index++) {
      const states = found[index]!;
      // Two scopes may share the same states, which are charged once.
      if (found.indexOf(states) < index) continue;
      const reserves = this.#shared && this.#foundReserves[index];
      for (const { meter, slot, unit } of limits) {
        const reserve = reserves?.[slot];
        const cost = costOf(unit, bytes);
        states[slot] = meter.charge(states[slot]!, now, reserve ? cost * this.#shared!.factor(reserve, now) : cost);
        if (reserve) this.#shared!.charge(reserve, cost, now);
      }
    }
    return undefined;
  }

  /** Gives back what a message took. */
  giveBack(connection: Connection, limits: readonly Limit[], bytes: number): void {
    const found = this.#find(connection);
    const now = this.#shared ? performance.now() : 0;
    for (let index = 0; index < found.length; index++) {
      const states = found[index];
      if (!states || found.indexOf(states) < index) continue;
      const reserves = this.#shared && this.#foundReserves[index];
      for (const { meter, slot, unit } of limits) {
        const reserve = reserves?.[slot];
        const cost = costOf(unit, bytes);
        states[slot] = meter.refund(states[slot]!, reserve ? cost * this.#shared!.factor(reserve, now) : cost);
        if (reserve) this.#shared!.refund(reserve, cost, now);
      }
    }
  }

  /** For each scope, the states of the connection. `undefined`: the table is full of others. */
  #find(connection: Connection): readonly (States | undefined)[] {
    let own = this.#connections.get(connection);
    if (!own) {
      const { ip } = connection;
      own = { states: this.#newStates(), addressKey: ip === '' ? '' : customerKey(ip) };
      this.#connections.set(connection, own);
    }
    const { user } = connection;
    for (let index = 0; index < this.#scopes.length; index++) {
      const scope = this.#scopes[index]!;
      let states: States | undefined = own.states;
      if (scope === 'user' && user) states = this.#tracked(this.#users, user.id);
      else if (scope === 'ip' && own.addressKey !== '') states = this.#tracked(this.#addresses, own.addressKey);
      this.#found[index] = states;
      if (!this.#shared) continue;
      const isOfConnection = !states || states === own.states;
      const id = scope === 'user' ? user?.id : own.addressKey;
      this.#foundReserves[index] = isOfConnection ? undefined : this.#shared.reservesOf(states!, scope, id!);
    }
    return this.#found;
  }

  #tracked(table: BoundedTable<string, States>, key: string): States | undefined {
    const present = table.peek(key);
    if (present) return present;
    const states = this.#newStates();
    return table.set(key, states) ? undefined : states;
  }

  #newStates(): States { return Array<number>(this.#size).fill(0); }
}

function isFull(states: States, now: number): boolean {
  for (const fullAt of states) if (fullAt > now) return false;
  return true;
}
