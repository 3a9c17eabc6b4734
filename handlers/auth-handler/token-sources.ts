import type { IncomingMessage } from 'node:http';
import { isRecord, type Message } from '../../src/index.ts';

/** Where a request may carry a token beside `Authorization` and `Sec-WebSocket-Protocol`. */
export interface TokenSources {
  /** The cookie's name, or `false`. */
  readonly cookie: string | false;
  /** Whether the query may carry it, as `token`. */
  readonly query: boolean;
}

/**
 * The token of a request. A token that was sent on purpose (`Authorization: Bearer`, `bearer.<jwt>` among the
 * subprotocols, the query) takes precedence over the cookie, which a browser sends by itself. Empty tokens are ignored;
 * the token is not verified.
 */
export function tokenOf(
  { headers, url = '' }: Pick<IncomingMessage, 'headers' | 'url'>, { cookie, query }: TokenSources,
): string | undefined {
  return fromAuthorization(headers.authorization)
    || fromProtocols(headers['sec-websocket-protocol'])
    || (query && fromQuery(url))
    || (cookie !== false && fromCookie(headers.cookie, cookie))
    || undefined;
}

/** The token of an `auth` message. It is not verified, and may be of any type. */
export function tokenIn({ payload }: Pick<Message, 'payload'>): unknown {
  return isRecord(payload) ? payload.token : undefined;
}

/** RFC 6750 2.1. Credentials of another scheme are ignored. */
export function fromAuthorization(header = ''): string | undefined {
  const space = header.indexOf(' ');
  return space > 0 && header.slice(0, space).toLowerCase() === 'bearer' ? header.slice(space).trim() : undefined;
}

export function fromProtocols(header = ''): string | undefined {
  const names = header.split(',').map((item) => item.trim());
  const name = names.find((item) => item.slice(0, 7).toLowerCase() === 'bearer.');
  return name?.slice(7);
}

// The name is compared as it was sent: the logs redact `token=`, so no other spelling may carry a token.
export function fromQuery(url: string): string | undefined {
  const [, query = ''] = /\?([^#]*)/.exec(url) ?? [];
  const pair = query.split('&').find((item) => item.startsWith('token='));
  return pair && decode(pair.slice('token='.length));
}

/** RFC 6265 5.4: of several cookies of one name, the first has the longest path. */
export function fromCookie(header = '', name: string): string | undefined {
  const pair = header.split(';').map((item) => item.trim()).find((item) => item.startsWith(`${name}=`));
  const value = pair?.slice(name.length + 1) ?? '';
  return decode(value.length > 1 && value.startsWith('"') && value.endsWith('"') ? value.slice(1, -1) : value);
}

function decode(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    // Not percent-encoded: the text is the value.
    return text;
  }
}
