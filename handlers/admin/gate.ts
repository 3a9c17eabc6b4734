import { closeCodes, ModuleError, toError, type Connection, type PluginContext } from '../../src/index.ts';
import { addressKey, userKey, type BanStore } from './bans.ts';

/** What somebody who is banned is told. */
const banned = (): ModuleError => new ModuleError('BANNED', {}, { message: 'you are banned', status: 403, closeCode: closeCodes.banned });

/**
 * Turns away who is banned: an address before the handshake, a user as soon as it is known who that is. Who cannot be asked about,
 * because the store fails, does not come in either, and may try again.
 */
export function turnAway(context: PluginContext, bans: BanStore): void {
  const { node } = context;
  /** Who is being asked about; its messages wait for the answer. */
  const asking = new Map<Connection, Promise<boolean>>();

  const failed = (connection: Connection, error: unknown): void => {
    context.emit('error', toError(error), { phase: 'connection', plugin: context.name, connection });
    connection.close(1011, 'INTERNAL_ERROR');
  };
  const ask = async (connection: Connection, keys: readonly string[]): Promise<boolean> => {
    try {
      for (const key of keys) if (await bans.has(key)) return true;
    } catch (error) {
      failed(connection, error);
    }
    return false;
  };
  const judge = (connection: Connection, keys: readonly string[]): void => {
    const answer = ask(connection, keys).then((isBanned) => {
      if (isBanned) connection.close(closeCodes.banned, 'BANNED');
      // With a renewed token it is asked about anew.
      else if (asking.get(connection) === answer) asking.delete(connection);
      return isBanned;
    });
    asking.set(connection, answer);
  };

  context.use({
    type: 'upgrade',
    name: 'admin',
    async handler(_request, { ip }) {
      if (await bans.has(addressKey(ip))) throw banned();
    },
  });
  context.use({
    type: 'message',
    name: 'admin',
    handler(_message, connection, next) {
      const answer = asking.get(connection);
      if (!answer) return next();
      return answer.then((isBanned) => {
        if (isBanned || !connection.isOpen) throw banned();
        return next();
      });
    },
  });
  context.on('connection:identified', (connection) => judge(connection, [userKey(connection.user!.id)]));
  context.on('connection:removed', (connection) => void asking.delete(connection));
  for (const connection of node.connections.values()) judge(connection, [addressKey(connection.ip), ...(connection.user ? [userKey(connection.user.id)] : [])]);
}
