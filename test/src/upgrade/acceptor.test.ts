import { expect } from 'chai';
import type { WebSocket } from 'ws';
import type { ConnectionLayer, Node, UpgradeLayer } from '../../../src/contracts.ts';
import { ModuleError } from '../../../src/errors.ts';
import { UpgradeRefused } from '../../support/client.ts';
import { handshake, raw } from '../../support/raw.ts';
import { eventually } from '../../support/timing.ts';
import { deferred, next, only, plugin, raise, soon, startKernel } from '../start-kernel.ts';

const upgrade = (handler: UpgradeLayer['handler'], name = 'gate'): UpgradeLayer => ({ type: 'upgrade', name, handler });
const connection = (handler: ConnectionLayer['handler'], name = 'door'): ConnectionLayer => ({ type: 'connection', name, handler });

const refusal = async (promise: Promise<unknown>): Promise<UpgradeRefused> => {
  const error: unknown = await promise.then(() => new Error('it was accepted'), (failure: unknown) => failure);
  if (error instanceof UpgradeRefused) return error;
  throw error;
};

describe('upgrade layers', () => {
  it('refuse with the status and the code of their error', async () => {
    const refuse = upgrade(async () => { throw new ModuleError('TEAPOT', {}, { status: 418, message: 'no coffee' }); });
    const { manager, connect } = await startKernel({ use: [refuse] });
    const refused = next(manager, 'connection:refused');

    const { status, body } = await refusal(connect());

    expect(status).to.equal(418);
    expect(JSON.parse(body)).to.deep.equal({ code: 'TEAPOT', message: 'no coffee' });
    expect((await refused)[0]).to.deep.include({ ip: '127.0.0.1' }).and.property('error').to.have.property('code', 'TEAPOT');
    expect(manager.getMetrics().connections).to.include({ refusedConnections: 1, totalConnections: 0 });
  });

  it('refuse with 500 without details when they throw another error, which is reported', async () => {
    for (const fail of [() => raise(new Error('secret')), async () => raise(Object.create(null)), () => raise(undefined)]) {
      const { connect, failures } = await startKernel({ use: [upgrade(fail)] });

      const { status, body } = await refusal(connect());

      expect(status).to.equal(500);
      expect(body).to.include('INTERNAL_ERROR');
      expect(body).to.not.include('secret');
      expect(failures).to.have.lengthOf(1);
      expect(failures[0]!.context).to.include({ phase: 'upgrade' });
    }
  });

  it('run one after the other in the order of use, and add to the metadata', async () => {
    const order: string[] = [];
    const { manager, connect } = await startKernel({ use: [
      upgrade(async (_request, metadata) => {
        await Promise.resolve();
        order.push('first');
        metadata.tenant = 'acme';
      }, 'one'),
      upgrade((_request, metadata) => void order.push(`second sees ${String(metadata.tenant)}`), 'two'),
    ] });

    await connect();

    expect(order).to.deep.equal(['first', 'second sees acme']);
    expect(only(manager).metadata).to.deep.equal({ ip: '127.0.0.1', tenant: 'acme' });
  });

  it('do not run after a layer that refused', async () => {
    let reached = false;
    const { connect } = await startKernel({ use: [upgrade(() => raise(new ModuleError('FORBIDDEN'))), upgrade(() => { reached = true; }, 'other')] });

    expect((await refusal(connect())).status).to.equal(403);
    expect(reached).to.be.false;
  });
});

