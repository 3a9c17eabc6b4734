import {
  actorKey, BoundedTable, check, definePlugin, isRecord, rules, type Connection, type Message, type Plugin,
} from '../src/index.ts';

export interface InitOptions {
  /** Sessions of disconnected clients that are kept, so that they can be resumed. @default 10_000 */
  readonly maxSessions?: number | undefined;
  /**
   * Of these, the sessions of one user, or of the anonymous clients of one address. Then their oldest one is dropped.
   * @default 100
   */
  readonly maxSessionsPerActor?: number | undefined;
  /** Milliseconds for which such a session is kept. @default 300_000 */
  readonly sessionTimeout?: number | undefined;
}

const INIT_RULES = {
  maxSessions: rules.integer(0, 10_000_000),
  maxSessionsPerActor: rules.integer(1, 10_000_000),
  sessionTimeout: rules.duration,
};

/** A session whose client has left. */
interface LeftSession { readonly userId: string | undefined; readonly leftAt: number }

/**
 * Answers `init` with the connection id, the session id, the server's time, and the types and features of the server.
 * A client that sends its session id after a reconnect resumes that session, if its user is the same; the older
 * connection is closed with 4011.
 *
 * @example manager.use(init({ sessionTimeout: 60_000 }))
 */
export function init(options: InitOptions = {}): Plugin<'init'> {
  const given = check<InitOptions>(options, INIT_RULES, 'init');
  const { maxSessions = 10_000, maxSessionsPerActor = 100, sessionTimeout = 300_000 } = given;
  return definePlugin({
    name: 'init',
    setup(context) {
      const { node } = context;
      const inUse = new Map<string, Connection>();
      const left = new BoundedTable<string, LeftSession>({
        max: Math.max(1, maxSessions),
        maxPerOwner: Math.max(1, Math.min(maxSessions, maxSessionsPerActor)),
        isExpired: ({ leftAt }) => performance.now() - leftAt > sessionTimeout,
      });
      /** Connections that asked for their session id. It is created when first read, at the cost of a message. */
      const welcomed = new WeakSet<Connection>();

      const release = (connection: Connection): boolean => {
        if (!welcomed.has(connection) || inUse.get(connection.sessionId) !== connection) return false;
        return inUse.delete(connection.sessionId);
      };

      const remember = (connection: Connection): void => {
        if (maxSessions === 0) return;
        const owner = actorKey(connection);
        const session = { userId: connection.user?.id, leftAt: performance.now() };
        if (left.set(connection.sessionId, session, owner) === undefined) return;
        // Only a session of the same actor is dropped to make room. Without one, this session is not kept.
        const [oldest] = left.keysOf(owner);
        if (oldest === undefined) return;
        left.delete(oldest);
        left.set(connection.sessionId, session, owner);
      };

      const resume = (connection: Connection, sessionId: string): boolean => {
        const older = inUse.get(sessionId);
        if (older === connection) return true;
        const session = left.get(sessionId);
        if (!older && !session) return false;
        if ((older ? older.user?.id : session?.userId) !== connection.user?.id) return false;
        release(connection);
        node.resume(connection, sessionId);
        left.delete(sessionId);
        inUse.set(sessionId, connection);
        older?.close(4011, 'replaced by a newer connection');
        return true;
      };

      context.registerHandler(context.named('init'), (message, connection) => {
        // The message may have waited. The session of a closed connection would stay in use forever.
        if (!connection.isOpen) return undefined;
        const asked = sessionIdIn(message);
        const resumed = typeof asked === 'string' && resume(connection, asked);
        welcomed.add(connection);
        const { id: connectionId, sessionId } = connection;
        inUse.set(sessionId, connection);
        const serverTime = new Date().toISOString();
        const [supportedTypes, features] = [node.types(), node.loaded()];
        const content = { connectionId, sessionId, resumed, serverTime, supportedTypes, features };
        return { type: 'init', sessionId, content };
      }, { yields: true, raw: true });

      context.on('connection:removed', (connection) => { if (release(connection)) remember(connection); });
    },
  });
}

/** The session id that a client sent: in the envelope, or in the content. */
function sessionIdIn({ sessionId, payload }: Message): unknown {
  return sessionId ?? (isRecord(payload) ? payload.sessionId : undefined);
}

init.init = init;
export { init as default, init as 'module.exports' };
