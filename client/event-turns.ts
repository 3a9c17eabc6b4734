/** Events that are not delivered yet: listeners run when the state machine is at rest. */
export class EventTurns {
  readonly #pending: (() => void)[] = [];

  /** Runs the work at rest: at the end of this turn at the latest. */
  add(work: () => void): void {
    if (this.#pending.push(work) === 1) queueMicrotask(() => this.run());
  }

  run(): void {
    for (let next = this.#pending.shift(); next; next = this.#pending.shift()) next();
  }
}
