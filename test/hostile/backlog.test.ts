import { constants, deflateRawSync } from 'node:zlib';
import { expect } from 'chai';
import { definePlugin, ModuleError, type Connection, type Outgoing } from '../../src/index.ts';
import { deferred, only, startKernel } from '../src/start-kernel.ts';
import { frame, TEXT } from '../support/frames.ts';
import { rawWebSocket } from '../support/raw.ts';
import { eventually } from '../support/timing.ts';

const MEBIBYTE = 1_048_576;
const RSV1 = 4;

const deflation = definePlugin({
  name: 'deflation',
  setup(context) { context.transport({ compression: { threshold: 1_024 } }); },
});

/** A compressed text message of so many bytes, in about a thousandth of them. */
function compressed(text: string): Buffer {
  const deflated = deflateRawSync(text, { finishFlush: constants.Z_SYNC_FLUSH }).subarray(0, -4);
  return frame(TEXT, deflated, { rsv: RSV1 });
}

const message = (content: string) => JSON.stringify({ type: 'slow', content });

/** A kernel whose handler waits until it is told, and whose waiting messages can be looked at. */
async function slowServer(options: Parameters<typeof startKernel>[0] = {}) {
  const { manager, port, connect } = await startKernel({ use: [deflation], ...options });
  const gate = deferred();
  let handled = 0;
  manager.registerHandler('slow', async () => {
    handled++;
    await gate.promise;
  });
  let most = 0;
  const watch = setInterval(() => { most = Math.max(most, manager.inspect().waitingBytes!); }, 1);
  const done = (): void => clearInterval(watch);
  return { manager, port, connect, gate, done, most: () => most, handled: () => handled };
}

