import { check, definePlugin, rules, type Connection, type Plugin } from '../src/index.ts';

export interface InitOptions {
  /** Sessions of clients that left that are remembered, so that they can be resumed. @default 10_000 */
  readonly maxSessions?: number;
  /** Milliseconds for which they are. @default 300_000 */
  readonly sessionTimeout?: number;
}

const RULES = { maxSessions: rules.integer(0, 10_000_000), sessionTimeout: rules.duration };

/** A session whose client is gone. */
interface Left { readonly userId: string | undefined; readonly leftAt: number }

/**
 * Welcomes a client that sends `init`: its connection id, its session id, the server's time, the types and features there
 * are. A session id sent back later, by the same user, resumes that session; the older connection is closed with 4011.
 *
 * @example manager.use(init({ sessionTimeout: 60_000 }))
 */
export function init(options: InitOptions = {}): Plugin<'init'> {
  const { maxSessions = 10_000, sessionTimeout = 300_000 } = check(options, RULES, 'init');
  return definePlugin({
    name: 'init',
    setup(context) {
      const { node } = context;
      const inUse = new Map<string, Connection>();
      /** The first ones to be left first: they are the first ones to be forgotten. */
      const left = new Map<string, Left>();
      /** Who has a session: nobody else's id is drawn, only to find that it is not known. */
      const welcomed = new WeakSet<Connection>();

      const release = (connection: Connection): boolean =>
        welcomed.has(connection) && inUse.get(connection.sessionId) === connection && inUse.delete(connection.sessionId);

      const resume = (connection: Connection, sessionId: string): boolean => {
        const older = inUse.get(sessionId);
        const session = left.get(sessionId);
        if (older === connection) return true;
        if (!older && (!session || performance.now() - session.leftAt > sessionTimeout)) return false;
        if ((older ? older.user?.id : session?.userId) !== connection.user?.id) return false;
        release(connection);
        node.resume(connection, sessionId);
        left.delete(sessionId);
        inUse.set(sessionId, connection);
        older?.close(4011, 'replaced by a newer connection');
        return true;
      };

      context.registerHandler('init', (message, connection) => {
        // It has waited for its turn, and nobody would give a session back that it got now.
        if (!connection.isOpen) return undefined;
        const asked: unknown = message.sessionId ?? (message.content as { sessionId?: unknown } | null)?.sessionId;
        const resumed = typeof asked === 'string' && resume(connection, asked);
        welcomed.add(connection);
        const { id: connectionId, sessionId } = connection;
        inUse.set(sessionId, connection);
        const content = { connectionId, sessionId, resumed, serverTime: new Date().toISOString(), supportedTypes: node.types(), features: node.loaded() };
        return { type: 'init', sessionId, content };
      }, { yields: true, raw: true });

      context.on('connection:removed', (connection) => {
        if (!release(connection)) return;
        left.set(connection.sessionId, { userId: connection.user?.id, leftAt: performance.now() });
        if (left.size > maxSessions) left.delete(left.keys().next().value!);
      });
    },
  });
}

init.init = init;
export { init as default, init as 'module.exports' };
