import type { Reaped } from '../../src/index.ts';

/** A seat that a run holds. */
export interface HeldSeat { readonly set: string; readonly member: string; readonly holder: string }

const keyOf = ({ set, member, holder }: HeldSeat): string => JSON.stringify([set, member, holder]);

/** One run of a node, from lease() until all its seats are released. */
export class StoreRun {
  readonly node: string;
  readonly incarnation: string;
  /** When the lease ends, by the clock of the store. */
  until: number;
  /** The generation of the data when the lease was taken or renewed. */
  generation: string;
  /** The seats that reap() returned to this run, until its next call confirms that they are handled. */
  handed: Reaped[] = [];
  readonly #seats = new Map<string, HeldSeat>();

  constructor(node: string, incarnation: string, until: number, generation: string) {
    this.node = node;
    this.incarnation = incarnation;
    this.until = until;
    this.generation = generation;
  }

  get seats(): Iterable<HeldSeat> { return this.#seats.values(); }

  isAlive(now: number): boolean { return now < this.until; }

  hold(seat: HeldSeat): void { this.#seats.set(keyOf(seat), seat); }

  release(seat: HeldSeat): void { this.#seats.delete(keyOf(seat)); }

  forget(): void {
    this.#seats.clear();
    this.handed = [];
  }

  /** Removes one of the seats that this run still holds, and returns it. */
  takeSeat(): HeldSeat | undefined {
    for (const [key, seat] of this.#seats) {
      this.#seats.delete(key);
      return seat;
    }
    return undefined;
  }
}