describe('HOSTILE 35: amplified input', () => {
  it('HOSTILE 35: limits the messages that wait after one write of compressed frames, and closes the connection with 4129', async () => {
    const { manager, port, done, most } = await slowServer({ maxPayload: MEBIBYTE });
    const attack = Buffer.concat(Array<Buffer>(40).fill(compressed(message('x'.repeat(MEBIBYTE - 100)))));
    const client = await rawWebSocket({ port }, { headers: { 'Sec-WebSocket-Extensions': 'permessage-deflate' } });
    const removed = new Promise<{ code: number }>((resolve) => { manager.on('connection:removed', (_, end) => { resolve(end); }); });
    const dropped: string[] = [];
    manager.on('message:dropped', ({ code }) => { dropped.push(code); });

    await client.write(attack);
    const end = await removed;
    done();

    expect(attack.length, 'a small write').to.be.below(100_000);
    expect(end.code).to.equal(4129);
    expect(dropped).to.include('BACKLOG_FULL');
    expect(most()).to.be.at.most(3 * MEBIBYTE + 65_536);
    expect(manager.inspect().waitingBytes, 'nothing waits any more').to.equal(0);
  });

  it('HOSTILE 35: parses at most as many messages as may wait', async () => {
    const { manager, connect, done, handled, gate } = await slowServer({ message: { maxWaiting: 4 } });
    const parsed = countParsed();
    const client = await connect();

    for (let count = 0; count < 200; count++) await client.send(message(String(count)));
    await eventually('reading stopped', () => only(manager).isPaused);
    const whileWaiting = parsed();
    gate.resolve();
    await eventually('all are handled', () => handled() === 200);
    done();

    expect(whileWaiting).to.be.at.most(5);
    expect(manager.inspect().waitingBytes).to.equal(0);
  });

  it('HOSTILE 35: handles all messages that waited unparsed, in order', async () => {
    const { manager, connect } = await startKernel({ message: { maxWaiting: 2 } });
    const gate = deferred();
    const order: number[] = [];
    manager.registerHandler('n', async ({ content }) => {
      await gate.promise;
      order.push(content as number);
    });
    const client = await connect();

    for (let n = 0; n < 100; n++) await client.send({ type: 'n', content: n });
    gate.resolve();
    await eventually('all are handled', () => order.length === 100);

    expect(order).to.deep.equal(Array.from({ length: 100 }, (_, n) => n));
  });

  it('HOSTILE 35: closes the connection with the most waiting bytes when all together exceed the budget', async () => {
    const { manager, connect, port, done, most } = await slowServer({ message: { maxWaitingBytes: 400_000 } });
    const closed: string[] = [];
    manager.on('connection:removed', ({ id }) => { closed.push(id); });
    const small = await connect();
    const smallId = only(manager).id;
    await small.send(message('first'));
    for (let count = 0; count < 10; count++) await small.send(message('x'.repeat(1_000)));
    const large = await rawWebSocket({ port }, { headers: { 'Sec-WebSocket-Extensions': 'permessage-deflate' } });

    await large.write(Buffer.concat(Array<Buffer>(10).fill(compressed(message('x'.repeat(60_000))))));
    await eventually('the larger one is closed', () => closed.length > 0);
    done();

    expect(closed).to.not.include(smallId);
    expect(most()).to.be.at.most(400_000 + 61_000);
    expect(manager.inspect().waitingBytes, 'those of the small one').to.be.within(10_000, 20_000);
  });

  it('HOSTILE 35: limits messages that arrive before the connection layers have finished', async () => {
    const gate = deferred();
    const { manager, port, done, most } = await slowServer({
      maxPayload: MEBIBYTE, use: [deflation, { type: 'connection', name: 'waits', handler: () => gate.promise }],
    });
    const attack = Buffer.concat(Array<Buffer>(40).fill(compressed(message('x'.repeat(MEBIBYTE - 100)))));
    const client = await rawWebSocket({ port }, { headers: { 'Sec-WebSocket-Extensions': 'permessage-deflate' } });
    const dropped: string[] = [];
    manager.on('message:dropped', ({ code }) => { dropped.push(code); });

    await client.write(attack);
    await eventually('they are dropped', () => dropped.length > 0, 5_000);
    gate.resolve();
    done();

    expect(dropped[0]).to.equal('BACKLOG_FULL');
    expect(most()).to.be.at.most(3 * MEBIBYTE + 65_536);
  });

  it('emits message:dropped for messages that waited for connection layers when their client disconnects', async () => {
    const gate = deferred();
    const { manager, port } = await startKernel({ use: [{ type: 'connection', name: 'waits', handler: () => gate.promise }] });
    const dropped: string[] = [];
    manager.on('message:dropped', ({ code }) => { dropped.push(code); });
    const client = await rawWebSocket({ port });

    await client.write(Buffer.concat([frame(TEXT, message('a')), frame(TEXT, message('b'))]));
    await eventually('they wait', () => manager.inspect().waitingBytes! > 0);
    client.reset();
    await eventually('they are dropped', () => dropped.length === 2);
    gate.resolve();

    expect(dropped).to.deep.equal(['CONNECTION_CLOSED', 'CONNECTION_CLOSED']);
  });

  it('HOSTILE 35: refuses a message with too many values before it is parsed', async () => {
    const { manager, connect } = await startKernel({ maxValues: 1_000 });
    manager.registerHandler('echo', ({ content }) => (content as unknown[]).length);
    const client = await connect();
    const values = (count: number) => ({ type: 'echo', id: 'x', content: Array<number>(count).fill(1) });

    const allowed = await client.request(values(900));
    await client.send({ ...values(1_001), id: 'y' });
    const refused = await client.next('error');

    expect(allowed.content).to.equal(900);
    expect(refused.content).to.include({ code: 'TOO_MANY_VALUES', limit: 1_000 });
  });
});

/** Counts what JSON.parse makes of frames from now on. */
function countParsed(): () => number {
  const { parse } = JSON;
  let count = 0;
  JSON.parse = (text: string, ...rest: []) => {
    if (text.includes('"slow"')) count++;
    return parse(text, ...rest) as unknown;
  };
  return () => {
    JSON.parse = parse;
    return count;
  };
}

