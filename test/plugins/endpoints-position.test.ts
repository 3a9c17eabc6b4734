import { createServer, type RequestListener } from 'node:http';
import type { AddressInfo } from 'node:net';
import { expect } from 'chai';
import { MemoryJournal, ModuleError } from '../../index.ts';
import { positionHandler } from '../../plugins/endpoints.ts';
import { history } from '../../plugins/history.ts';
import { cleanup } from '../support/cleanup.ts';
import { start } from '../support/start.ts';

/** A server that answers with the position, to those who may read the topic. */
async function serve(journal = new MemoryJournal()) {
  const canRead = ({ topic }: { topic: string }) => topic !== 'news:secret';
  const { manager, connect } = await start({ use: [history({ topics: { 'news:*': {} }, canRead, journal })] });
  const asked: string[] = [];
  const handler = positionHandler(manager, {
    canRead: ({ topic, request }) => {
      asked.push(topic);
      return request.headers.authorization === 'yes' && canRead({ topic });
    },
  });
  const server = createServer(handler as RequestListener).listen(0, '127.0.0.1');
  await new Promise((resolve) => server.once('listening', resolve));
  cleanup(() => new Promise((resolve) => server.close(resolve)));
  const { port } = server.address() as AddressInfo;
  const get = async (query: string, init: RequestInit = { headers: { authorization: 'yes' } }) => {
    const response = await fetch(`http://127.0.0.1:${port}/position${query}`, init);
    return { status: response.status, body: await response.json() as Record<string, unknown> };
  };
  return { api: manager.api('history'), connect, get, asked, journal };
}

describe('the position of a topic', () => {
  it('is the same over HTTP and over the socket, and a subscription with it misses nothing', async () => {
    const { api, connect, get } = await serve();
    const client = await connect();
    await api.append('news:a', { type: 'news', content: 'before' });

    const { status, body } = await get('?topic=news%3Aa');
    const reply = await client.request({ type: 'get-position', topic: 'news:a' });
    await api.append('news:a', { type: 'news', content: 'between' });
    const { topic, ...position } = body;
    const { content } = await client.request({ type: 'subscribe', content: { topic, position } });

    expect(status).to.equal(200);
    expect(reply.type).to.equal('topic-position');
    expect(reply.content).to.deep.equal(body);
    expect(content.messages.map((message: { content: string }) => message.content)).to.deep.equal(['between']);
  });

  it('answers alike for an unknown topic and for one that may not be read', async () => {
    const { api, connect, get, asked } = await serve();
    await api.append('news:secret', { type: 'news' });
    const client = await connect();
    const names = ['news:secret', 'none', 'room:none', '*'];

    const overHttp = await Promise.all(names.map((name) => get(`?topic=${encodeURIComponent(name)}`)));
    const stranger = await get('?topic=news%3Aa', {});
    const overSocket = [];
    for (const topic of names) overSocket.push((await client.request({ type: 'get-position', topic })).content.code);

    expect(new Set([...overHttp, stranger].map((answer) => JSON.stringify(answer))).size).to.equal(1);
    expect(stranger).to.deep.include({ status: 404 });
    expect(stranger.body['code']).to.equal('HISTORY_UNKNOWN');
    expect(overSocket).to.deep.equal(names.map(() => 'HISTORY_UNKNOWN'));
    expect(asked.length).to.equal(names.length + 1);
  });

  it('answers bad requests with the reason', async () => {
    const { get, journal } = await serve();
    Object.assign(journal, { positions: () => Promise.reject(new ModuleError('STORE_UNAVAILABLE', { store: 'memory', action: 'read' })) });

    const statuses = [];
    for (const query of ['', '?topic=', `?topic=${'x'.repeat(513)}`, '?topic=news%3Aa']) statuses.push((await get(query)).status);
    statuses.push((await get('?topic=news%3Aa', { method: 'POST' })).status);

    expect(statuses).to.deep.equal([400, 400, 400, 503, 405]);
  });

  it('cannot be created without canRead', () => {
    expect(() => positionHandler({ api: () => undefined } as never, {} as never)).to.throw(ModuleError).with.property('code', 'OPTION_INVALID');
  });
});
