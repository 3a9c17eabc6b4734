import { closeCodes, ModuleError, type Connection, type PluginContext } from '../../src/index.ts';
import { addressKey, keysOf, type BanStore } from './ban-store.ts';

const banned = (): ModuleError => new ModuleError('BANNED', {}, { status: 403, closeCode: closeCodes.banned });

/**
 * Refuses banned clients: an address before the handshake and once more after it, a user as soon as the user is known.
 * If the store fails, clients are refused with a code after which they reconnect.
 */
export function refuseBanned(context: PluginContext, bans: BanStore): void {
  const { node } = context;
  /** The pending queries to the store, by connection. The messages of these connections wait for the answer. */
  const pending = new Map<Connection, Promise<boolean>>();

  const query = async (connection: Connection): Promise<boolean> => {
    try {
      for (const key of keysOf(connection)) if (await bans.has(key)) return true;
    } catch (error) {
      context.report(error, { phase: 'connection', connection });
      connection.close(1011, 'INTERNAL_ERROR');
    }
    return false;
  };
  const check = (connection: Connection): void => {
    const answer = query(connection).then((isBanned) => {
      if (isBanned) connection.close(closeCodes.banned, 'BANNED');
      // Not if a renewed token started a newer query.
      else if (pending.get(connection) === answer) pending.delete(connection);
      return isBanned;
    });
    pending.set(connection, answer);
  };

  context.use({
    type: 'upgrade',
    name: 'admin',
    async handler(_request, { ip }) {
      const key = addressKey(ip);
      if (key !== undefined && await bans.has(key)) throw banned();
    },
  });
  context.use({
    type: 'message',
    name: 'admin',
    handler(_message, connection, next) {
      const answer = pending.get(connection);
      if (!answer) return next();
      return answer.then((isBanned) => {
        if (isBanned || !connection.isOpen) throw banned();
        return next();
      });
    },
  });
  context.on('connection:identified', check);
  // The address may have been banned during the handshake. A connection with a user was checked when it was identified.
  context.on('connection:added', (connection) => { if (!connection.user) check(connection); });
  context.on('connection:removed', (connection) => void pending.delete(connection));
  for (const connection of node.connections.values()) check(connection);
}
