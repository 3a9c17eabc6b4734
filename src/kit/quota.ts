import { check, rules } from '../runtime/check.ts';
import type { TableFull } from './bounded-table.ts';

export interface QuotaOptions {
  /** Units in all. */
  readonly max: number;
  /** Units of one owner. @default max */
  readonly maxPerOwner?: number | undefined;
}

const COUNT = rules.integer(1, 2 ** 31 - 1);
const RULES = { max: COUNT, maxPerOwner: COUNT };

/**
 * Counts what clients hold in lists of any shape, such as memberships of rooms, with a bound in all and a bound for
 * each owner. It keeps one number for each owner that holds something. With `actorKey(connection)` as the owner, no
 * client can use up the quota alone. The key changes when the connection authenticates: keep the key that took.
 *
 * @example
 * const places = new Quota({ max: 1_000_000, maxPerOwner: 5_000 });
 * const full = places.take(owner);
 * if (full) throw new ModuleError('LIST_FULL', { limit: full.limit });
 */
export class Quota {
  readonly #held = new Map<string, number>();
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

  /** Units that are taken. */
  get size(): number { return this.#size; }

  /** Owners that hold something. */
  get owners(): number { return this.#held.size; }

  /** @returns `undefined` when the units are taken, else the bound that refused, and nothing is taken */
  take(owner: string, count = 1): TableFull | undefined {
    const held = this.#held.get(owner) ?? 0;
    if (held + count > this.#full.owner.limit) return this.#full.owner;
    if (this.#size + count > this.#full.all.limit) return this.#full.all;
    if (count > 0) this.#held.set(owner, held + count);
    this.#size += count;
    return undefined;
  }

  /** Gives units back that `take` took. */
  give(owner: string, count = 1): void {
    const held = this.#held.get(owner) ?? 0;
    const given = Math.min(count, held);
    this.#size -= given;
    if (held > given) this.#held.set(owner, held - given);
    else this.#held.delete(owner);
  }
}
