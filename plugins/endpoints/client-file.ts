import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { createRequire } from 'node:module';
import { gzipSync } from 'node:zlib';
import { ModuleError } from '../../src/index.ts';

/** The client, and the parts of it that are loaded separately. */
export type ClientFileName = 'websocket-client.js' | 'websocket-client-polling.js' | 'websocket-client-offline.js';

interface Variant { readonly body: Buffer; readonly etag: string; readonly headers: Readonly<Record<string, string>> }

/**
 * Returns a handler for GET and HEAD that serves a file of the client for pages. The file is read once.
 * @throws OPTION_INVALID if the package was not built
 */
export function clientFile(name: ClientFileName): (request: IncomingMessage, response: ServerResponse) => void {
  const source = read(name);
  const [plain, gzip] = [variant(source), variant(gzipSync(source, { level: 9 }), 'gzip')];
  return ({ method, headers }, response) => {
    const { body, etag, headers: more } = acceptsGzip(headers['accept-encoding']) ? gzip : plain;
    if (names(headers['if-none-match'], etag)) return void response.writeHead(304, more).end();
    response.writeHead(200, { ...more, 'content-length': body.length });
    response.end(method === 'HEAD' ? undefined : body);
  };
}

function read(name: ClientFileName): Buffer {
  try {
    return readFileSync(createRequire(import.meta.url).resolve(`websocket-module/${name}`));
  } catch (error) {
    const expected = `false, because the package has no file ${name}`;
    const hint = 'npm run build makes it';
    throw Object.assign(
      new ModuleError('OPTION_INVALID', { path: 'endpoints.client', given: 'given', expected, hint }), { cause: error },
    );
  }
}

function variant(body: Buffer, encoding?: string): Variant {
  // Each encoding has an ETag of its own (RFC 9110, 8.8.3.3).
  const etag = `"${createHash('sha256').update(body).digest('base64url').slice(0, 22)}"`;
  return {
    body,
    etag,
    headers: {
      'content-type': 'text/javascript; charset=utf-8',
      ...encoding && { 'content-encoding': encoding },
      'vary': 'Accept-Encoding',
      etag,
      // Browsers ask each time, so that a page never runs with the client of an older server. The answer is a 304.
      'cache-control': 'no-cache',
      'x-content-type-options': 'nosniff',
      // The file is public: pages of other origins may load it as a module, too.
      'access-control-allow-origin': '*',
      'cross-origin-resource-policy': 'cross-origin',
    },
  };
}

/** Whether the header names gzip, or any encoding, and does not refuse it (`q=0`). */
function acceptsGzip(header: string | string[] | undefined): boolean {
  const offers = new Map(String(header ?? '').toLowerCase().split(',').map((offer) => {
    const [name = '', ...parameters] = offer.split(';').map((part) => part.trim());
    return [name, !parameters.some((parameter) => /^q=0(\.0*)?$/.test(parameter))] as const;
  }));
  return offers.get('gzip') ?? offers.get('*') ?? false;
}

/** Whether the header If-None-Match names the ETag, or any. */
function names(header: string | undefined, etag: string): boolean {
  const tags = (header ?? '').split(',').map((tag) => tag.trim().replace(/^W\//, ''));
  return tags.includes(etag) || tags.includes('*');
}