describe('connection layers', () => {
  const closeOf = async (handler: ConnectionLayer['handler']) => {
    const kernel = await startKernel({ use: [connection(handler)] });
    const client = await kernel.connect();
    return { ...kernel, closed: await soon(client.closed) };
  };

  it('refuse by throwing, with the close code of the error', async () => {
    const { closed, manager } = await closeOf(async () => raise(new ModuleError('BANNED', {}, { closeCode: 4000, message: 'banned' })));

    expect(closed).to.deep.equal({ code: 4000, reason: 'BANNED: banned' });
    expect(manager.connections.size).to.equal(0);
    expect(manager.getMetrics().connections).to.include({ totalConnections: 0, refusedConnections: 1 });
  });

  it('refuse by returning false, with 4003', async () => {
    expect((await closeOf(() => false)).closed.code).to.equal(4003);
    expect((await closeOf(async () => false)).closed.code).to.equal(4003);
  });

  it('refuse with 1011 without details when they throw another error, which is reported', async () => {
    for (const fail of [() => raise(new Error('secret')), async () => raise(Object.create(null))]) {
      const { closed, failures } = await closeOf(fail);

      expect(closed.code).to.equal(1011);
      expect(closed.reason).to.include('INTERNAL_ERROR');
      expect(closed.reason).to.not.include('secret');
      expect(failures.map(({ context }) => context.phase)).to.deep.equal(['connection']);
    }
  });

  it('close the connection even with a code that is invalid in a frame', async () => {
    const { closed } = await closeOf(() => raise(new ModuleError('NO', {}, { closeCode: 42 })));

    expect(closed.code).to.be.oneOf([1011, 4003]);
  });

  it('merge returned objects into the metadata; `user` becomes connection.user, and `ip` cannot be changed', async () => {
    const { manager, connect } = await startKernel({ use: [
      connection(() => ({ user: { id: 'ann', roles: ['admin'] }, plan: 'free', ip: '6.6.6.6' }), 'one'),
      connection(async (_ws, _request, metadata) => ({ plan: `${String(metadata.plan)}+` }), 'two'),
    ] });

    await connect();

    expect(only(manager)).to.deep.include({ user: { id: 'ann', roles: ['admin'] }, ip: '127.0.0.1' });
    expect(only(manager).metadata).to.deep.equal({ ip: '127.0.0.1', plan: 'free+' });
    expect(manager.sendToUser('ann', { type: 'hi' })).to.equal(1);
  });

  it('reject a user whose id is that of a connection, because it stands for an anonymous connection', async () => {
    const { manager, connect } = await startKernel();
    await connect();
    const { id } = only(manager);
    let node!: Node;
    manager.use([connection(() => ({ user: { id } })), plugin('reader', (context) => void (node = context.node))]);

    const client = await connect();

    expect((await client.closed).reason).to.include('USER_ID_RESERVED');
    expect(manager.connections.size).to.equal(1);
    expect(() => node.identify(only(manager), { id })).to.throw().with.property('code', 'USER_ID_RESERVED');
  });

  it('get the socket and the request', async () => {
    const { connect } = await startKernel({ protocols: ['chat'], use: [connection((ws, request) => { ws.send(JSON.stringify({ type: 'early', content: [ws.protocol, request.url] })); })] });

    const client = await connect({ protocols: ['chat'], search: '?a=1' });

    expect((await client.next('early')).content).to.deep.equal(['chat', '/ws?a=1']);
  });

  it('run before connection:added, and before the connection is counted', async () => {
    const gate = deferred();
    const order: string[] = [];
    const { manager, connect } = await startKernel({ use: [connection(async () => {
      await gate.promise;
      order.push('layer');
    })] });
    manager.on('connection:added', () => void order.push('added'));
    const client = await connect();
    await eventually('an upgrade in progress', () => manager.inspect().pendingUpgrades === 1);
    const during = [manager.connections.size, manager.getHealth().connections.active];

    gate.resolve();
    await eventually('a connection', () => manager.connections.size === 1);

    expect(during).to.deep.equal([0, 0]);
    expect(order).to.deep.equal(['layer', 'added']);
    expect(client.ws.readyState).to.equal(client.ws.OPEN);
  });

  it('end without a connection when the client disconnects meanwhile', async () => {
    const gate = deferred();
    const gone = deferred();
    const { manager, connect } = await startKernel({ use: [connection((ws) => {
      (ws as WebSocket).once('close', () => { gone.resolve(); });
      return gate.promise;
    })] });
    const events: string[] = [];
    for (const event of ['connection:added', 'connection:removed'] as const) manager.on(event, () => void events.push(event));
    const client = await connect();
    await eventually('an upgrade in progress', () => manager.inspect().pendingUpgrades === 1);

    await client.terminate();
    await gone.promise;
    gate.resolve();
    await eventually('none in progress', () => manager.inspect().pendingUpgrades === 0);

    expect(events).to.deep.equal([]);
    expect(manager.getHealth().connections).to.deep.equal({ active: 0, total: 0 });
  });
});

