import type { Connection, PluginContext } from '../contracts.ts';

/**
 * Returns a function that tells how long a connection has been open, in milliseconds of the monotonic clock. A duration
 * computed from `connectedAt`, a date, is wrong after a change of the system time. Call it in `setup`, before other
 * listeners are added.
 *
 * @example
 * const ageOf = connectionAges(context);
 * context.on('connection:removed', (connection) => context.log.info('closed', { after: ageOf(connection) }));
 */
export function connectionAges(context: PluginContext): (connection: Connection) => number {
  const addedAt = new WeakMap<Connection, number>();
  // For connections that are open already, only the date is known.
  for (const connection of context.node.connections.values()) {
    addedAt.set(connection, performance.now() - Math.max(0, Date.now() - connection.connectedAt));
  }
  context.on('connection:added', (connection) => void addedAt.set(connection, performance.now()));
  return (connection) => performance.now() - (addedAt.get(connection) ?? performance.now());
}