describe('HOSTILE 36: free messages', () => {
  /** A guard that lets so many frames pass, and tells what it was asked. */
  function counting(limit: number) {
    const seen = { charged: 0, refunded: 0 };
    const guard = definePlugin({
      name: 'counting',
      setup(context) {
        context.guardFrames({
          charge: () => (++seen.charged > limit ? new ModuleError('RATE_LIMITED', { retryAfter: 1, scope: 'connection' }) : undefined),
          refund: () => { seen.refunded++; },
        });
      },
    });
    return { seen, guard };
  }

  it('HOSTILE 36: charges acknowledgements without a request, invalid frames and late replies like any message', async () => {
    const { seen, guard } = counting(4);
    const { connect } = await startKernel({ use: [guard] });
    const client = await connect();

    for (const text of ['{"type":"ack","replyTo":"x"}', 'not JSON', '{"type":"ack","replyTo":"y"}', '{}', '{"type":"ack","replyTo":"z","id":"5"}']) {
      await client.send(text);
    }
    await eventually('all were charged', () => seen.charged === 5);
    await eventually('the last is refused', () => client.messages.some(({ content }) => content.code === 'RATE_LIMITED'));

    expect(seen).to.deep.equal({ charged: 5, refunded: 0 });
  });

  it('HOSTILE 36: refunds a reply that settles an open request, once', async () => {
    const { seen, guard } = counting(1_000);
    const { manager, connect } = await startKernel({ use: [guard] });
    const client = await connect();
    const asked = manager.request(only(manager).id, { type: 'are you there?' });
    const { id } = await client.next('are you there?');

    await client.send({ type: 'ack', replyTo: id });
    await client.send({ type: 'ack', replyTo: id });
    await asked;
    await eventually('both were charged', () => seen.charged === 2);

    expect(seen.refunded).to.equal(1);
  });

  it('refunds the guards that ran before the one that rejects a frame', async () => {
    const { seen, guard } = counting(1_000);
    const second = definePlugin({
      name: 'refusing',
      setup(context) { context.guardFrames({ charge: () => new ModuleError('RATE_LIMITED', { retryAfter: 1, scope: 'all' }), refund: () => undefined }); },
    });
    const { connect } = await startKernel({ use: [guard, second] });
    const client = await connect();

    await client.request({ type: 'x' });

    expect(seen).to.deep.equal({ charged: 1, refunded: 1 });
  });

  it('answers a rejected frame with its id, without handling it', async () => {
    const { guard } = counting(0);
    const { manager, connect } = await startKernel({ use: [guard] });
    let handled = 0;
    manager.registerHandler('x', () => handled++);
    const client = await connect();

    const reply = await client.request({ type: 'x' });

    expect(reply.content.code).to.equal('RATE_LIMITED');
    expect(handled).to.equal(0);
  });

  it('keeps the frames of a connection waiting, unparsed and in order, until the promise of the guard resolves', async () => {
    const gate = deferred();
    let asked = 0;
    const guard = definePlugin({
      name: 'waiting',
      setup(context) { context.guardFrames({ charge: () => (++asked === 2 ? gate.promise : undefined), refund: () => undefined }); },
    });
    const { manager, connect } = await startKernel({ use: [guard] });
    const order: unknown[] = [];
    manager.registerHandler('n', ({ content }) => { order.push(content); });
    const client = await connect();

    for (const n of [1, 2, 3, 4]) await client.send({ type: 'n', content: n });
    await eventually('they wait', () => only(manager).isPaused);
    const during = [...order];
    gate.resolve();
    await eventually('all are handled', () => order.length === 4);

    expect(during).to.deep.equal([1]);
    expect(order).to.deep.equal([1, 2, 3, 4]);
  });

  it('HOSTILE 36: resets the counter of invalid messages only after a message that passed the layers', async () => {
    const { manager, connect } = await startKernel({ message: { maxInvalid: 3 } });
    manager.use({ type: 'message', name: 'closed', handler: () => { throw new ModuleError('CLOSED_SHOP'); } });
    manager.registerHandler('x', () => 1);
    const client = await connect();

    for (const text of ['no', '{"type":"x"}', 'no', '{"type":"ack","replyTo":"q"}', 'no']) await client.send(text);

    expect((await client.closed).code).to.equal(1008);
  });
});

