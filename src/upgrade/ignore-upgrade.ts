import * as http from 'node:http';
import type { Server } from 'node:http';
import type { Socket } from 'node:net';

/** Headers that Node keeps by default. Further ones are lost, perhaps the length of the body among them. */
const MAX_HEADERS = 1_000;
/** The headers that offer an upgrade, including that of RFC 7540 3.2.1. */
const OFFER = /^(?:upgrade|http2-settings)$/i;

type InFlight = http.ServerResponse | null | undefined;
type Parse = (this: Server, socket: Socket) => void;
/** Attaches an HTTP parser to a socket. */
const { _connectionListener: parse } = http as unknown as { readonly _connectionListener: Parse };

/**
 * Gives a request without its Upgrade header back to the HTTP parser, so that it is answered like any other request
 * (RFC 9110 7.8: a server may ignore an offer to upgrade). Needed for Node before 24.9 and 22.21: if a server has a
 * listener for upgrades, Node takes every request with such a header away from the parser.
 * @returns false if that is not possible
 */
export function ignoreUpgrade(server: Server, request: http.IncomingMessage, socket: Socket, rest: Buffer): boolean {
  const { method = 'GET', url = '/', httpVersion, rawHeaders } = request;
  // A maxHeadersCount of 0 means no limit.
  if (rawHeaders.length >= 2 * ((server.maxHeadersCount ?? MAX_HEADERS) || Infinity)) return false;
  const lines = [`${method} ${url} HTTP/${httpVersion}`];
  for (let index = 0; index < rawHeaders.length; index += 2) {
    const [name, value] = [rawHeaders[index]!, rawHeaders[index + 1]!];
    // A value with line ends could become another header when it is parsed again.
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

/** The value of a `Connection` header without the options of the offer; undefined if none is left. */
function withoutOffer(value: string): string | undefined {
  const kept = value.split(',').filter((option) => !OFFER.test(option.trim()));
  return kept.length > 0 ? kept.join(',') : undefined;
}

/** Runs after the responses to earlier requests are written: responses must have the order of the requests. */
function whenAnswered(socket: Socket & { readonly _httpMessage?: InFlight | undefined }, run: () => void): void {
  const inFlight = socket._httpMessage;
  if (inFlight) inFlight.once('finish', () => whenAnswered(socket, run));
  else if (!socket.destroyed) run();
}
