import { expect } from 'chai';
import { both, snippet } from '../../support/snippets.ts';
import { start } from '../../support/start.ts';
import { greeting, readyPackage, runClient } from '../client-program.ts';

describe('the client code of document 3, against a server of this package', function () {
  this.timeout(60_000);

  before(readyPackage);

  it('3-02 connects, hears and sends', async () => both(async (form) => {
    const server = await greeting({ type: 'welcome', message: 'hello' });
    const received: unknown[] = [];
    server.manager.registerHandler('chat', ({ payload }, connection) => {
      received.push(payload);
      void connection.send({ type: 'chat', ...payload });
    });

    const lines = await runClient(form, snippet('3-02-client'), {
      server, after: 'client.on(\'chat\', () => process.exit(0));',
    });

    expect(received).to.deep.equal([{ user: 'Alice', message: 'Hello, World!' }]);
    expect(lines).to.have.length(3);
    expect(lines[1]).to.contain('"type":"welcome"');
    expect(lines[2]).to.contain('"message":"Hello, World!"');
  }));

  it('3-08 compresses what is large, and reads what it compressed', async () => both(async (form) => {
    const server = await start();
    const received: string[] = [];
    for (const type of ['compressed', 'note']) {
      server.manager.registerHandler(type, ({ content, fields }, connection) => {
        received.push(type);
        void connection.send({ type, data: content, ...fields });
      });
    }

    const lines = await runClient(form, snippet('3-08-compressor'), {
      server,
      before: `
        const ws = new Ws(process.env.SERVER);
        let count = 0;
        const handleMessage = (from, { type, text }) => {
          console.log(from === ws, type, text.length);
          if (++count === 2) ws.close();
        };
      `,
      after: `
        ws.on('open', async () => {
          await sendOptimizedMessage(ws, { type: 'note', text: 'x' });
          await sendOptimizedMessage(ws, { type: 'note', text: 'x'.repeat(10_000) });
        });
      `,
    });

    expect(received).to.deep.equal(['note', 'compressed']);
    expect(lines).to.deep.equal(['log true note 1', 'log true note 10000']);
  }));
});