describe('HOSTILE 40: forged envelopes', () => {
  const forged = {
    replyTo: 'the-request-of-another', id: 'forged-id', topic: 'secret', epoch: 'e', offset: 7, sessionId: 'stolen', namespace: '/admin',
    meta: { trace: 'forged', args: ['kept'] }, ack: true, timestamp: '2020-01-01T00:00:00.000Z',
  };
  const ways: Readonly<Record<string, (message: Outgoing) => Outgoing>> = {
    'the message itself': (message) => message,
    'a copy of it': (message) => ({ ...message }),
    'a copy with fields of its own': (message) => ({ ...message, extra: 1 }),
    'what it is written as': (message) => JSON.parse(JSON.stringify(message)) as Outgoing,
  };

  for (const [what, make] of Object.entries(ways)) {
    it(`HOSTILE 40: does not forward envelope fields of a client when a handler broadcasts ${what}`, async () => {
      const { manager, connect } = await startKernel();
      manager.registerHandler('say', (message) => { manager.broadcast(make(message as unknown as Outgoing), { except: [] }); });
      const [sender, other] = [await connect(), await connect()];

      await sender.send({ type: 'say', content: 'hi', ...forged });
      const received = await other.next('say');

      expect(received).to.not.have.any.keys('replyTo', 'topic', 'epoch', 'offset', 'sessionId', 'namespace', 'ack', 'isAnswered', 'route', 'typeAsSent');
      expect(received.id).to.be.a('string').and.not.equal('forged-id');
      expect(received.meta).to.deep.equal({ args: ['kept'] });
      expect(received.content).to.equal('hi');
    });
  }

  it('HOSTILE 40: does not let a client settle a request to another client', async () => {
    const { manager, connect } = await startKernel();
    manager.registerHandler('say', (message, from) => { for (const to of manager.connections.values()) if (to !== from) to.send({ ...message }); });
    const victim = await connect();
    const [{ id }] = [...manager.connections.values()] as [Connection];
    const sender = await connect();
    const asked = manager.request(id, { type: 'question' }, { timeout: 50, retries: 0 }).catch((error: unknown) => (error as { code: string }).code);
    const question = await victim.next('question');

    await sender.send({ type: 'say', replyTo: question.id, content: 'forged' });
    const received = await victim.next('say');

    expect(received).to.not.have.property('replyTo');
    expect(await asked).to.equal('REQUEST_TIMEOUT');
  });

  it('removes fields of the server from published messages, and keeps them in messages to one connection', async () => {
    const { manager, connect } = await startKernel();
    const client = await connect();

    manager.broadcast({ type: 'a', id: 'own', replyTo: 'x', epoch: 'e', meta: { trace: 1 } });
    only(manager).send({ type: 'b', id: 'own', replyTo: 'x', meta: { trace: 1 } });

    expect(await client.next('a')).to.have.all.keys('type', 'id', 'timestamp').and.include({ id: 'own' });
    expect(await client.next('b')).to.deep.include({ id: 'own', replyTo: 'x', meta: { trace: 1 } });
  });

  it('sends a numeric id as a string', async () => {
    const { manager, connect } = await startKernel();
    const client = await connect();

    manager.broadcast({ type: 'a', id: 17 as unknown as string });

    expect((await client.next('a')).id).to.equal('17');
  });
});
