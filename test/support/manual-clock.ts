/** A clock of a store that moves only when it is told to. */
export class ManualClock {
  #now = 1_700_000_000_000;
  #waited: (() => void)[] = [];
  #waiting: { readonly until: number; readonly resolve: () => void }[] = [];

  now(): number { return this.#now; }

  wait(milliseconds: number): Promise<void> {
    return new Promise((resolve) => {
      this.#waiting.push({ until: this.#now + milliseconds, resolve });
      for (const waited of this.#waited.splice(0)) waited();
    });
  }

  /** Resolves when something waits for the time to pass. */
  async whenWaiting(): Promise<void> {
    if (this.#waiting.length === 0) await new Promise<void>((resolve) => { this.#waited.push(resolve); });
  }

  advance(milliseconds: number): void {
    this.#now += milliseconds;
    const due = this.#waiting.filter(({ until }) => until <= this.#now);
    this.#waiting = this.#waiting.filter(({ until }) => until > this.#now);
    for (const { resolve } of due) resolve();
  }
}
