import {
  actorKey, BoundedTable, check, definePlugin, isRecord, rules, type Connection, type Message, type Plugin,
} from '../src/index.ts';
import { SharedSessions } from './init/shared-sessions.ts';

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
interface LeftSession {
  readonly userId: string | undefined;
  readonly connectionId: string;
  readonly leftAt: number;
}

/**
 * Answers `init` with the connection id, the session id, the server's time, and the types and features of the server.
 * A client that sends its session id after a reconnect resumes that session, if its user is the same; the older
 * connection is closed with 4011. If the nodes share a store, any node finds the session.
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

      const close = (older: Connection | undefined): void => older?.close(4011, 'replaced by a newer connection');
      const shared = context.store && new SharedSessions(context, context.store, sessionTimeout, (sessionId, id) => {
        left.delete(sessionId);
        const older = node.connections.get(id);
        // It may have another session now, or none yet.
        if (!older || !welcomed.has(older) || older.sessionId !== sessionId) return;
        // Yet another connection of this node may have the session already.
        if (inUse.get(sessionId) === older) inUse.delete(sessionId);
        close(older);
      });

      const release = (connection: Connection): boolean => {
        if (!welcomed.has(connection) || inUse.get(connection.sessionId) !== connection) return false;
        return inUse.delete(connection.sessionId);
      };

      /** Keeps the session of a client that has left. Returns whether there was room. */
      const remember = (connection: Connection): boolean => {
        if (maxSessions === 0) return false;
        const owner = actorKey(connection);
        const session = { userId: connection.user?.id, connectionId: connection.id, leftAt: performance.now() };
        if (left.set(connection.sessionId, session, owner) === undefined) return true;
        // Only a session of the same actor is dropped to make room. Without one, this session is not kept.
        const [oldest] = left.keysOf(owner);
        if (oldest === undefined) return false;
        const { connectionId } = left.get(oldest)!;
        left.delete(oldest);
        void shared?.forget(oldest, connectionId);
        return left.set(connection.sessionId, session, owner) === undefined;
      };

      const resume = (connection: Connection, sessionId: string): boolean => {
        const older = inUse.get(sessionId);
        if (older === connection) return true;
        const session = left.get(sessionId);
        if (!older && !session) return false;
        if ((older ? older.user?.id : session?.userId) !== connection.user?.id) return false;
        adopt(connection, sessionId);
        close(older);
        return true;
      };

      const adopt = (connection: Connection, sessionId: string): void => {
        const previous = welcomed.has(connection) ? connection.sessionId : undefined;
        if (release(connection) && previous !== undefined) void shared?.forget(previous, connection.id);
        node.resume(connection, sessionId);
        left.delete(sessionId);
        inUse.set(sessionId, connection);
      };

      /** Finds the session on any node. */
      const resumeShared = async (connection: Connection, asked: string, sessions: SharedSessions) => {
        const isOwn = inUse.get(asked) === connection;
        const outcome = isOwn ? 'resumed' : await sessions.resume(asked, connection);
        if (!connection.isOpen) return undefined;
        // Another connection has taken the session over already.
        if (outcome === 'resumed' && !sessions.isOf(asked, connection)) return close(connection);
        if (outcome === 'resumed' && !isOwn) adopt(connection, asked);
        if (outcome === 'resumed') return welcome(connection, true, true);
        return welcome(connection, outcome === 'away' && resume(connection, asked));
      };

      const welcome = (connection: Connection, resumed: boolean, isStored = false) => {
        const isNew = !isStored && (!welcomed.has(connection) || inUse.get(connection.sessionId) !== connection);
        welcomed.add(connection);
        const { id: connectionId, sessionId } = connection;
        inUse.set(sessionId, connection);
        if (isNew) shared?.put(connection);
        const serverTime = new Date().toISOString();
        const [supportedTypes, features] = [node.types(), node.loaded()];
        const content = { connectionId, sessionId, resumed, serverTime, supportedTypes, features };
        return { type: 'init', sessionId, content };
      };

      context.registerHandler(context.named('init'), (message, connection) => {
        // The message may have waited. The session of a closed connection would stay in use forever.
        if (!connection.isOpen) return undefined;
        const asked = sessionIdIn(message);
        if (typeof asked !== 'string') return welcome(connection, false);
        return shared ? resumeShared(connection, asked, shared) : welcome(connection, resume(connection, asked));
      }, { yields: true, raw: true });

      if (shared) {
        context.on('connection:identified', (connection) => {
          if (welcomed.has(connection) && inUse.get(connection.sessionId) === connection) shared.put(connection);
        });
      }
      context.on('connection:removed', (connection) => {
        if (!release(connection)) return undefined;
        const isKept = remember(connection);
        const { id, sessionId } = connection;
        return isKept ? shared?.leave(sessionId, connection) : shared?.forget(sessionId, id);
      });
    },
  });
}

/** The session id that a client sent: in the envelope, or in the content. */
function sessionIdIn({ sessionId, payload }: Message): unknown {
  return sessionId ?? (isRecord(payload) ? payload.sessionId : undefined);
}

init.init = init;
export { init as default, init as 'module.exports' };
