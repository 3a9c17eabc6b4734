import { closeCodes } from '../../src/index.ts';

/** Why a socket is no longer in its namespace. */
export type DisconnectReason =
  | 'client namespace disconnect' | 'server namespace disconnect' | 'transport close' | 'ping timeout' | 'server shutting down';

/** What the end of its connection is to a socket. */
export function reasonOf({ code, reason }: { readonly code: number; readonly reason: string }): DisconnectReason {
  if (code === closeCodes.heartbeatMissed) return 'ping timeout';
  if (code === closeCodes.restarting) return 'server shutting down';
  // The one close of ours whose reason is that of the sockets.
  return code === closeCodes.kicked && reason === 'server namespace disconnect' ? reason : 'transport close';
}
