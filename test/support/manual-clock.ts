/** A clock of a store that moves only when it is told to. */
export class ManualClock {
  #now = 1_700_000_000_000;
  #waiting: { readonly until: number; readonly resolve: () => void }[] = [];

  now(): number { return this.#now; }

  wait(milliseconds: number): Promise<void> {
    return new Promise((resolve) => this.#waiting.push({ until: this.#now + milliseconds, resolve }));
  }

  advance(milliseconds: number): void {
    this.#now += milliseconds;
    const due = this.#waiting.filter(({ until }) => until <= this.#now);
    this.#waiting = this.#waiting.filter(({ until }) => until > this.#now);
    for (const { resolve } of due) resolve();
  }
}
