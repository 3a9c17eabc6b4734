import { STATUS_CODES, type IncomingMessage, type ServerResponse } from 'node:http';
import type { ModuleError } from '../../src/index.ts';

/** Which pages of other origins may read the answers. */
export interface Cors {
  readonly origins: readonly string[];
  readonly credentials: boolean;
}

const HEADERS = 'Content-Type, Authorization, Polling-Session, Polling-Received, Polling-Position, Polling-Wait, '
  + 'Polling-Protocol';

/** Sets the headers that all answers have. */
export function prepare({ headers: { origin } }: IncomingMessage, response: ServerResponse, cors?: Cors): void {
  response.setHeader('Cache-Control', 'no-store');
  response.setHeader('X-Content-Type-Options', 'nosniff');
  if (!cors) return;
  // Caches must keep the answers for two origins apart.
  response.setHeader('Vary', 'Origin');
  if (origin === undefined) return;
  const isAny = cors.origins.includes('*');
  if (!isAny && !cors.origins.includes(origin.toLowerCase())) return;
  response.setHeader('Access-Control-Allow-Origin', isAny ? '*' : origin);
  if (cors.credentials) response.setHeader('Access-Control-Allow-Credentials', 'true');
  response.setHeader('Access-Control-Expose-Headers', 'Polling-Position');
}

/** Answers a preflight request (CORS): a browser asks what a page of another origin may do. */
export function answerPreflight(response: ServerResponse): void {
  if (response.hasHeader('Access-Control-Allow-Origin')) {
    response.setHeader('Access-Control-Allow-Methods', 'GET, POST');
    response.setHeader('Access-Control-Allow-Headers', HEADERS);
    // Browsers keep it for two hours at most.
    response.setHeader('Access-Control-Max-Age', '7200');
  }
  response.writeHead(204).end();
}

export function answerJson(response: ServerResponse, status: number, value: object): void {
  const body = JSON.stringify(value);
  response.writeHead(status, {
    'Content-Type': 'application/json; charset=utf-8', 'Content-Length': Buffer.byteLength(body),
  });
  response.end(body);
}

export function answerError(response: ServerResponse, { code, message, status }: ModuleError): void {
  if (response.headersSent || response.destroyed) return;
  const known = status !== undefined && status in STATUS_CODES ? status : 500;
  if (known === 401) response.setHeader('WWW-Authenticate', 'Bearer');
  if (known === 503 || known === 429) response.setHeader('Retry-After', '1');
  // The rest of the body is not read, so the connection cannot be used again.
  if (!response.req.complete) response.setHeader('Connection', 'close');
  answerJson(response, known, { code, message });
}

/** Answers with bytes of the stream. */
export function answerBytes(response: ServerResponse, position: number, bytes: Uint8Array): void {
  response.writeHead(200, {
    'Content-Type': 'application/octet-stream', 'Content-Length': bytes.byteLength, 'Polling-Position': position,
  });
  response.end(bytes);
}
