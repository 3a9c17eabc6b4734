/**
 * Runs work for each item, `atOnce` items at a time. The next ones begin after all of these have finished.
 * @throws the first failure, after which no more work begins
 * @example await inTurns(rooms, 20, async (room) => save(room));
 */
export async function inTurns<T>(items: readonly T[], atOnce: number, work: (item: T) => Promise<void>): Promise<void> {
  for (let from = 0; from < items.length; from += atOnce) {
    await Promise.all(items.slice(from, from + atOnce).map(work));
  }
}
