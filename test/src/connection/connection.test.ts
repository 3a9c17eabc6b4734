import { once } from 'node:events';
import { expect } from 'chai';
import fc from 'fast-check';
import { validate } from 'uuid';
import type { WebSocket } from 'ws';
import { frame, TEXT } from '../../support/frames.ts';
import { handshake, raw } from '../../support/raw.ts';
import { eventually } from '../../support/timing.ts';
import { anyText } from '../any-text.ts';
import { codeOf, deferred, next, only, soon, startKernel } from '../start-kernel.ts';

/** A client that can be asked, and the server's side of it. */
async function asked(options: Parameters<typeof startKernel>[0] = {}) {
  const kernel = await startKernel(options);
  const client = await kernel.connect();
  return { ...kernel, client, connection: only(kernel.manager) };
}

describe('a connection', () => {
  it('has an id, an address and a secret session id', async () => {
    const { connection, manager } = await asked({ nodeId: 'north' });

    expect(connection.id).to.match(/^north\.[\da-f-]{36}$/);
    expect(connection.sessionId).to.match(/^[\w-]{22}$/);
    expect(connection).to.include({ ip: '127.0.0.1', protocol: '', isOpen: true, user: undefined });
    expect(Date.now() - connection.connectedAt).to.be.within(0, 5_000);
    expect(connection.age).to.be.within(0, 5_000);
    expect(JSON.stringify(connection)).to.not.include(connection.sessionId);
    expect(() => structuredClone(connection.metadata)).to.not.throw();
    expect(manager.connections.get(connection.id)).to.equal(connection);
  });

  it('sends messages with an id and a time, and bytes as a binary frame', async () => {
    const { connection, client } = await asked();

    const sent = [connection.send({ type: 'news', content: 1 }), connection.send({ type: 'own', id: 'mine', timestamp: 't' }), connection.send(Buffer.from('abc'))];

    expect(sent).to.deep.equal([true, true, true]);
    const news = await client.next('news');
    expect(news).to.include({ content: 1 });
    expect(validate(news.id)).to.be.true;
    expect(Date.now() - Date.parse(news.timestamp as string)).to.be.within(-5, 5_000);
    expect(await client.next('own')).to.include({ id: 'mine', timestamp: 't' });
    expect((await client.next('binary')).content).to.deep.equal(Buffer.from('abc'));
  });

  it('sends in the order of the calls, with the close frame last', async () => {
    const { connection, client } = await asked();

    for (let n = 0; n < 300; n++) connection.send({ type: 'tick', content: n });
    connection.close(4010, 'done');

    expect(await client.closed).to.deep.equal({ code: 4010, reason: 'done' });
    expect(client.messages.map(({ content }) => content as number)).to.deep.equal(Array.from({ length: 300 }, (_, n) => n));
  });

  it('returns false and emits message:dropped when it is closed', async () => {
    const { connection, client, manager } = await asked();
    await client.close();
    await eventually('no connection', () => manager.connections.size === 0);
    const dropped = next(manager, 'message:dropped');

    expect(connection.send({ type: 'late' })).to.be.false;
    expect((await dropped)[0]).to.include({ code: 'CONNECTION_CLOSED' });
  });

  it('returns false for an invalid message, and reports the reason', async () => {
    const { connection, failures } = await asked();
    const circular: Record<string, unknown> = { type: 'x' };
    circular.self = circular;

    const sent = [undefined, {}, { type: 5 }, circular].map((message) => connection.send(message as never));

    expect(sent).to.deep.equal([false, false, false, false]);
    expect(failures.map(({ error }) => error.code)).to.deep.equal(Array(4).fill('UNSENDABLE_MESSAGE'));
  });

  it('rejects close codes that are invalid in a frame', async () => {
    const { connection } = await asked();

    for (const code of [0, 999, 1004, 1005, 1006, 1015, 2000, 2999, 5000, 1000.5, NaN]) expect(() => connection.close(code), String(code)).to.throw().with.property('code', 'OPTION_INVALID');
    expect(connection.isOpen).to.be.true;
  });

  it('cuts a close reason to 123 bytes, never within a character', async () => {
    const { manager, connect } = await startKernel();
    const reasons = fc.oneof(anyText({ maxLength: 200 }), fc.string({ unit: 'grapheme', minLength: 40, maxLength: 130 }));
    await fc.assert(fc.asyncProperty(reasons, async (reason) => {
      const added = next(manager, 'connection:added');
      const client = await connect();
      (await added)[0].close(4010, reason);
      const closed = await client.closed;

      expect(closed.code).to.equal(4010);
      expect(Buffer.byteLength(closed.reason)).to.be.at.most(123);
      // A lone surrogate is written as U+FFFD.
      expect(Buffer.from(reason).toString().startsWith(closed.reason)).to.be.true;
      expect(Buffer.byteLength(closed.reason), 'no more is cut than must be').to.be.above(Math.min(119, Buffer.byteLength(reason) - 1));
    }), { numRuns: 40 });
  });

  it('is removed with the code and reason of the first close', async () => {
    const { manager, client } = await asked();
    const removed = next(manager, 'connection:removed');

    await client.close(4500, 'bye');

    expect((await removed)[1]).to.deep.equal({ code: 4500, reason: 'bye' });
  });

  it('that is paused at the limit is removed soon after it is closed', async () => {
    const { manager, client, connection } = await asked({ message: { maxWaiting: 2 }, heartbeat: { interval: 30_000, timeout: 3_000 } });
    manager.registerHandler('hang', () => new Promise(() => {}));
    for (let each = 0; each < 20; each++) void client.send({ type: 'hang' });
    await eventually('a paused socket', () => (connection as unknown as { isPaused: boolean }).isPaused);
    const removed = next(manager, 'connection:removed');

    connection.close(4010, 'kicked');

    // A second after it is closed, and not when a heartbeat fails, after half a minute.
    await soon(removed);
  });
});

