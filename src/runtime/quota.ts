import { check, rules } from './check.ts';

/** The limit that refused an entry. */
export interface TableFull { readonly of: 'owner' | 'all'; readonly limit: number }

export interface QuotaOptions {
  /** Maximum number of units. */
  readonly max: number;
  /** Maximum number of units of one owner. @default max */
  readonly maxPerOwner?: number | undefined;
}

const COUNT = rules.integer(1, 2 ** 31 - 1);
const RULES = { max: COUNT, maxPerOwner: COUNT };

/**
 * Counts units that clients take, such as memberships of rooms, with a limit for all and a limit per owner. It keeps
 * one number per owner. With `actorKey(connection)` as the owner, no client can use up the quota alone. That key
 * changes when the connection authenticates: call `give` with the same key as `take`.
 *
 * @example
 * const places = new Quota({ max: 1_000_000, maxPerOwner: 5_000 });
 * const full = places.take(owner);
 * if (full) throw new ModuleError('LIST_FULL', { limit: full.limit });
 */
export class Quota {
  readonly #taken = new Map<string, number>();
  readonly #full: Readonly<Record<TableFull['of'], TableFull>>;
  #size = 0;

  /** @throws OPTION_INVALID */
  constructor(options: QuotaOptions) {
    const { max, maxPerOwner = max } = check<QuotaOptions>(options, RULES, 'quota');
    this.#full = {
      owner: Object.freeze({ of: 'owner', limit: maxPerOwner }),
      all: Object.freeze({ of: 'all', limit: max }),
    };
  }

  /** The number of units that are taken. */
  get size(): number { return this.#size; }

  /** The number of owners that have taken units. */
  get owners(): number { return this.#taken.size; }

  /** @returns `undefined` if the units were taken, else the limit that was reached; then nothing was taken */
  take(owner: string, count = 1): TableFull | undefined {
    const taken = this.#taken.get(owner) ?? 0;
    if (taken + count > this.#full.owner.limit) return this.#full.owner;
    if (this.#size + count > this.#full.all.limit) return this.#full.all;
    if (count > 0) this.#taken.set(owner, taken + count);
    this.#size += count;
    return undefined;
  }

  /** Gives units back that `take` took. */
  give(owner: string, count = 1): void {
    const taken = this.#taken.get(owner) ?? 0;
    const given = Math.min(count, taken);
    this.#size -= given;
    if (taken > given) this.#taken.set(owner, taken - given);
    else this.#taken.delete(owner);
  }
}
