/** Lines of one kind that are written per minute. */
const MAX_PER_MINUTE = 10;
const MINUTE = 60_000;
/** Further kinds are counted as one: applications may create codes from input, without bound. */
const MAX_KINDS = 200;
const OTHERS = 'others';

interface Kind { since: number; count: number }

/** What to add to a line that may be written. */
export interface Admission {
  /** Lines of this kind that were not written in the minute before. */
  readonly suppressed: number;
  /** Whether it is the last one of this kind for a minute. */
  readonly isLast: boolean;
}

/** Limits the log lines of each kind per minute, and counts the others, so that no client can fill the disk. */
export class RepeatLimiter {
  readonly #kinds = new Map<string, Kind>();

  /** Returns undefined if a line must not be written. @param now milliseconds of a monotonic clock */
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
