import * as http from 'node:http';
import type { Server } from 'node:http';
import type { Socket } from 'node:net';

/** Headers that Node keeps by default. Those beyond are lost, and the length of the body perhaps among them. */
const MAX_HEADERS = 1_000;
/** What an offer consists of, with RFC 7540 3.2.1's header. */
const OFFER = /^(?:upgrade|http2-settings)$/i;

type InFlight = http.ServerResponse | null | undefined;
type Parse = (this: Server, socket: Socket) => void;
/** Puts an HTTP parser on a socket. */
const { _connectionListener: parse } = http as unknown as { readonly _connectionListener: Parse };

/**
 * Gives a request back to the server's HTTP parser without its offer to upgrade, so that it is answered like any other
 * (RFC 9110 7.8: an offer may be ignored). For Node before 24.9 and 22.21: as soon as the server has a listener for
 * upgrades, it takes every request with an offer away from its parser.
 * @returns false where it cannot be done
 */
export function ignoreUpgrade(server: Server, request: http.IncomingMessage, socket: Socket, rest: Buffer): boolean {
  const { method = 'GET', url = '/', httpVersion, rawHeaders } = request;
  // 0 is no limit.
  if (rawHeaders.length >= 2 * ((server.maxHeadersCount ?? MAX_HEADERS) || Infinity)) return false;
  const lines = [`${method} ${url} HTTP/${httpVersion}`];
  for (let index = 0; index < rawHeaders.length; index += 2) {
    const [name, value] = [rawHeaders[index]!, rawHeaders[index + 1]!];
    // A folded value could become another header when it is written again.
    if (/[\r\n]/.test(value)) return false;
    if (OFFER.test(name)) continue;
    const kept = /^connection$/i.test(name) ? withoutOffer(value) : value;
    if (kept !== undefined) lines.push(`${name}: ${kept}`);
  }
  const bytes = Buffer.concat([Buffer.from(`${lines.join('\r\n')}\r\n\r\n`, 'latin1'), rest]);
  whenAnswered(socket, () => {
    socket.unshift(bytes);
    parse.call(server, socket);
  });
  return true;
}

/** The options of a `Connection` header but for the offer's; undefined where none is left. */
function withoutOffer(value: string): string | undefined {
  const kept = value.split(',').filter((option) => !OFFER.test(option.trim()));
  return kept.length > 0 ? kept.join(',') : undefined;
}

/** Runs when the answers to earlier requests of the socket are written: their order is all that tells them apart. */
function whenAnswered(socket: Socket & { readonly _httpMessage?: InFlight | undefined }, run: () => void): void {
  const inFlight = socket._httpMessage;
  if (inFlight) inFlight.once('finish', () => whenAnswered(socket, run));
  else if (!socket.destroyed) run();
}
