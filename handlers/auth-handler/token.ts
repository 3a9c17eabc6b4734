import type { IncomingMessage } from 'node:http';
import type { Message } from '../../src/index.ts';

/** Where a request may carry a token beside `Authorization` and `Sec-WebSocket-Protocol`. */
export interface TokenSources {
  /** The cookie's name. */
  readonly cookie: string | false;
  /** Whether in the query, as `token`. */
  readonly query: boolean;
}

/**
 * The token a request carries: what it says on purpose (`Authorization: Bearer`, `bearer.<jwt>` among the subprotocols, the
 * query) before the cookie, which a browser sends unasked. Not verified; an empty one is none.
 */
export function tokenOf({ headers, url = '' }: Pick<IncomingMessage, 'headers' | 'url'>, { cookie, query }: TokenSources): string | undefined {
  return fromAuthorization(headers.authorization)
    || fromProtocols(headers['sec-websocket-protocol'])
    || (query && fromQuery(url))
    || (cookie !== false && fromCookie(headers.cookie, cookie))
    || undefined;
}

/** What an `auth` message gives as its token, beside the envelope's fields or within the content. Not verified, perhaps not even a string. */
export function tokenIn({ fields, content }: Pick<Message, 'fields' | 'content'>): unknown {
  return fields.token ?? (content as { token?: unknown } | null | undefined)?.token;
}

/** RFC 6750 2.1. Of another scheme, it is nothing of ours. */
export function fromAuthorization(header = ''): string | undefined {
  const space = header.indexOf(' ');
  return space > 0 && header.slice(0, space).toLowerCase() === 'bearer' ? header.slice(space).trim() : undefined;
}

export function fromProtocols(header = ''): string | undefined {
  const name = header.split(',').map((item) => item.trim()).find((item) => item.slice(0, 7).toLowerCase() === 'bearer.');
  return name?.slice(7);
}

// The name is compared as it was sent: what the logs redact is `token=`, so nothing else may be one.
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
    return text;
  }
}
