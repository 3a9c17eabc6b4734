import { once } from 'node:events';
import { createServer, type RequestListener, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { expect } from 'chai';
import { WebSocketModule } from '../../../src/index.ts';
import { cleanup } from '../../support/cleanup.ts';
import { type Address, raw } from '../../support/raw.ts';
import { close } from '../../support/start.ts';
import { plugin, startKernel } from '../start-kernel.ts';

/** What `curl --http2` and Java's HttpClient send to a server that they know nothing of. */
const OFFER = ['Connection: Upgrade, HTTP2-Settings', 'Upgrade: h2c', 'HTTP2-Settings: AAMAAABkAAQAoAAAAAIAAAAA'];

const request = (method: string, target: string, lines: readonly string[] = [], body = ''): string =>
  [`${method} ${target} HTTP/1.1`, 'Host: localhost', ...OFFER, ...lines, '', body].join('\r\n');

/** Tells what it got. */
const mirror: RequestListener = (incoming, response) => {
  let length = 0;
  incoming.on('data', (chunk: Buffer) => { length += chunk.length; });
  incoming.on('end', () => {
    response.setHeader('Date', 'today');
    response.end(`${incoming.method} ${incoming.url} ${length} ${String(incoming.headers['x-a'] ?? '')}\n`);
  });
};

async function listening(server: Server): Promise<Address> {
  cleanup(() => close(server));
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return { port: (server.address() as AddressInfo).port };
}

/** A server alone, and the same one with a manager on it. */
async function pair(listener: RequestListener = mirror): Promise<readonly [alone: Address, ours: Address]> {
  const server = createServer(listener);
  const manager = WebSocketModule.create({ server });
  cleanup(() => manager.stop());
  return [await listening(createServer(listener)), await listening(server)];
}

/** Everything that is answered to these bytes, until the server has answered so many times and ends. */
async function answers(address: Address, bytes: readonly string[]): Promise<string> {
  const client = await raw(address);
  let text = '';
  client.socket.on('data', (chunk: Buffer) => { text += chunk.toString('latin1'); });
  for (const part of bytes) await client.write(part, 7_000);
  await client.end();
  return text;
}

const LAST = request('GET', '/last', ['Connection: close']);

describe('a plain request that offers another protocol', () => {
  const cases: Readonly<Record<string, readonly string[]>> = {
    'a GET': [LAST],
    'a GET of the path of the WebSockets': [request('GET', '/ws', ['Connection: close'])],
    'a HEAD': [request('HEAD', '/', ['Connection: close'])],
    'a POST with a body': [request('POST', '/post', ['Content-Length: 5', 'Connection: close'], 'hello')],
    'a POST with a large body, in pieces': [request('POST', '/post', ['Content-Length: 200000', 'Connection: close'], 'x'.repeat(200_000))],
    'a POST whose body comes later': [request('POST', '/post', ['Content-Length: 5', 'Connection: close']), 'he', 'llo'],
    'a POST with a chunked body': [request('POST', '/post', ['Transfer-Encoding: chunked', 'Connection: close'], '5\r\nhello\r\n1\r\n!\r\n0\r\n\r\n')],
    'a POST that expects 100 Continue': [request('POST', '/post', ['Expect: 100-continue', 'Content-Length: 5', 'Connection: close']), 'hello'],
    'one with bytes beyond ASCII': [request('GET', '/', ['X-A: caf\u00e9', 'Connection: close'])],
    'one in HTTP/1.0': [`GET /old HTTP/1.0\r\n${OFFER.join('\r\n')}\r\n\r\n`],
    'one of an unknown protocol': ['GET / HTTP/1.1\r\nHost: x\r\nConnection: Upgrade, close\r\nUpgrade: constructor\r\n\r\n'],
    'one of a malformed target': [`GET http://[ HTTP/1.1\r\nHost: x\r\nConnection: close\r\n${OFFER.join('\r\n')}\r\n\r\n`],
  };
  for (const [name, bytes] of Object.entries(cases)) {
    it(`is answered as without a manager: ${name}`, async () => {
      const [alone, ours] = await pair();

      const [expected, answered] = [await answers(alone, bytes), await answers(ours, bytes)];

      expect(expected).to.match(/^HTTP\/1\.1 (?:200|100)/);
      expect(answered).to.equal(expected);
    });
  }

  it('leaves the connection open for the next one', async () => {
    const [, ours] = await pair();
    const client = await raw(ours);
    let text = '';
    client.socket.prependListener('data', (chunk: Buffer) => { text += chunk.toString(); });

    await client.write(request('GET', '/one'));
    await client.until('the first answer', () => text.includes('GET /one 0'));
    await client.write(request('POST', '/two', ['Content-Length: 2'], 'ab'));
    await client.until('the second answer', () => text.includes('POST /two 2'));
    await client.write(LAST);
    await client.end();

    expect(text).to.include('GET /last 0');
  });

  it('waits for the answers to the requests before it', async () => {
    const finish: (() => void)[] = [];
    const slow: RequestListener = ({ url }, response) => {
      response.setHeader('Date', 'today');
      if (url === '/slow') finish.push(() => response.end('slow'));
      else response.end('fast');
    };
    const [, ours] = await pair(slow);
    const client = await raw(ours);

    await client.write(`GET /slow HTTP/1.1\r\nHost: x\r\n\r\n${LAST}`);
    while (finish.length === 0) await new Promise(setImmediate);
    const early = client.received;
    let text = '';
    client.socket.on('data', (chunk: Buffer) => { text += chunk.toString(); });
    finish[0]!();
    await client.end();

    expect(early).to.equal(0);
    expect(text.match(/slow|fast/g)).to.deep.equal(['slow', 'fast']);
  });

  it('is answered 400 where the server answers no requests at all', async () => {
    const { port } = await startKernel();
    const client = await raw({ port });

    await client.write(request('GET', '/ws'));

    expect(await client.answer()).to.include({ status: 400 });
  });

  it('is answered by a plugin that took the path for requests', async () => {
    const { manager, port } = await startKernel();
    manager.use(plugin('page', (context) => { context.http('/page', mirror); }));
    await manager.ready();

    expect(await answers({ port }, [request('POST', '/page', ['Content-Length: 2', 'Connection: close'], 'ab')])).to.include('POST /page 2');
  });

  it('is left to another listener for upgrades, where there is one', async () => {
    const { server, port } = await startKernel();
    server.on('request', mirror);
    server.on('upgrade', (incoming, socket) => { socket.end(`HTTP/1.1 418 ${incoming.headers.upgrade}\r\n\r\n`); });

    expect(await answers({ port }, [LAST])).to.include('418 h2c');
  });

  it('is not handled by a plugin with an upgrade path, unless it offers that plugin\'s protocol', async () => {
    const { manager, server, port } = await startKernel();
    server.on('request', mirror);
    manager.use(plugin('other', (context) => { context.upgrade('/last', (_incoming, socket) => { socket.end('HTTP/1.1 418 Theirs\r\n\r\n'); }); }));
    await manager.ready();

    expect(await answers({ port }, [LAST])).to.include('GET /last 0');
    expect(await answers({ port }, [LAST.replace('h2c', 'other')])).to.include('418 Theirs');
  });

  it('is refused if Node has cut its headers, because the length of its body may be missing', async () => {
    const server = createServer(mirror);
    server.maxHeadersCount = 10;
    const manager = WebSocketModule.create({ server });
    cleanup(() => manager.stop());
    const client = await raw(await listening(server));

    await client.write(request('POST', '/', [...Array.from({ length: 40 }, (_, index) => `X-${index}: y`), 'Content-Length: 44'],
      'GET /smuggled HTTP/1.1\r\nHost: x\r\nX-A: 1234567\r\n\r\n'.slice(0, 44)));
    await client.end();

    // Newer Node refuses so many headers by itself.
    expect(client.response?.status).to.be.oneOf([400, 431]);
  });
});
