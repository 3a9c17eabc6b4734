/** Lines of one kind that are written in a minute. */
const MAX_PER_MINUTE = 10;
const MINUTE = 60_000;
/** Past this many kinds, further ones are one kind: applications may make codes up from input. */
const MAX_KINDS = 200;
const OTHERS = 'others';

interface Kind { since: number; count: number }

/** How an admitted line is marked. */
export interface Admission {
  /** Lines of this kind that were not written in the minute before. */
  readonly suppressed: number;
  /** Whether it is the last one of this kind for a minute. */
  readonly isLast: boolean;
}

/** Lets the first lines of each kind in a minute be written, and counts the others: one client must not fill a disk. */
export class RepeatLimiter {
  readonly #kinds = new Map<string, Kind>();

  /** Whether a line may be written. @param now milliseconds of a monotonic clock */
  admit(name: string, now: number): Admission | undefined {
    const key = this.#kinds.has(name) || this.#kinds.size < MAX_KINDS ? name : OTHERS;
    let kind = this.#kinds.get(key);
    if (!kind) this.#kinds.set(key, (kind = { since: now, count: 0 }));
    let suppressed = 0;
    if (now - kind.since >= MINUTE) {
      suppressed = Math.max(0, kind.count - MAX_PER_MINUTE);
      kind.since = now;
      kind.count = 0;
    }
    kind.count++;
    return kind.count > MAX_PER_MINUTE ? undefined : { suppressed, isLast: kind.count === MAX_PER_MINUTE };
  }
}