describe('a request to a client', () => {
  it('resolves with the client\'s reply', async () => {
    const { connection, client } = await asked();

    const answer = connection.request({ type: 'question', content: 1 });
    const question = await client.next('question');
    void client.send({ type: 'answer', content: 42, replyTo: question.id });

    expect(question).to.include({ ack: true, content: 1 });
    expect(await answer).to.include({ type: 'answer', content: 42 });
  });

  it('resolves with the client\'s acknowledgement', async () => {
    const { manager, connection, client } = await asked();

    const answer = manager.request(connection.id, { type: 'question', id: 'q' });
    await client.next('question');
    void client.send({ type: 'ack', replyTo: 'q' });

    expect(await answer).to.include({ type: 'ack', replyTo: 'q' });
  });

  it('is sent again, with the same id, until it is answered', async () => {
    const { connection, client } = await asked();

    const answer = connection.request({ type: 'question' }, { timeout: 20, retries: 5 });
    const ids = [(await client.next('question')).id, (await client.next('question')).id, (await client.next('question')).id];
    void client.send({ type: 'ack', replyTo: ids[0] });
    await answer;

    expect(new Set(ids).size).to.equal(1);
  });

  it('rejects with REQUEST_TIMEOUT after the last retry', async () => {
    const { connection, client, manager } = await asked();

    const code = await codeOf(connection.request({ type: 'question' }, { timeout: 15, retries: 2 }));
    client.ws.ping();
    await once(client.ws, 'pong');

    expect(code).to.equal('REQUEST_TIMEOUT');
    expect(client.messages.filter(({ type }) => type === 'question')).to.have.lengthOf(3);
    expect(manager.inspect()).to.include({ deadlines: 0 });
  });

  it('uses message.timeout and message.maxRetries by default', async () => {
    const { connection, client } = await asked({ message: { timeout: 15, maxRetries: 1 } });

    expect(await codeOf(connection.request({ type: 'question' }))).to.equal('REQUEST_TIMEOUT');
    expect(client.messages).to.have.lengthOf(2);
  });

  it('rejects with REQUEST_ABORTED, before and while it waits', async () => {
    const { connection, manager } = await asked();
    const abort = new AbortController();
    const waiting = codeOf(connection.request({ type: 'question' }, { signal: abort.signal }));

    abort.abort(new Error('enough'));

    expect(await waiting).to.equal('REQUEST_ABORTED');
    expect(await codeOf(connection.request({ type: 'question' }, { signal: abort.signal }))).to.equal('REQUEST_ABORTED');
    expect(manager.inspect()).to.include({ deadlines: 0 });
  });

  it('rejects with CONNECTION_CLOSED when the client leaves or has left', async () => {
    const { connection, client, manager } = await asked();
    const waiting = codeOf(connection.request({ type: 'question' }));

    await client.terminate();

    expect(await waiting).to.equal('CONNECTION_CLOSED');
    expect(await codeOf(connection.request({ type: 'question' }))).to.equal('CONNECTION_CLOSED');
    expect(await codeOf(manager.request(connection.id, { type: 'question' }))).to.equal('CONNECTION_UNKNOWN');
  });

  it('rejects with TOO_MANY_REQUESTS beyond 1,024 that wait', async () => {
    const { connection, client } = await asked();
    const waiting = Array.from({ length: 1_024 }, () => codeOf(connection.request({ type: 'question' })));

    const code = await codeOf(connection.request({ type: 'question' }));
    await client.terminate();

    expect(code).to.equal('TOO_MANY_REQUESTS');
    expect(new Set(await Promise.all(waiting))).to.deep.equal(new Set(['CONNECTION_CLOSED']));
  });

  it('counts the requests to one address or user together, and leaves room for other clients', async () => {
    const { connect, manager } = await startKernel({ trustProxy: ['loopback'] });
    const open = async (address: string) => {
      const before = new Set(manager.connections.keys());
      const client = await connect({ headers: { 'x-forwarded-for': address } });
      return { client, connection: [...manager.connections.values()].find(({ id }) => !before.has(id))! };
    };
    const [a, b, other] = [await open('192.0.2.1'), await open('192.0.2.1'), await open('192.0.2.2')];
    const ask = (to: typeof a, count: number) =>
      Array.from({ length: count }, () => codeOf(to.connection.request({ type: 'question' })));

    const waiting = [...ask(a, 1_024), ...ask(b, 16)];
    const refused = await codeOf(b.connection.request({ type: 'question' }));
    const counted = manager.inspect();
    waiting.push(...ask(other, 100));
    const stillWait = new Promise<string>((resolve) => setImmediate(resolve, 'waits'));
    const first = await Promise.race([...waiting, stillWait]);
    for (const { client } of [a, b, other]) await client.terminate();

    expect(refused).to.equal('TOO_MANY_REQUESTS');
    expect(counted).to.include({ countedRequests: 1_024 });
    expect(first).to.equal('waits');
    expect(new Set(await Promise.all(waiting))).to.deep.equal(new Set(['CONNECTION_CLOSED']));
    expect(manager.inspect()).to.include({ countedRequests: 0, deadlines: 0 });
  });

  it('refuses counted requests beyond message.maxRequests, but never the first 8 of a connection', async () => {
    const { connection, client } = await asked({ message: { maxRequests: 2 } });
    const waiting = Array.from({ length: 10 }, () => codeOf(connection.request({ type: 'question' })));

    const refused = await connection.request({ type: 'question' }).catch((error: unknown) => error);
    await client.terminate();

    expect(refused).to.include({ code: 'TOO_MANY_REQUESTS', message: '2 requests to this user or address already wait for a reply' });
    expect(new Set(await Promise.all(waiting))).to.deep.equal(new Set(['CONNECTION_CLOSED']));
  });

  it('rejects a second of the same id while the first one waits', async () => {
    const { connection, client } = await asked();
    const first = connection.request({ type: 'question', id: 'q' });

    const code = await codeOf(connection.request({ type: 'question', id: 'q' }));
    void client.send({ type: 'ack', replyTo: 'q' });

    expect(code).to.equal('UNSENDABLE_MESSAGE');
    expect(await first).to.include({ type: 'ack' });
  });

  it('rejects at once where the message cannot be written', async () => {
    const { connection } = await asked();

    const code = await Promise.race([codeOf(connection.request({ type: 'question', content: 1n })), eventually('nothing', () => false, 5_000).catch(() => 'still waiting')]);

    expect(code).to.equal('UNSENDABLE_MESSAGE');
  });

  it('sends no error for a second answer to a request that was sent twice', async () => {
    const { connection, client, manager } = await asked();
    manager.registerHandler('next', () => 'still served');
    client.ws.on('message', (data: Buffer) => {
      const { type, id } = JSON.parse(data.toString()) as { type: string; id: string };
      if (type !== 'question') return;
      void client.send({ type: 'answer', replyTo: id });
      void client.send({ type: 'answer', replyTo: id });
    });

    await connection.request({ type: 'question' });
    await client.request({ type: 'next' });

    expect(client.messages.filter(({ type }) => type === 'error')).to.deep.equal([]);
  });

  it('is not settled by another client\'s reply', async () => {
    const { connection, client, connect } = await asked();
    const other = await connect();
    const answer = connection.request({ type: 'question', id: 'q' });

    await other.send({ type: 'ack', replyTo: 'q', content: 'forged' });
    const error = other.next('error').catch(() => undefined);
    await client.next('question');
    void client.send({ type: 'ack', replyTo: 'q', content: 'true' });

    expect((await answer).content).to.equal('true');
    await other.close();
    await error;
  });
});

