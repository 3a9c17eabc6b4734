import { once } from 'node:events';
import { connect as connectTcp } from 'node:net';
import { expect } from 'chai';
import { eventually } from '../../support/timing.ts';
import { codeOf, plugin, raise, startKernel } from '../start-kernel.ts';

const get = async (port: number, path: string) => {
  const response = await fetch(`http://127.0.0.1:${port}${path}`);
  return [response.status, await response.text()] as const;
};

describe('a path for requests', () => {
  it('is answered by its plugin, before other listeners; other paths are left to them', async () => {
    const { manager, server, port } = await startKernel();
    server.on('request', (_request, response) => response.end('theirs'));
    manager.use(plugin('page', (context) => { context.http('/page', (_request, response) => { response.end('ours'); }); }));
    await manager.ready();
    server.on('request', (_request, response) => { if (!response.writableEnded) response.end('later'); });

    const during = [await get(port, '/page'), await get(port, '/page?x=1'), await get(port, '/pages'), await get(port, '/')];
    await manager.unload('page');

    expect(during).to.deep.equal([[200, 'ours'], [200, 'ours'], [200, 'theirs'], [200, 'theirs']]);
    expect(await get(port, '/page')).to.deep.equal([200, 'theirs']);
    await manager.stop();
    expect(Object.hasOwn(server, 'emit'), 'the server is as it was').to.be.false;
  });

  it('is answered with 500 when its handler fails, and the error is reported', async () => {
    for (const fail of [() => raise(new Error('secret')), async () => raise(new Error('secret'))]) {
      const { manager, port, failures } = await startKernel();
      manager.use(plugin('page', (context) => { context.http('/page', fail); }));
      await manager.ready();

      const [status, body] = await get(port, '/page');

      expect(status).to.equal(500);
      expect(body).to.not.include('secret');
      expect(failures.map(({ context }) => [context.phase, context.plugin])).to.deep.equal([['http', 'page']]);
    }
  });

  it('belongs to one plugin', async () => {
    const { manager } = await startKernel();
    const page = (name: string) => plugin(name, (context) => { context.http('/page', (_request, response) => { response.end(); }); });

    manager.use([page('one'), page('two')]);

    expect(await codeOf(manager.ready())).to.equal('DUPLICATE');
  });
});

describe('a path for upgrades', () => {
  it('is handled by its plugin until that is unloaded', async () => {
    const { manager, port, connect } = await startKernel();
    manager.use(plugin('other', (context) => {
      context.upgrade('/other', (_request, socket) => { socket.end('HTTP/1.1 101 Switching Protocols\r\nUpgrade: other\r\nConnection: Upgrade\r\n\r\nhello'); });
    }));
    await manager.ready();
    const ask = async (): Promise<string> => {
      const socket = connectTcp(port, '127.0.0.1');
      socket.end('GET /other HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: other\r\n\r\n');
      let text = '';
      socket.setEncoding('utf8').on('data', (chunk: string) => { text += chunk; });
      await once(socket, 'close');
      return text;
    };

    const during = await ask();
    await connect();
    await manager.unload('other');

    expect(during).to.match(/^HTTP\/1.1 101 .*hello$/s);
    expect(await ask()).to.match(/^HTTP\/1.1 404 /);
  });

  it('may not be the manager\'s own', async () => {
    const { manager } = await startKernel();

    manager.use(plugin('thief', (context) => { context.upgrade('/ws', () => {}); }));

    expect(await codeOf(manager.ready())).to.equal('DUPLICATE');
  });
});

describe('an upgrade', () => {
  it('affects nothing else when the client resets it', async () => {
    const { manager, port, connect } = await startKernel();
    const gates: (() => void)[] = [];
    manager.use({ type: 'upgrade', name: 'slow', handler: () => new Promise((resolve) => gates.push(resolve)) });
    const socket = connectTcp(port, '127.0.0.1');
    socket.write('GET /ws HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Version: 13\r\n\r\n');
    await eventually('it to wait', () => gates.length === 1);

    socket.resetAndDestroy();
    await once(socket, 'close');
    await new Promise(setImmediate);
    gates[0]!();
    const connecting = connect();
    await eventually('the next one', () => gates.length === 2);
    gates[1]!();

    await connecting;
    await eventually('one connection', () => manager.connections.size === 1 && manager.inspect().pendingUpgrades === 0);
  });

  it('is refused with 400 if its target is not a path', async () => {
    const { port } = await startKernel();
    const socket = connectTcp(port, '127.0.0.1');
    socket.write('GET http://[ HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n');

    const [answer] = await once(socket, 'data') as [Buffer];

    expect(answer.toString()).to.match(/^HTTP\/1.1 400 /);
  });
});
