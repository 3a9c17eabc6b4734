import { closeCodes, ModuleError, toError, type Connection, type PluginContext } from '../../src/index.ts';
import { addressKey, keysOf, type BanStore } from './bans.ts';

/** What somebody who is banned is told. */
const banned = (): ModuleError => new ModuleError('BANNED', {}, { message: 'you are banned', status: 403, closeCode: closeCodes.banned });

/**
 * Turns away who is banned: an address before the handshake and once more after it, a user as soon as it is known who that is. Who cannot be asked about,
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
  const ask = async (connection: Connection): Promise<boolean> => {
    try {
      for (const key of keysOf(connection)) if (await bans.has(key)) return true;
    } catch (error) {
      failed(connection, error);
    }
    return false;
  };
  const judge = (connection: Connection): void => {
    const answer = ask(connection).then((isBanned) => {
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
      if (ip !== '' && await bans.has(addressKey(ip))) throw banned();
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
  context.on('connection:identified', judge);
  // Its address may have been banned in the middle of its handshake, when nobody could find it. Who has a user was judged with that.
  context.on('connection:added', (connection) => { if (!connection.user) judge(connection); });
  context.on('connection:removed', (connection) => void asking.delete(connection));
  for (const connection of node.connections.values()) judge(connection);
}