describe('the deadline of a handshake', () => {
  it('answers an upgrade with 503 when its layers take too long', async () => {
    const { manager, connect } = await startKernel({ handshakeTimeout: 60, use: [upgrade(() => new Promise(() => {}))] });

    const { status, body } = await refusal(connect());

    expect(status).to.equal(503);
    expect(body).to.include('HANDSHAKE_TIMEOUT');
    expect(manager.inspect()).to.include({ pendingUpgrades: 0 });
  });

  it('closes a connection with 4153 when its layers take too long', async () => {
    const { manager, connect } = await startKernel({ handshakeTimeout: 60, use: [connection(() => new Promise(() => {}))] });
    const client = await connect();

    expect((await client.closed).code).to.equal(4153);
    expect(manager.inspect()).to.include({ pendingUpgrades: 0 });
  });

  it('is not undone by a layer that answers later', async () => {
    const gate = deferred();
    const { manager, connect } = await startKernel({ handshakeTimeout: 40, use: [connection(() => gate.promise)] });
    const client = await connect();
    await client.closed;

    gate.resolve();
    await new Promise(setImmediate);

    expect(manager.connections.size).to.equal(0);
  });
});

describe('upgrades before the manager is ready', () => {
  it('wait for ready()', async () => {
    const { manager, connect } = await startKernel();
    const gate = deferred();
    manager.use(plugin('slow', () => gate.promise));

    const connecting = connect();
    await eventually('one waiting', () => manager.inspect().pendingUpgrades === 1);
    gate.resolve();

    expect((await connecting).ws.readyState).to.equal(1);
  });

  it('wait no longer than the deadline', async () => {
    const { manager, connect } = await startKernel({ handshakeTimeout: 60 });
    manager.use(plugin('slow', () => new Promise(() => {})));

    expect((await refusal(connect())).status).to.equal(503);
    await manager.stop();
  });

  it('reach no layer after they were refused', async () => {
    const asked: unknown[] = [];
    const { manager, connect } = await startKernel({ handshakeTimeout: 60, use: [{ type: 'upgrade', name: 'count', handler: (request) => void asked.push(request.url) }] });
    const gate = deferred();
    manager.use(plugin('slow', () => gate.promise));
    const early = await refusal(connect());

    gate.resolve();
    await manager.ready();
    await connect();

    expect(early.status).to.equal(503);
    expect(asked, 'by who came later').to.have.lengthOf(1);
  });
});

describe('the acceptor', () => {
  it('accepts exactly maxConnections, even at once, and another one after a disconnect', async () => {
    const { manager, connect } = await startKernel({ maxConnections: 3 });

    const outcomes = await Promise.allSettled(Array.from({ length: 8 }, () => connect()));
    const [first] = outcomes.flatMap((outcome) => (outcome.status === 'fulfilled' ? [outcome.value] : []));
    const refused = outcomes.flatMap((outcome) => (outcome.status === 'rejected' ? [(outcome.reason as UpgradeRefused).status] : []));
    await first!.close();
    await eventually('room', () => manager.connections.size === 2);
    await connect();

    expect(refused).to.deep.equal(Array(5).fill(503));
    expect(manager.connections.size).to.equal(3);
    expect(manager.getMetrics().connections.peakConnections).to.equal(3);
  });

  it('keeps only the headers in keepHeaders', async () => {
    const { manager, connect } = await startKernel({ keepHeaders: ['User-Agent', 'x-tenant'] });

    await connect({ headers: { 'User-Agent': 'test', 'X-Other': 'y' } });

    expect(only(manager).metadata).to.deep.equal({ ip: '127.0.0.1', headers: { 'user-agent': 'test' } });
  });

  it('accepts browsers of the same host and of the listed origins', async () => {
    const { connect, port } = await startKernel();
    const open = await startKernel({ origins: ['https://app.example.com'] });
    const any = await startKernel({ origins: '*' });

    await connect({ headers: { Origin: `http://127.0.0.1:${port}` } });
    await connect();
    await open.connect({ headers: { Origin: 'https://app.example.com' } });
    await any.connect({ headers: { Origin: 'https://evil.example' } });
    const refused = [await refusal(connect({ headers: { Origin: 'https://evil.example' } })), await refusal(open.connect({ headers: { Origin: `http://127.0.0.1:${open.port}` } }))];

    expect(refused.map(({ status }) => status)).to.deep.equal([403, 403]);
  });

  it('chooses the subprotocol by its own order, and never echoes a token', async () => {
    const { connect, manager } = await startKernel({ protocols: ['chat.v2', 'chat.v1'] });

    const client = await connect({ protocols: ['bearer.secret', 'chat.v1', 'chat.v2'] });

    expect(client.ws.protocol).to.equal('chat.v2');
    expect(only(manager).protocol).to.equal('chat.v2');
  });

  it('returns no subprotocol for a token alone, and otherwise the first real one', async () => {
    const { connect, port } = await startKernel();
    const alone = await raw({ port });
    await alone.write(handshake({ port }, { headers: { 'Sec-WebSocket-Protocol': 'bearer.secret' } }));

    const client = await connect({ protocols: ['Bearer.secret', 'chat'] });

    expect(client.ws.protocol).to.equal('chat');
    expect((await alone.answer())?.headers).to.not.have.property('sec-websocket-protocol');
  });

  it('survives clients that reset at any moment', async () => {
    const turn = () => new Promise<void>((resolve) => setImmediate(resolve));
    const { manager, port, connect, failures } = await startKernel({ use: [upgrade(turn), connection(turn)] });
    const bytes = handshake({ port });

    for (let cut = 1; cut < bytes.length; cut += 9) {
      const client = await raw({ port });
      await client.write(bytes.slice(0, cut));
      client.reset();
    }
    for (let each = 0; each < 30; each++) {
      const client = await raw({ port });
      client.socket.write(bytes);
      if (each % 2 === 0) await client.answer();
      client.reset();
    }
    await connect();

    await eventually('one connection', () => manager.connections.size === 1 && manager.inspect().pendingUpgrades === 0);
    expect(failures).to.deep.equal([]);
  });
});

