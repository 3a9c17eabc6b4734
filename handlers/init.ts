import { definePlugin, type Connection, type Plugin } from '../src/index.ts';

export interface InitOptions {
  /** Sessions of clients that left that are remembered, so that they can be resumed. @default 10_000 */
  readonly maxSessions?: number;
  /** Milliseconds for which they are. @default 300_000 */
  readonly sessionTimeout?: number;
}

interface Session {
  readonly userId: string | undefined;
  /** Who has it, while it is in use. */
  connectionId: string | undefined;
  leftAt: number;
}

/**
 * Welcomes a client that sends `init`: its connection id, its session id, the server's time, the types and features there
 * are. A session id sent back later, by the same user, resumes that session; the older connection is closed with 4011.
 *
 * @example manager.use(init({ sessionTimeout: 60_000 }))
 */
export function init({ maxSessions = 10_000, sessionTimeout = 300_000 }: InitOptions = {}): Plugin<'init'> {
  return definePlugin({
    name: 'init',
    setup(context) {
      const { node } = context;
      // In the order in which they were left, once they are left: the first ones are the ones to forget.
      const sessions = new Map<string, Session>();
      /** Who has asked for one: nobody else's id is drawn, only to find that it is not known. */
      const welcomed = new WeakSet<Connection>();

      const resume = (connection: Connection, sessionId: string): boolean => {
        const session = sessions.get(sessionId);
        if (!session || session.userId !== connection.user?.id) return false;
        if (session.connectionId === undefined && performance.now() - session.leftAt > sessionTimeout) return false;
        const older = session.connectionId === undefined ? undefined : node.connections.get(session.connectionId);
        if (older && older !== connection) older.close(4011, 'replaced by a newer connection');
        node.resume(connection, sessionId);
        return true;
      };

      context.registerHandler('init', (message, connection) => {
        const asked: unknown = message.sessionId ?? (message.content as { sessionId?: unknown } | null)?.sessionId;
        const resumed = typeof asked === 'string' && resume(connection, asked);
        welcomed.add(connection);
        sessions.delete(connection.sessionId);
        sessions.set(connection.sessionId, { userId: connection.user?.id, connectionId: connection.id, leftAt: 0 });
        const { id: connectionId, sessionId } = connection;
        const content = { connectionId, sessionId, resumed, serverTime: new Date().toISOString(), supportedTypes: node.types(), features: node.loaded() };
        return { type: 'init', sessionId, content };
      }, { yields: true });

      context.on('connection:removed', (connection) => {
        if (!welcomed.has(connection)) return;
        const { id, sessionId, user } = connection;
        const session = sessions.get(sessionId);
        if (session?.connectionId !== id) return;
        sessions.delete(sessionId);
        sessions.set(sessionId, { userId: user?.id, connectionId: undefined, leftAt: performance.now() });
        if (sessions.size > maxSessions + node.connections.size) forget();
      });

      function forget(): void {
        for (const [sessionId, { connectionId }] of sessions) {
          if (sessions.size <= maxSessions + node.connections.size) return;
          if (connectionId === undefined) sessions.delete(sessionId);
        }
      }
    },
  });
}

init.init = init;
export { init as default, init as 'module.exports' };
