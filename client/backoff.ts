/** How the delays between attempts grow. */
export interface BackoffOptions {
  readonly initialDelay: number;
  readonly maxDelay: number;
  readonly backoffFactor: number;
  readonly jitter: number;
}

/**
 * The milliseconds to wait before an attempt, where `attempt` counts from 0. The limit grows from `initialDelay` to
 * `maxDelay`. With a `jitter` of 1 the delay is anything between 0 and the limit (full jitter), with 0.1 it is within
 * 10 % below the limit.
 */
export function backoff({ initialDelay, maxDelay, backoffFactor, jitter }: BackoffOptions, attempt: number): number {
  const limit = Math.min(maxDelay, initialDelay * backoffFactor ** attempt);
  return limit * (1 - jitter * Math.random());
}

/** The milliseconds in the reason of a close with a code from 4200 to 4299. */
export function retryIn(reason: string): number | undefined {
  const [, digits] = /^retry=(\d{1,9})$/.exec(reason) ?? [];
  return digits === undefined ? undefined : Number(digits);
}
