import type { Alert } from '../../src/index.ts';

/** One figure held against its threshold. It alerts when the figure reaches the threshold, and clears when it is well under it. */
export class Alarm {
  readonly name: string;
  readonly #threshold: number;
  readonly #clearsUnder: number;
  #standing: Alert | undefined;
  #raised = 0;

  /** @param hysteresis the share of the threshold by which the figure must be under it to clear */
  constructor(name: string, threshold: number, hysteresis: number) {
    this.name = name;
    this.#threshold = threshold;
    this.#clearsUnder = threshold * (1 - hysteresis);
  }

  /** The alert that stands, with the value of the last look. */
  get standing(): Alert | undefined {
    return this.#standing;
  }

  /** How often it alerted. */
  get raised(): number {
    return this.#raised;
  }

  /**
   * Looks at the figure; what changed is returned.
   * @param certain whether it rests on enough to alert. An alert that stands needs no such certainty: or one that hovers about it would flap
   */
  judge(value: number, certain: boolean): Alert | undefined {
    const before = this.#standing;
    const threshold = this.#threshold;
    if (!before) {
      if (!certain || value < threshold) return undefined;
      this.#raised++;
      return (this.#standing = { name: this.name, level: 'warning', value, threshold, since: Date.now() });
    }
    const cleared = value < this.#clearsUnder;
    this.#standing = cleared ? undefined : { ...before, value };
    return cleared ? { ...before, level: 'cleared', value } : undefined;
  }
}
