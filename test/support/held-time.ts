import { useFakeTimers, type SinonFakeTimers } from 'sinon';
import { cleanup } from './cleanup.ts';

/**
 * Time that stands still until the test moves it: the date, the monotonic clock and the timers. Sockets work as always,
 * so what happens in time does not depend on how fast the machine is. Started again after the test.
 */
export function holdTime(): SinonFakeTimers {
  const time = useFakeTimers({ toFake: ['Date', 'performance', 'setTimeout', 'clearTimeout'], now: Date.now() });
  cleanup(() => time.restore());
  return time;
}

/** Lets time pass until the given date, in milliseconds since the epoch. */
export async function passUntil(time: SinonFakeTimers, date: number): Promise<void> {
  await time.tickAsync(Math.ceil(date - time.Date.now()));
}