describe('messages that arrive before the connection layers have finished', () => {
  it('are held, and handled in order afterwards', async () => {
    const gate = deferred();
    const { manager, connect } = await startKernel({ use: [{ type: 'connection', name: 'slow', handler: () => gate.promise }] });
    const order: number[] = [];
    manager.registerHandler('ask', (message) => order.push(message.content as number));
    const client = await connect();

    const replies = [0, 1, 2].map((content) => client.request({ type: 'ask', content }));
    await eventually('an upgrade in progress', () => manager.inspect().pendingUpgrades === 1);
    const early = [...order];
    gate.resolve();
    await Promise.all(replies);

    expect(early).to.deep.equal([]);
    expect(order).to.deep.equal([0, 1, 2]);
  });

  it('are handled if they arrived in one packet with the handshake', async () => {
    const gate = deferred();
    const { manager, port } = await startKernel({ use: [{ type: 'connection', name: 'slow', handler: () => gate.promise }] });
    manager.registerHandler('ask', (message) => ({ type: 'answer', content: message.content }));
    const client = await raw({ port });
    await client.write(Buffer.concat([Buffer.from(handshake({ port })), frame(TEXT, '{"type":"ask","content":1}'), frame(TEXT, '{"type":"ask","content":2}')]));
    await client.answer();

    gate.resolve();
    await client.until('two answers', () => client.frames.length >= 2);

    expect(client.frames.map(({ payload }) => (JSON.parse(payload.toString()) as { content: number }).content)).to.deep.equal([1, 2]);
  });

  it('are not handled if a listener of connection:added closes the connection', async () => {
    const gate = deferred();
    const { manager, connect } = await startKernel({ use: [{ type: 'connection', name: 'slow', handler: () => gate.promise }] });
    let handled = 0;
    manager.registerHandler('pay', () => ++handled);
    manager.on('connection:added', (connection) => connection.close(4000, 'not you'));
    const client = await connect();
    await Promise.all([client.send({ type: 'pay' }), client.send({ type: 'pay' })]);
    await eventually('an upgrade in progress', () => manager.inspect().pendingUpgrades === 1);

    gate.resolve();

    expect((await client.closed).code).to.equal(4000);
    expect(handled).to.equal(0);
  });

  it('are bounded in bytes too: after one large message, the socket is paused', async () => {
    const gate = deferred();
    let socket: WebSocket | undefined;
    const { manager, connect } = await startKernel({ use: [{ type: 'connection', name: 'slow', handler: (ws) => {
      socket = ws as WebSocket;
      return gate.promise;
    } }] });
    manager.registerHandler('ask', () => 'done');
    const client = await connect();

    const replies = Array.from({ length: 12 }, () => client.request({ type: 'ask', wide: 'x'.repeat(500_000) }, 8_000));
    await eventually('a paused socket', () => socket?.isPaused);
    const { bytesRead } = (socket as unknown as { readonly _socket: { readonly bytesRead: number } })._socket;
    gate.resolve();

    expect((await Promise.all(replies)).map(({ content }) => content as string)).to.deep.equal(Array(12).fill('done'));
    expect(bytesRead).to.be.below(1_200_000);
  });

  for (const [how, handle] of [['at once', (n: number) => n], ['later', async (n: number) => n]] as const) {
    it(`are bounded: the socket is paused at the limit, and none is lost (handled ${how})`, async () => {
      const gate = deferred();
      let socket: WebSocket | undefined;
      const { manager, connect } = await startKernel({ message: { maxWaiting: 4 }, use: [{ type: 'connection', name: 'slow', handler: (ws) => {
        socket = ws as WebSocket;
        return gate.promise;
      } }] });
      let handled = 0;
      manager.registerHandler('ask', () => handle(++handled));
      const client = await connect();
      const wide = 'x'.repeat(4_000);

      const replies = Array.from({ length: 1_500 }, () => client.request({ type: 'ask', wide }, 8_000));
      await eventually('a paused socket', () => socket?.isPaused);
      gate.resolve();
      const contents = (await Promise.all(replies)).map(({ content }) => content as number);

      expect(contents).to.deep.equal(Array.from({ length: 1_500 }, (_, n) => n + 1));
    });
  }
});
