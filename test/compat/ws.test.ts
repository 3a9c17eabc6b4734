import { expect } from 'chai';
import { WebSocketServer } from 'ws';
import { cleanup } from '../support/cleanup.ts';
import { beside, expectOurs, serverOf } from './beside.ts';

describe('beside a WebSocketServer of ws that was given the server', () => {
  for (const order of ['before', 'after'] as const) {
    it(`serves our path, and leaves the other paths to it, where it was added ${order} the manager`, async () => {
      const server = serverOf((_request, response) => { response.end('page'); });
      const add = () => {
        const theirs = new WebSocketServer({ server, path: '/theirs' });
        theirs.on('connection', (ws) => ws.on('message', (text: Buffer) => ws.send(`theirs: ${text.toString()}`)));
        cleanup(() => { for (const ws of theirs.clients) ws.terminate(); });
      };
      if (order === 'before') add();
      const both = await beside(server);
      if (order === 'after') add();

      await expectOurs(both);
      const theirs = await both.connect('/theirs');
      await theirs.send('hello');

      expect(await theirs.next()).to.deep.equal({ type: 'not-json', content: 'theirs: hello' });
      expect(await both.status('/nowhere')).to.equal(400);
    });
  }
});
