/** What Settlement uses of its node. */
export interface SettlementHost {
  /** The generation of the store's data in which this node has entered all its seats. */
  entered(): string | undefined;
  /** The same of each other node; `undefined` for one that has not, or does not say. */
  others(): Iterable<string | undefined>;
}

/**
 * Settlement lets newcomers wait after the store has lost data: first, all nodes enter again what they hold. Otherwise
 * newcomers would take the seats of members that are still connected.
 */
export class Settlement {
  readonly #host: SettlementHost;
  readonly #limit: number;
  /** When newcomers are let in at the latest, by `performance.now()`. */
  #until = -Infinity;
  #waiting: { readonly promise: Promise<void>; readonly resolve: () => void } | undefined;

  /** @param limit milliseconds after which every node has entered its seats again, or has lost its lease */
  constructor(host: SettlementHost, limit: number) {
    this.#host = host;
    this.#limit = limit;
  }

  /** Called when this node learns that the store has lost data. */
  begin(): void { this.#until = performance.now() + this.#limit; }

  /** Called when something may have changed. */
  check(): void {
    if (this.#until === -Infinity || !this.#isOver()) return;
    this.#until = -Infinity;
    this.#waiting?.resolve();
    this.#waiting = undefined;
  }

  /** Resolves when newcomers may enter. Returns undefined if they may now. */
  settled(): Promise<void> | undefined {
    this.check();
    if (this.#until === -Infinity) return undefined;
    if (!this.#waiting) {
      let resolve = (): void => undefined;
      const promise = new Promise<void>((done) => { resolve = done; });
      this.#waiting = { promise, resolve };
    }
    return this.#waiting.promise;
  }

  #isOver(): boolean {
    if (performance.now() >= this.#until) return true;
    const own = this.#host.entered();
    return own !== undefined && [...this.#host.others()].every((other) => other === own);
  }
}
