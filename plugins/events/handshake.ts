import type { IncomingMessage } from 'node:http';
import { isRecord, type Connection, type Metadata } from '../../src/index.ts';

/** What is known of how a socket came. */
export interface Handshake {
  /** What the client gave with `connect`; where it gave nothing, the parameters of the address and the token, wherever it stood. */
  readonly auth: Readonly<Record<string, any>>;
  /** `authorization`, `origin` and `user-agent`, and what the option `keepHeaders` names. */
  readonly headers: Readonly<Record<string, string | undefined>>;
  /** The client's address, by the trusted proxies. */
  readonly address: string;
  /** The parameters of the address. */
  readonly query: Readonly<Record<string, string>>;
  /** The path and the parameters that were asked for. */
  readonly url: string;
  /** Whether it came over TLS to this process. */
  readonly secure: boolean;
  /** Whether a page of another origin may be behind it: it sent an `Origin`. */
  readonly xdomain: boolean;
  /** When it came, as text and in milliseconds since the epoch. */
  readonly time: string;
  readonly issued: number;
}

type Kept = Pick<Handshake, 'auth' | 'headers' | 'query' | 'url' | 'secure' | 'xdomain'>;

/** Copied, because a request costs 4 KB for as long as its client stays. */
const HEADERS = ['authorization', 'origin', 'user-agent'];
const NOTHING: Kept = { auth: {}, headers: {}, query: {}, url: '', secure: false, xdomain: false };

/** Remembers of each upgrade what a handshake tells, for as long as there is its connection. */
export class Handshakes {
  // By the metadata, which a connection has from its request on. Not in it: it is logged, and tokens are not to be.
  readonly #kept = new WeakMap<Metadata, Kept>();

  keep(request: IncomingMessage, metadata: Metadata): void {
    const url = request.url ?? '';
    const query = Object.fromEntries(new URLSearchParams(/\?(.*)/s.exec(url)?.[1]));
    const headers = Object.fromEntries(HEADERS.flatMap((name) => (request.headers[name] === undefined ? [] : [[name, String(request.headers[name])]])));
    const token = query['token'] ?? /^bearer +(.+)$/i.exec(headers['authorization'] ?? '')?.[1] ?? bearerProtocol(request);
    this.#kept.set(metadata, {
      auth: token === undefined ? query : { ...query, token }, headers, query, url,
      secure: 'encrypted' in request.socket, xdomain: headers['origin'] !== undefined,
    });
  }

  /** @param credentials the content of the client's `connect`, if it sent one */
  of({ metadata, ip, connectedAt }: Connection, credentials?: unknown): Handshake {
    const kept = this.#kept.get(metadata) ?? NOTHING;
    const auth = isRecord(credentials) && Object.keys(credentials).length > 0 ? credentials : kept.auth;
    return { ...kept, auth, headers: { ...kept.headers, ...metadata.headers }, address: ip, time: new Date(connectedAt).toString(), issued: connectedAt };
  }
}

/** A browser cannot set headers; its token may ride beside the subprotocol as `bearer.<token>`. */
function bearerProtocol({ headers }: IncomingMessage): string | undefined {
  const asked = headers['sec-websocket-protocol']?.split(',').map((name) => name.trim());
  return asked?.find((name) => name.startsWith('bearer.'))?.slice('bearer.'.length);
}
