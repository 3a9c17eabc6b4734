import { createHash, timingSafeEqual } from 'node:crypto';
import type { IncomingHttpHeaders } from 'node:http';
import { ModuleError, plainAddress } from '../../src/index.ts';

/** What a guard looks at: a request of Node, Express or Fastify. */
export interface Asking {
  readonly method?: string | undefined;
  readonly headers: IncomingHttpHeaders;
  readonly socket: { readonly remoteAddress?: string | undefined };
}

/** Why a request may not read, or nothing where it may. */
export type Guard = (request: Asking) => ModuleError | undefined;

/** Lets in who brings the token. @param path that of the option, for its error @throws OPTION_INVALID */
export function tokenGuard(token: string, path: string): Guard {
  // RFC 6750 2.1. What was given is not shown: it may be a secret with a slip in it.
  if (!/^[\w.~+/-]+=*$/.test(token)) {
    throw new ModuleError('OPTION_INVALID', { path, given: 'not such a string', expected: 'a string of letters, digits, "-", ".", "_", "~", "+" and "/", which may end in "="' });
  }
  const expected = digest(token);
  return ({ headers }) => {
    const given = /^bearer +(.*)$/i.exec(headers.authorization ?? '')?.[1];
    if (given === undefined) return new ModuleError('AUTH_REQUIRED');
    // Digests have one length, so that the time taken tells nothing, not even how long the token is.
    return timingSafeEqual(digest(given), expected) ? undefined : new ModuleError('TOKEN_INVALID', { reason: 'it is not the one expected' });
  };
}

/** Accepts requests that this machine sends for itself. */
export function localGuard({ headers, socket }: Asking): ModuleError | undefined {
  const address = plainAddress(socket.remoteAddress ?? '');
  const isLocal = address === '::1' || /^127\.\d+\.\d+\.\d+$/.test(address);
  // A proxy on this machine forwards requests of others.
  const isForwarded = ['forwarded', 'via', 'x-forwarded-for', 'x-forwarded-host', 'x-real-ip'].some((name) => headers[name] !== undefined);
  if (isLocal && !isForwarded) return undefined;
  return new ModuleError('FORBIDDEN', { needs: 'a request from the machine itself' });
}

/** Accepts every request. */
export const openGuard: Guard = () => undefined;

const digest = (text: string): Buffer => createHash('sha256').update(text).digest();