describe('an invalid handshake', () => {
  const cases: readonly (readonly [what: string, options: Parameters<typeof handshake>[1], status: number])[] = [
    ['a POST', { method: 'POST' }, 400],
    ['without a key', { headers: { 'Sec-WebSocket-Key': undefined } }, 400],
    ['with a key of another length', { headers: { 'Sec-WebSocket-Key': 'YWJj' } }, 400],
    ['that offers another protocol, too', { headers: { Upgrade: 'websocket, h2c' } }, 400],
    ['with a body', { headers: { 'Content-Length': '4' } }, 400],
    ['without a Host', { headers: { Host: undefined } }, 400],
    ['in HTTP/1.0', { version: 'HTTP/1.0' }, 400],
    ['with a subprotocol that is no token', { headers: { 'Sec-WebSocket-Protocol': 'a b' } }, 400],
    ['with a subprotocol twice', { headers: { 'Sec-WebSocket-Protocol': 'a, b,a' } }, 400],
    ['with an empty subprotocol', { headers: { 'Sec-WebSocket-Protocol': 'a,' } }, 400],
    ['without a version', { headers: { 'Sec-WebSocket-Version': undefined } }, 400],
    ['of another version', { headers: { 'Sec-WebSocket-Version': '12' } }, 426],
    ['of a version that is no number', { headers: { 'Sec-WebSocket-Version': '13, 8' } }, 426],
  ];
  for (const [what, options, status] of cases) {
    it(`reaches no layer: one ${what}`, async () => {
      const seen: string[] = [];
      const { port, manager } = await startKernel({ use: [upgrade(({ url }) => void seen.push(url))] });
      const refused = next(manager, 'connection:refused');
      const client = await raw({ port });

      await client.write(handshake({ port }, options));
      const answer = await client.answer();

      expect(answer?.status).to.equal(status);
      expect(answer?.headers).to.include({ 'sec-websocket-version': '13' });
      expect(answer?.headers.upgrade).to.equal(status === 426 ? 'websocket' : undefined);
      expect((await refused)[0].error.code).to.equal('HANDSHAKE_INVALID');
      expect(seen).to.deep.equal([]);
    });
  }

  it('differs from a valid one, of version 13 or 8, which passes', async () => {
    const { port, manager } = await startKernel();

    for (const version of ['13', '8']) {
      const client = await raw({ port });
      await client.write(handshake({ port }, { headers: { 'Sec-WebSocket-Version': version, 'Upgrade': 'WebSocket', 'Connection': 'keep-alive, Upgrade' } }));
      expect((await client.answer())?.status).to.equal(101);
    }
    await eventually('two connections', () => manager.connections.size === 2);
  });
});

