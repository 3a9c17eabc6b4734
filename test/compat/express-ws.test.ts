import { expect } from 'chai';
import express from 'express';
import { beside, bodyOf, expectOurs, load, serverOf } from './beside.ts';

describe('beside express-ws', () => {
  for (const order of ['before', 'after'] as const) {
    it(`serves our path, and leaves its routes to it, where it was added ${order} the manager`, async () => {
      const { default: expressWs } = await load('express-ws');
      const app = express();
      const server = serverOf(app);
      const add = () => {
        const { app: extended } = expressWs(app, server) as { app: { ws(path: string, handler: (ws: any) => void): void } };
        extended.ws('/theirs', (ws) => ws.on('message', (text: Buffer) => ws.send(`theirs: ${text.toString()}`)));
        app.get('/page', (_request, response) => { response.send('page'); });
      };
      if (order === 'before') add();
      const both = await beside(server);
      if (order === 'after') add();

      const ours = await expectOurs(both);
      const theirs = await both.connect('/theirs');
      await theirs.send('hello');

      expect(await theirs.next()).to.deep.equal({ type: 'not-json', content: 'theirs: hello' });
      expect(await bodyOf(`${both.http}/page`)).to.equal('page');
      expect(ours.ws.readyState).to.equal(1);
      await both.manager.stop();
      await theirs.send('again');
      expect(await theirs.next()).to.deep.equal({ type: 'not-json', content: 'theirs: again' });
    });
  }
});
