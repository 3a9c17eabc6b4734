import type { IncomingMessage } from 'node:http';
import { ModuleError } from '../errors.ts';

/** Whether a request offers to upgrade to WebSocket, perhaps among other protocols (RFC 9110 7.8). */
export const offersWebSocket = ({ headers }: IncomingMessage): boolean => hasToken(headers.upgrade, 'websocket');

/** Whether a request offers to upgrade to HTTP/2 without TLS, as `curl --http2` and Java's HttpClient do. */
export const offersHttp2 = ({ headers }: IncomingMessage): boolean => hasToken(headers.upgrade, 'h2c');

function hasToken(header: string | undefined, token: string): boolean {
  if (header === undefined) return false;
  // Nearly all headers are the token alone. Splitting all of them would cost 0.8 % of an accepted connection.
  if (header.length === token.length) return header.toLowerCase() === token;
  return header.split(',').some((item) => item.trim().toLowerCase() === token);
}

const KEY = /^[+/0-9A-Za-z]{22}==$/;
// RFC 7230 3.2.6
const TOKEN = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/;

/**
 * Checks that a request is a valid handshake (RFC 6455 4.2.1), before any layer sees it.
 * @throws HANDSHAKE_INVALID with status 400, or 426 if only the version is wrong
 */
export function assertHandshake(request: IncomingMessage): void {
  const reason = findFault(request);
  if (reason !== undefined) throw new ModuleError('HANDSHAKE_INVALID', { reason });
  const version = request.headers['sec-websocket-version'];
  // `ws` also supports version 8, a draft with the same frames.
  if (version !== '13' && version !== '8') {
    const status = version === undefined ? 400 : 426;
    throw new ModuleError('HANDSHAKE_INVALID', { reason: 'Sec-WebSocket-Version must be 13' }, { status });
  }
}

function findFault({ method, httpVersion, headers }: IncomingMessage): string | undefined {
  if (httpVersion !== '1.1') return 'HTTP/1.1 is required';
  if (method !== 'GET') return 'the method must be GET';
  if (headers.host === undefined) return 'the Host header is missing';
  if (headers['transfer-encoding'] !== undefined || (headers['content-length'] ?? '0') !== '0') return 'it has a body';
  if (headers.upgrade?.toLowerCase() !== 'websocket') return 'Upgrade must be "websocket"';
  if (!hasToken(headers.connection, 'upgrade')) return 'Connection must include "Upgrade"';
  if (!KEY.test(headers['sec-websocket-key'] ?? '')) return 'Sec-WebSocket-Key must be 16 bytes in base64';
  const protocols = headers['sec-websocket-protocol']?.split(',').map((name) => name.trim());
  if (protocols?.every((name) => TOKEN.test(name)) === false) return 'Sec-WebSocket-Protocol must be a list of tokens';
  const isTwice = protocols && new Set(protocols).size < protocols.length;
  return isTwice ? 'Sec-WebSocket-Protocol names a subprotocol twice' : undefined;
}
