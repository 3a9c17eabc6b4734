import { expect } from 'chai';
import Fastify from 'fastify';
import { cleanup } from '../support/cleanup.ts';
import { beside, expectOurs, load } from './beside.ts';

describe('beside @fastify/websocket', () => {
  it('serves our path, and leaves its routes to it', async () => {
    const { default: websocket } = await load('@fastify/websocket');
    const app = Fastify();
    await app.register(websocket);
    app.get('/theirs', { websocket: true } as object, ((socket: any) => {
      socket.on('message', (text: Buffer) => socket.send(`theirs: ${text.toString()}`));
    }) as never);
    app.get('/page', async () => 'page');
    cleanup(() => app.close());
    await app.ready();
    const both = await beside(app.server);

    await expectOurs(both);
    const theirs = await both.connect('/theirs');
    await theirs.send('hello');

    expect(await theirs.next()).to.deep.equal({ type: 'not-json', content: 'theirs: hello' });
    expect(await (await fetch(`${both.http}/page`)).text()).to.equal('page');
    expect(await both.status('/nowhere')).to.equal(404);
  });
});
