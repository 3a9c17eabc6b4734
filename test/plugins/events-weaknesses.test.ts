import { expect } from 'chai';
import type { AcknowledgementsMissing } from '../../plugins/events.ts';
import { ModuleError } from '../../index.ts';
import { cleanup } from '../support/cleanup.ts';
import { acknowledge, errorsOf, join, serve } from '../support/events.ts';
import { eventually } from '../support/timing.ts';

/** Rejections that nobody handled, while the test runs. */
function unhandled(): unknown[] {
  const rejections: unknown[] = [];
  const listen = (reason: unknown) => rejections.push(reason);
  process.on('unhandledRejection', listen);
  cleanup(() => process.off('unhandledRejection', listen));
  return rejections;
}

const turn = () => new Promise((resolve) => setImmediate(resolve));

// Each of these is how Socket.IO 4.8.4 behaves otherwise.
describe('events, where they differ from Socket.IO', () => {
  it('sends the error of a layer as acknowledgement', async () => {
    const served = await serve();
    const { client, socket } = await join(served);
    socket.use(([event], next) => next(event === 'forbidden' ? Object.assign(new Error('not you'), { data: { needs: 'admin' } }) : undefined));
    socket.use(([event]) => { if (event === 'broken') throw new Error('a secret'); });
    let reached = false;
    socket.on('forbidden', () => (reached = true));

    const refused = await client.request({ type: 'forbidden', ack: true });
    const broken = await client.request({ type: 'broken', ack: true });

    expect(refused).to.deep.include({ type: 'error', content: { code: 'EVENT_REFUSED', message: 'not you', data: { needs: 'admin' } } });
    expect(broken.content).to.deep.equal({ code: 'INTERNAL_ERROR', message: 'the server failed to handle this message' });
    expect(reached).to.be.false;
  });

  it('answers with an error when an asynchronous listener throws, without an unhandled rejection', async () => {
    const rejections = unhandled();
    const served = await serve();
    const errors = errorsOf(served);
    const { client, socket } = await join(served);
    socket.on('save', async () => { throw new Error('the database is down'); });
    socket.on('disconnect', async () => { throw new Error('while leaving'); });

    const answered = await client.request({ type: 'save', content: 1, ack: true });
    const unasked = await client.request({ type: 'save', content: 1 });
    await client.close();
    await eventually('the socket to leave', () => socket.disconnected);
    await turn();

    expect([answered.content.code, unasked.content.code]).to.deep.equal(['INTERNAL_ERROR', 'INTERNAL_ERROR']);
    expect(errors.map(({ message }) => message)).to.deep.equal(['the database is down', 'the database is down', 'while leaving']);
    expect(rejections).to.deep.equal([]);
  });

  it('lets a client in once, however often a layer calls next', async () => {
    const rejections = unhandled();
    const served = await serve();
    const errors = errorsOf(served);
    let count = 0;
    served.io.use(async (_socket, next) => {
      next();
      next();
      throw new Error('after next');
    });
    served.io.use((_socket, next) => {
      next();
      next(new Error('once it was let in'));
    });
    served.io.on('connection', () => count++);

    const { client } = await join(served);
    await client.request({ type: 'ping' });

    expect(count).to.equal(1);
    expect(served.io.sockets.sockets.size).to.equal(1);
    expect(errors.map((error) => error instanceof ModuleError ? error.code : error.message)).to.have.members(['NEXT_TWICE', 'after next', 'NEXT_TWICE']);
    expect(rejections).to.deep.equal([]);
  });

  it('rejects an acknowledgement without time limit when the client leaves', async () => {
    const served = await serve();
    const { client, socket } = await join(served);

    const asked = socket.emitWithAck('question').catch((error: unknown) => (error as ModuleError).code);
    await client.next('question');
    await client.terminate();

    expect(await asked).to.equal('CONNECTION_CLOSED');
  });

  it('ends a broadcast at once when a target leaves, with the other answers, and keeps nothing', async () => {
    const served = await serve();
    const [a, b] = [await join(served), await join(served)];
    const before = served.manager.inspect()['deadlines'];

    const asked = served.io.timeout(60_000).emitWithAck('question').catch((error: unknown) => error as AcknowledgementsMissing);
    await acknowledge(a.client, 'question', { content: 'here' });
    await b.client.terminate();
    const error = await asked as AcknowledgementsMissing;

    expect(error.responses).to.deep.equal(['here']);
    expect(error.missing).to.deep.equal([{ id: b.socket.id, code: 'CONNECTION_CLOSED' }]);
    expect(served.manager.inspect()['deadlines']).to.equal(before);
  });

  it('delays events, in order, while the connection listener awaits', async () => {
    const served = await serve();
    const heard: unknown[] = [];
    let ready!: () => void;
    const loaded = new Promise<void>((resolve) => (ready = resolve));
    served.io.on('connection', async (socket) => {
      await loaded;
      socket.on('say', (text) => void heard.push(text));
    });
    const client = await served.connect();
    for (const content of [1, 2, 3]) await client.send({ type: 'say', content });
    const last = client.request({ type: 'ping' });
    ready();
    await last;

    expect(heard).to.deep.equal([1, 2, 3]);
  });

  it('delays events while layers await', async () => {
    const served = await serve();
    const heard: unknown[] = [];
    served.io.use(async (_socket, next) => {
      await turn();
      next();
    });
    served.io.on('connection', (socket) => socket.on('say', (text) => void heard.push(text)));
    const client = await served.connect();
    for (const content of [1, 2, 3]) await client.send({ type: 'say', content });
    await client.request({ type: 'ping' });

    expect(heard).to.deep.equal([1, 2, 3]);
  });

  it('limits the delay, and the number of delayed events', async () => {
    const served = await serve({ connectTimeout: 60 });
    const errors = errorsOf(served);
    served.io.on('connection', (socket) => {
      socket.on('say', (_, ack) => ack?.('heard'));
      return new Promise(() => undefined);
    });
    const { client, socket } = await join(served);

    for (let count = 0; count < 200; count++) void client.send({ type: 'say', content: count });
    await eventually('it is not read from', () => socket.connection.isPaused);
    const answer = await client.request({ type: 'say', content: 'last', ack: true });

    expect(answer.content).to.equal('heard');
    expect(errors.map((error) => (error as ModuleError).code)).to.deep.equal(['HANDSHAKE_TIMEOUT']);
  });

  it('returns false from emit for a client that does not read', async () => {
    const served = await serve({}, { outbox: { limit: 1_048_576, policy: 'drop-newest' } });
    const { client, socket } = await join(served);
    client.ws.pause();
    const text = 'x'.repeat(100_000);

    let sent = 0;
    while (sent < 500 && socket.emit('news', text)) sent++;
    const highest = socket.connection.waitingBytes;

    expect(sent).to.be.below(500);
    expect(highest).to.be.below(2_000_000);
    expect(served.io.emit('news', text)).to.be.false;
    expect(socket.emit('news', text)).to.be.false;
  });
});
