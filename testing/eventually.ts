import { setTimeout as delay } from 'node:timers/promises';

/**
 * Waits until `holds` returns true, and asks every 5 ms. Rejects at the deadline with what it returned last.
 *
 * @example await eventually('the room to be empty', () => rooms.members('lobby').length === 0);
 */
export async function eventually(what: string, holds: () => unknown, deadline = 5_000): Promise<void> {
  const end = performance.now() + deadline;
  for (;;) {
    const seen = await holds();
    if (seen === true) return;
    if (performance.now() > end) {
      throw new Error(`waited ${deadline} ms for ${what}; at last it was ${JSON.stringify(seen)}`);
    }
    await delay(5);
  }
}
