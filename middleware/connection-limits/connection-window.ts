import { ModuleError, RateMeter, RateTable, type LocalShare, type SharedStore } from '../../src/index.ts';

export type LimitScope = 'address' | 'user';

/** The store that all nodes share, and the fallback while it cannot be used. */
export interface Sharing { readonly store: SharedStore; readonly share: LocalShare }

export const tooMany = (scope: LimitScope, limit: number): ModuleError =>
  new ModuleError('TOO_MANY_CONNECTIONS', { scope, limit });

/** How many connections each address, or each user, may still open. */
export class ConnectionWindow {
  readonly #scope: LimitScope;
  readonly #max: number;
  readonly #milliseconds: number;
  readonly #table: RateTable | undefined;

  constructor(scope: LimitScope, max: number, milliseconds: number, maxTracked: number) {
    this.#scope = scope;
    this.#max = max;
    this.#milliseconds = milliseconds;
    if (max !== Infinity) this.#table = new RateTable(new RateMeter({ count: max, per: milliseconds }), maxTracked);
  }

  /** How many are tracked on this node. */
  get size(): number { return this.#table?.size ?? 0; }

  /** Takes one on this node. @throws TOO_MANY_CONNECTIONS */
  take(key: string, cost = 1): void {
    if (this.#table && this.#table.take(key, performance.now(), cost) > 0) throw tooMany(this.#scope, this.#max);
  }

  /** Takes one on all nodes. While the store cannot be used, takes one of the share of this node. */
  async takeShared(key: string, { store, share }: Sharing): Promise<void> {
    if (!this.#table) return;
    const granted = share.isNeeded ? undefined : await this.#takeOf(store, share, key);
    if (granted === 0) throw tooMany(this.#scope, this.#max);
    // With the cost multiplied by the number of nodes, the rate of this node is its share.
    if (granted === undefined) this.take(key, share.nodes);
  }

  /** Returns undefined if the store cannot be used. */
  async #takeOf(store: SharedStore, share: LocalShare, key: string): Promise<number | undefined> {
    try {
      const rate = { burst: this.#max, per: this.#milliseconds };
      const { granted } = await store.take(`window:${this.#scope}:${key.toWellFormed()}`, rate, 1);
      share.succeeded();
      return granted;
    } catch (error) {
      share.failed(error);
      return undefined;
    }
  }
}
