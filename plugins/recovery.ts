import { definePlugin, type Connection, type Connections, type Plugin } from '../src/index.ts';
import { announce } from './recovery/announcement.ts';
import { RecoverHandler } from './recovery/recover-handler.ts';
import './recovery/recovery-errors.ts';
import { resolveOptions, type RecoveryOptions } from './recovery/recovery-options.ts';
import { Repetitions } from './recovery/repetitions.ts';
import type { SessionData } from './recovery/session.ts';
import { Sessions } from './recovery/sessions.ts';

export type { RecoveryOptions } from './recovery/recovery-options.ts';
export type { SessionData } from './recovery/session.ts';

export interface RecoveryApi {
  /** The data of the session of a connection; `undefined` for a client that did not send `recover`. */
  session(connection: Connection): SessionData | undefined;
}

declare module '../src/index.ts' {
  interface PluginApis { recovery: RecoveryApi }
  interface Hooks {
    /** A connection has resumed a session, and its answer was sent. */
    'recovery:resumed': (event: { readonly connection: Connection }) => unknown;
  }
}

/**
 * Restores the rooms and subscriptions of clients that reconnect, and sends them exactly the messages that they missed.
 * If a client sends a message again, it gets the answer that was recorded the first time. Requires `history`.
 *
 * @throws OPTION_INVALID, OPTION_UNKNOWN
 * @example manager.use([history({ topics: { news: {} } }), recovery({ sessionTtl: 60_000 })])
 */
export function recovery(options: RecoveryOptions = {}): Plugin<'recovery', 'history', RecoveryApi> {
  const settings = resolveOptions(options);

  return definePlugin({
    name: 'recovery',
    requires: ['history'],
    events: ['recovery:resumed'],
    setup(context, { history }): RecoveryApi {
      const { node } = context;
      const sessions = new Sessions(context, history, settings);
      const handler = new RecoverHandler(context, history, sessions, settings);
      const type = context.named('recover');
      const changing = context.store ? ['join-room', 'subscribe', 'unsubscribe'].map((one) => context.named(one)) : [];
      const types = { recover: type, changing: new Set(changing) };
      const repetitions = new Repetitions(sessions, history, settings, types);

      context.registerHandler(type, (message, connection) => handler.handle(message, connection), {
        yields: true, raw: true,
      });
      context.use({
        type: 'message',
        name: 'recovery',
        handler: (message, connection, next) => announce(message, repetitions.handle(message, connection, next)),
      });
      let unwatch: (() => void) | undefined;
      context.on('rooms:loaded', (rooms) => {
        handler.rooms = rooms;
        unwatch?.();
        unwatch = (node.connections as Connections).watch!({
          joined(roomId, _, connection) {
            const room = rooms.get(roomId);
            const session = sessions.of(connection);
            if (room && session) sessions.entered(session, roomId, Number(room.createdAt));
          },
          left(roomId, _, connection) {
            // A connection that was closed keeps its rooms.
            const session = node.connections.has(connection.id) ? sessions.of(connection) : undefined;
            if (session) sessions.exited(session, roomId);
          },
        });
      });
      context.emit('rooms:wanted');
      context.onUnload(() => unwatch?.());
      context.metrics(() => {
        const { owned, left, answers } = sessions.size;
        const { resumed, recovered, failed } = handler.counts;
        return {
          recovery_sessions: { type: 'gauge', help: 'Number of sessions of connected clients.', value: owned },
          recovery_sessions_away: { type: 'gauge', help: 'Number of sessions of disconnected clients.', value: left },
          recovery_answers_length: { type: 'gauge', help: 'Characters of the remembered answers.', value: answers },
          recovery_resumed_total: { type: 'counter', help: 'Number of resumed sessions.', value: resumed },
          recovery_topics_total: {
            type: 'counter', help: 'Number of topics that were recovered without a loss.', value: recovered,
          },
          recovery_failures_total: {
            type: 'counter', help: 'Number of topics that were not recovered.', value: failed,
          },
          recovery_repeats_total: {
            type: 'counter', help: 'Number of repeated messages that got their first answer.',
            value: repetitions.recognized,
          },
        };
      });
      return {
        session(connection) {
          const session = sessions.of(connection);
          return session && sessions.dataOf(session);
        },
      };
    },
  });
}

recovery.recovery = recovery;
export { recovery as default, recovery as 'module.exports' };
