import { readFileSync } from 'node:fs';
import type { IncomingHttpHeaders, IncomingMessage, Server } from 'node:http';
import { request as httpRequest } from 'node:http';
import type { AddressInfo } from 'node:net';
import { once } from 'node:events';
import { join } from 'node:path';
import { gunzipSync } from 'node:zlib';
import { expect } from 'chai';
import { endpoints } from '../../../plugins/endpoints.ts';
import { root } from '../../support/sources.ts';
import { start } from '../../support/start.ts';

const CLIENT = '/websocket-client.js';

interface Reply { readonly status: number; readonly headers: IncomingHttpHeaders; readonly body: Buffer }

async function ask(server: Server, path: string, headers: Record<string, string> = {}, method = 'GET'): Promise<Reply> {
  const { port } = server.address() as AddressInfo;
  const asked = httpRequest({ port, host: '127.0.0.1', path, method, headers, agent: false }).end();
  const [response] = await once(asked, 'response') as [IncomingMessage];
  const chunks: Buffer[] = [];
  for await (const chunk of response) chunks.push(chunk as Buffer);
  return { status: response.statusCode!, headers: response.headers, body: Buffer.concat(chunks) };
}

const file = readFileSync(join(root, 'dist/websocket-client.js'));

describe('endpoints({ client })', () => {
  it('serves the client to everyone, also beside a token', async () => {
    const { server } = await start({ use: [endpoints({ client: true, token: 'secret' })] });

    const { status, headers, body } = await ask(server, CLIENT);

    expect(status).to.equal(200);
    expect(body.equals(file)).to.equal(true);
    expect(headers).to.include({
      'content-type': 'text/javascript; charset=utf-8', 'content-length': String(file.length), 'cache-control': 'no-cache',
      'vary': 'Accept-Encoding', 'x-content-type-options': 'nosniff', 'access-control-allow-origin': '*',
      'cross-origin-resource-policy': 'cross-origin',
    });
  });

  it('answers 304 to a browser that has the file', async () => {
    const { server } = await start({ use: [endpoints({ client: true })] });
    const { headers: { etag = '' } } = await ask(server, CLIENT);

    const replies = await Promise.all([etag, `W/${etag}`, `"other", ${etag}`, '*', '"other"'].map((tag) => ask(server, CLIENT, { 'if-none-match': tag })));

    expect(etag).to.match(/^"[\w-]{22}"$/);
    expect(replies.map(({ status }) => status)).to.deep.equal([304, 304, 304, 304, 200]);
    expect(replies[0]!.headers).to.include({ etag, 'cache-control': 'no-cache', 'vary': 'Accept-Encoding' });
    expect(replies[0]!.body).to.have.length(0);
  });

  it('compresses for those who accept it, under an ETag of its own', async () => {
    const { server } = await start({ use: [endpoints({ client: true })] });
    const get = (accepted: string) => ask(server, CLIENT, { 'accept-encoding': accepted });

    const [plain, gzip, ...others] = await Promise.all(['identity', 'br, gzip', 'GZIP;q=0.5', '*', 'gzip;q=0', 'gzip;q=0.0, *', 'br', 'gzipped'].map(get));

    expect(gzip!.headers['content-encoding']).to.equal('gzip');
    expect(gunzipSync(gzip!.body).equals(file)).to.equal(true);
    expect(gzip!.headers.etag).not.to.equal(plain!.headers.etag);
    expect(others.map(({ headers }) => headers['content-encoding'])).to.deep.equal(['gzip', 'gzip', undefined, undefined, undefined, undefined]);
  });

  it('answers HEAD without the body, and no other method', async () => {
    const { server } = await start({ use: [endpoints({ client: true })] });

    const head = await ask(server, CLIENT, {}, 'HEAD');
    const post = await ask(server, CLIENT, {}, 'POST');

    expect([head.status, head.headers['content-length'], head.body.length]).to.deep.equal([200, String(file.length), 0]);
    expect([post.status, post.headers.allow]).to.deep.equal([405, 'GET, HEAD']);
  });

  it('serves it at another path, alone with `paths: false`, and not at all by default', async () => {
    const { server } = await start({ use: [endpoints({ client: '/js/client.js', paths: false })] });
    const { server: other } = await start({ use: [endpoints()] });
    for (const each of [server, other]) each.on('request', (_, response) => void response.writeHead(418).end());

    const statuses = await Promise.all(['/js/client.js?v=2', CLIENT, '/api/websocket/health'].map(async (path) => (await ask(server, path)).status));

    expect(statuses).to.deep.equal([200, 418, 418]);
    expect((await ask(other, CLIENT)).status).to.equal(418);
  });

  it('refuses other values by name', () => {
    for (const client of ['client.js', 1, {}, '/a?b', '']) {
      expect(() => endpoints({ client: client as string })).to.throw('endpoints.client').with.property('code', 'OPTION_INVALID');
    }
  });
});
