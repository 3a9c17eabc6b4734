import type { IncomingMessage } from 'node:http';
import { isRecord, ModuleError, type Connection, type Metadata } from '../../src/index.ts';

/** How a socket's client connected. */
export interface Handshake {
  /** The payload of the client's `connect`; without one, the query parameters and the token of the upgrade request. */
  readonly auth: Readonly<Record<string, any>>;
  /** `authorization`, `origin`, `user-agent`, and the headers named in the option `keepHeaders`. */
  readonly headers: Readonly<Record<string, string | undefined>>;
  /** The client's address. Behind trusted proxies, the address that they report. */
  readonly address: string;
  /** The query parameters. */
  readonly query: Readonly<Record<string, string>>;
  /** The requested path with the query. */
  readonly url: string;
  /** Whether the connection uses TLS up to this process. */
  readonly secure: boolean;
  /** Whether the client sent an `Origin` header. Then it may be a page of another site. */
  readonly xdomain: boolean;
  /** When the client connected, as text and in milliseconds since the epoch. */
  readonly time: string;
  readonly issued: number;
}

type HandshakeData = Pick<Handshake, 'auth' | 'headers' | 'query' | 'url' | 'secure' | 'xdomain'>;

/** Only these are copied. Keeping the whole request would cost 4 KB per client. */
const HEADERS = ['authorization', 'origin', 'user-agent'];
const NOTHING: HandshakeData = { auth: {}, headers: {}, query: {}, url: '', secure: false, xdomain: false };

/** The maximum number of parameters of a URL. They are kept for each client, and 4,000 empty ones take 200 KB. */
const MAX_PARAMETERS = 100;

/** @throws HANDSHAKE_INVALID */
export function assertFewParameters({ url = '' }: Pick<IncomingMessage, 'url'>): void {
  if ((url.match(/&/g)?.length ?? 0) < MAX_PARAMETERS) return;
  throw new ModuleError('HANDSHAKE_INVALID', { reason: `the URL has more than ${MAX_PARAMETERS} parameters` });
}

/** Keeps the data of each upgrade request while its connection exists. */
export class Handshakes {
  // Keyed by the metadata, which exists before the connection. Not inside it: metadata is logged, tokens must not be.
  readonly #kept = new WeakMap<Metadata, HandshakeData>();

  keep(request: IncomingMessage, metadata: Metadata): void {
    const url = request.url ?? '';
    const query = Object.fromEntries(new URLSearchParams(/\?(.*)/s.exec(url)?.[1]));
    const present = HEADERS.filter((name) => request.headers[name] !== undefined);
    const headers = Object.fromEntries(present.map((name) => [name, String(request.headers[name])]));
    const bearer = /^bearer +(.+)$/i.exec(headers['authorization'] ?? '')?.[1];
    const token = query['token'] ?? bearer ?? bearerProtocol(request);
    this.#kept.set(metadata, {
      auth: token === undefined ? query : { ...query, token }, headers, query, url,
      secure: 'encrypted' in request.socket, xdomain: headers['origin'] !== undefined,
    });
  }

  /** @param credentials the payload of the client's `connect`, if there was one */
  of({ metadata, ip, connectedAt }: Connection, credentials?: unknown): Handshake {
    const kept = this.#kept.get(metadata) ?? NOTHING;
    const isGiven = isRecord(credentials) && Object.keys(credentials).length > 0;
    return {
      ...kept,
      auth: isGiven ? credentials : kept.auth,
      headers: { ...kept.headers, ...metadata.headers },
      address: ip,
      time: new Date(connectedAt).toString(),
      issued: connectedAt,
    };
  }
}

/** Browsers cannot set headers. They may send the token as the subprotocol `bearer.<token>`. */
function bearerProtocol({ headers }: IncomingMessage): string | undefined {
  const asked = headers['sec-websocket-protocol']?.split(',').map((name) => name.trim());
  return asked?.find((name) => name.startsWith('bearer.'))?.slice('bearer.'.length);
}
