import type { Link } from './link.ts';
import type { Phase } from './phases.ts';
import type { Transport } from './transport-choice.ts';

export type ConnectionStatus = 'disconnected' | 'connecting' | 'connected' | 'reconnecting' | 'error';

/** The state of the connection, for a page to show. */
export interface ConnectionState {
  readonly status: ConnectionStatus;
  readonly phase: Phase;
  /** How the client is connected, while it is. */
  readonly transport?: Transport | undefined;
  readonly lastConnected?: Date | undefined;
  readonly lastDisconnected?: Date | undefined;
  /** Attempts since the last connection. */
  readonly reconnectAttempts: number;
  /** When the next attempt starts, while the client waits for it. */
  readonly nextAttempt?: Date | undefined;
  readonly error?: string | undefined;
}

const STATUS: Readonly<Record<Exclude<Phase, 'connecting' | 'authenticating'>, ConnectionStatus>> = {
  disconnected: 'disconnected', connected: 'connected', probing: 'connected', waiting: 'reconnecting',
  offline: 'disconnected', failed: 'error',
};

/** When the client was last connected, and last lost its connection. Without a field that has not happened. */
export type ConnectionTimes = Pick<ConnectionState, 'lastConnected' | 'lastDisconnected'>;

export function connectionState(
  { phase, isUp, transport, attempts, nextAttempt, error }:
  Pick<Link, 'phase' | 'isUp' | 'transport' | 'attempts' | 'nextAttempt' | 'error'>,
  times: ConnectionTimes,
): ConnectionState {
  const isOpening = phase === 'connecting' || phase === 'authenticating';
  return {
    status: isOpening ? (times.lastConnected ?? attempts > 0 ? 'reconnecting' : 'connecting') : STATUS[phase],
    phase,
    ...isUp && { transport },
    ...times,
    reconnectAttempts: attempts,
    ...nextAttempt !== undefined && { nextAttempt: new Date(nextAttempt) },
    ...error && { error: error.message },
  };
}
