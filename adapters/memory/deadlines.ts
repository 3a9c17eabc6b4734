/** Names, each with a deadline. Until the earliest deadline, expire() costs nothing. */
export class Deadlines {
  readonly #until = new Map<string, number>();
  /** The earliest deadline, or a time before it. */
  #next = Infinity;

  get size(): number { return this.#until.size; }

  has(name: string): boolean { return this.#until.has(name); }

  set(name: string, until: number): void {
    this.#until.set(name, until);
    this.#next = Math.min(this.#next, until);
  }

  delete(name: string): boolean { return this.#until.delete(name); }

  /** Removes the names whose deadline has passed, and returns them. */
  expire(now: number): string[] {
    if (now < this.#next) return [];
    const expired: string[] = [];
    this.#next = Infinity;
    for (const [name, until] of this.#until) {
      if (until <= now) {
        expired.push(name);
        this.#until.delete(name);
      } else this.#next = Math.min(this.#next, until);
    }
    return expired;
  }
}
