/** A metric reached its threshold, or cleared. */
export interface Alert {
  /** The metric. */
  readonly name: string;
  readonly level: 'warning' | 'cleared';
  readonly value: number;
  readonly threshold: number;
  /** When the metric reached its threshold, in milliseconds since the epoch. */
  readonly since: number;
}

/** Compares a metric with its threshold. Alerts when the metric reaches it; clears when it falls well below it. */
export class Alarm {
  readonly name: string;
  readonly #threshold: number;
  readonly #clearsUnder: number;
  #active: Alert | undefined;
  #raised = 0;

  /** @param hysteresis how far below the threshold the metric must fall to clear, as a share of it */
  constructor(name: string, threshold: number, hysteresis: number) {
    this.name = name;
    this.#threshold = threshold;
    this.#clearsUnder = threshold * (1 - hysteresis);
  }

  /** The alert, from the warning until it clears, with the value of the last sample. */
  get active(): Alert | undefined { return this.#active; }

  /** How often it alerted. */
  get raised(): number { return this.#raised; }

  /**
   * Takes a sample. Returns an alert if the level changed.
   * @param certain whether there is enough data to alert. Clearing does not need it; otherwise alerts
   * would flap when the number of messages is near the minimum
   */
  judge(value: number, certain: boolean): Alert | undefined {
    const before = this.#active;
    const threshold = this.#threshold;
    if (!before) {
      if (!certain || value < threshold) return undefined;
      this.#raised++;
      return (this.#active = { name: this.name, level: 'warning', value, threshold, since: Date.now() });
    }
    const cleared = value < this.#clearsUnder;
    this.#active = cleared ? undefined : { ...before, value };
    return cleared ? { ...before, level: 'cleared', value } : undefined;
  }
}
