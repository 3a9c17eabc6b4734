import { toError } from '../../src/index.ts';
import { replyCode } from './redis-connection.ts';
import { refusalOf } from './redis-errors.ts';

/**
 * Replies of a server in a cluster that did not run a command, because it does not have the slot of the key, or cannot
 * serve the slot at present.
 */
const CODES = new Set(['MOVED', 'ASK', 'TRYAGAIN', 'CLUSTERDOWN']);

export const isMisroutedReply = (code: string): boolean => CODES.has(code);

/** Whether a server of a cluster did not run a command, so that it may be sent again. */
export function isMisrouted(error: unknown): boolean {
  const refusal = refusalOf(error);
  const code = replyCode(refusal === undefined ? toError(error) : new Error(refusal));
  return code !== undefined && isMisroutedReply(code);
}
