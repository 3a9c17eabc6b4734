import { setTimeout as delay } from 'node:timers/promises';

/** The clock of a memory store. Tests use their own. */
export interface StoreClock {
  /** Milliseconds since the epoch. Never goes back. */
  now(): number;
  wait(milliseconds: number): Promise<unknown>;
}

export const SYSTEM_CLOCK: StoreClock = {
  now: () => performance.timeOrigin + performance.now(),
  wait: (milliseconds) => delay(milliseconds),
};
