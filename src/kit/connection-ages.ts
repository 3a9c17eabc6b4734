import type { Connection, PluginContext } from '../contracts.ts';

/**
 * Tells how long each connection has been open, in milliseconds of the monotonic clock: `connectedAt` is a date, and a
 * change of the system time would make a duration of it wrong. Call it in `setup`, before other listeners are added.
 *
 * @example
 * const ageOf = connectionAges(context);
 * context.on('connection:removed', (connection) => context.log.info('gone', { after: ageOf(connection) }));
 */
export function connectionAges(context: PluginContext): (connection: Connection) => number {
  const addedAt = new WeakMap<Connection, number>();
  // Of those that were there before, only the date is known.
  for (const connection of context.node.connections.values()) {
    addedAt.set(connection, performance.now() - Math.max(0, Date.now() - connection.connectedAt));
  }
  context.on('connection:added', (connection) => void addedAt.set(connection, performance.now()));
  return (connection) => performance.now() - (addedAt.get(connection) ?? performance.now());
}
