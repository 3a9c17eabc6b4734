import { setTimeout as delay } from 'node:timers/promises';
import { waits } from './waits.ts';

/**
 * Calls `holds` every 5 ms until it returns true. Rejects at the deadline, with the last result in the message.
 *
 * @example await eventually('the room to be empty', () => rooms.members('lobby').length === 0);
 */
export async function eventually(what: string, holds: () => unknown, deadline = waits.condition): Promise<void> {
  const end = performance.now() + deadline;
  for (;;) {
    const seen = await holds();
    if (seen === true) return;
    if (performance.now() > end) {
      throw new Error(`waited ${deadline} ms for ${what}; the last result was ${JSON.stringify(seen)}`);
    }
    await delay(5);
  }
}
