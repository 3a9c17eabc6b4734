import { createHash, timingSafeEqual } from 'node:crypto';
import type { IncomingHttpHeaders } from 'node:http';
import { ModuleError, plainAddress } from '../../src/index.ts';

/** What a guard reads of a request of Node, Express or Fastify. */
export interface EndpointRequest {
  readonly method?: string | undefined;
  readonly headers: IncomingHttpHeaders;
  readonly socket: { readonly remoteAddress?: string | undefined };
}

/** Returns an error for a request that is not allowed, and nothing for others. */
export type EndpointGuard = (request: EndpointRequest) => ModuleError | undefined;

/** Allows requests with the token. @param path the name of the option in errors @throws OPTION_INVALID */
export function tokenGuard(token: string, path: string): EndpointGuard {
  // RFC 6750 2.1. The error does not show the given value: it may be a misspelt secret.
  if (!/^[\w.~+/-]+=*$/.test(token)) {
    const expected = 'a string of letters, digits, "-", ".", "_", "~", "+" and "/", which may end in "="';
    throw new ModuleError('OPTION_INVALID', { path, given: 'not such a string', expected });
  }
  const expected = digest(token);
  return ({ headers }) => {
    const given = /^bearer +(.*)$/i.exec(headers.authorization ?? '')?.[1];
    if (given === undefined) return new ModuleError('AUTH_REQUIRED');
    // All digests have one length, so the time of the comparison reveals nothing, not even the length of the token.
    if (timingSafeEqual(digest(given), expected)) return undefined;
    return new ModuleError('TOKEN_INVALID', { reason: 'it is not the expected one' });
  };
}

/** Headers of proxies. */
const FORWARDED = ['forwarded', 'via', 'x-forwarded-for', 'x-forwarded-host', 'x-real-ip'];

/** Allows requests from this machine, unless a proxy sends them. */
export function localGuard({ headers, socket }: EndpointRequest): ModuleError | undefined {
  const address = plainAddress(socket.remoteAddress ?? '');
  const isLocal = address === '::1' || /^127\.\d+\.\d+\.\d+$/.test(address);
  const isForwarded = FORWARDED.some((name) => headers[name] !== undefined);
  if (isLocal && !isForwarded) return undefined;
  return new ModuleError('FORBIDDEN', { needs: 'a request from the machine itself' });
}

/** Allows all requests. */
export const openGuard: EndpointGuard = () => undefined;

const digest = (text: string): Buffer => createHash('sha256').update(text).digest();