describe('a browser that is refused', () => {
  const refuse = (status: number, closeCode?: number) => upgrade(() =>
    raise(new ModuleError('NO', {}, { status, message: 'not you', ...closeCode !== undefined && { closeCode } })));
  const browser = ({ port }: { readonly port: number }) => ({ headers: { Origin: `http://127.0.0.1:${port}` } });

  for (const [name, status, closeCode, expected] of [
    ['401', 401, undefined, 4001], ['403', 403, undefined, 4003], ['401 and a code of its own', 401, 4010, 4010], ['403 and a code that no frame may carry', 403, 42, 4003],
  ] as const) {
    it(`with ${name} sees the close code ${expected}`, async () => {
      const kernel = await startKernel({ use: [refuse(status, closeCode)] });
      const events: string[] = [];
      for (const event of ['connection:added', 'connection:removed'] as const) kernel.manager.on(event, () => void events.push(event));
      const refused = next(kernel.manager, 'connection:refused');

      const client = await kernel.connect(browser(kernel));

      expect(await soon(client.closed)).to.deep.equal({ code: expected, reason: 'NO: not you' });
      expect((await refused)[0]).to.include({ ip: '127.0.0.1' }).and.property('error').to.include({ code: 'NO', status });
      expect(client.messages).to.deep.equal([]);
      expect(events).to.deep.equal([]);
      expect(kernel.manager.getMetrics().connections).to.include({ refusedConnections: 1, totalConnections: 0, activeConnections: 0 });
    });
  }

  it('with another status gets that status over HTTP, so that it tries again', async () => {
    for (const status of [400, 404, 429, 500, 503]) {
      const kernel = await startKernel({ use: [refuse(status, 4001)] });

      expect((await refusal(kernel.connect(browser(kernel)))).status).to.equal(status);
    }
  });

  it('from a page of another origin gets no handshake', async () => {
    const { connect } = await startKernel();

    expect((await refusal(connect({ headers: { Origin: 'https://evil.example' } }))).body).to.include('ORIGIN_REFUSED');
  });

  it('gets the HTTP status with browserRefusals: http, as do other clients', async () => {
    const http = await startKernel({ browserRefusals: 'http', use: [refuse(401)] });
    const close = await startKernel({ use: [refuse(401)] });

    expect((await refusal(http.connect(browser(http)))).status).to.equal(401);
    expect((await refusal(close.connect())).status).to.equal(401);
  });

  it('gets the HTTP status if the handshake cannot be completed', async () => {
    const { port, manager } = await startKernel({ use: [refuse(403)] });
    manager.use(plugin('deflate', (context) => context.transport({ compression: { threshold: 1 } })));
    const client = await raw({ port });
    const extensions = { 'Origin': `http://127.0.0.1:${port}`, 'Sec-WebSocket-Extensions': 'permessage-deflate; a="' };

    await client.write(handshake({ port }, { headers: extensions }));

    expect((await client.answer())?.status).to.equal(403);
  });

  it('is refused with its status as a code by a connection layer, too', async () => {
    const { connect } = await startKernel({ use: [connection(() => raise(new ModuleError('NO', {}, { status: 401 })))] });

    expect((await soon((await connect()).closed)).code).to.equal(4001);
  });
});

describe('what an upgrade layer returns', () => {
  it('is merged into the metadata, like the result of a connection layer', async () => {
    const { manager, connect } = await startKernel({ use: [upgrade(() => ({ tenant: 'acme', ip: '6.6.6.6' })), upgrade(async () => ({ plan: 'free' }), 'other')] });

    await connect();

    expect(only(manager).metadata).to.deep.equal({ ip: '127.0.0.1', tenant: 'acme', plan: 'free' });
  });

  it('refuses with 403 if it is false', async () => {
    const { connect } = await startKernel({ use: [upgrade(async () => false)] });

    const { status, body } = await refusal(connect());

    expect([status, JSON.parse(body).code]).to.deep.equal([403, 'CONNECTION_REFUSED']);
  });
});
