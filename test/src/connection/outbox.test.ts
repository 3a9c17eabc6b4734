import { expect } from 'chai';
import type { Connection } from '../../../index.ts';
import { eventually } from '../../support/timing.ts';
import { next, startKernel } from '../start-kernel.ts';

const KB = 1_024;
const SIZE = 16 * KB;
/** More than the operating system's buffers of a loopback connection hold. */
const MANY = 1_000;

/** A client that reads nothing, and one that reads; both get messages of 16 KB. */
async function slowReader(policy: 'disconnect' | 'drop-newest' | 'drop-oldest') {
  const kernel = await startKernel({ outbox: { limit: 256 * KB, policy } });
  const added = next(kernel.manager, 'connection:added');
  const slow = await kernel.connect();
  const [connection] = await added;
  const quick = await kernel.connect();
  slow.ws.pause();
  const dropped: string[] = [];
  kernel.manager.on('message:dropped', ({ code, connection: to }) => void dropped.push(`${code}${to === connection ? '' : ' of another'}`));
  const publish = async (from: number, to: number): Promise<number[]> => {
    const counts: number[] = [];
    for (let n = from; n < to; n++) {
      counts.push(kernel.manager.broadcast({ type: 'tick', content: n, padding: 'x'.repeat(SIZE) }));
      if (n % 8 === 7) await eventually(`${n} to arrive`, () => (quick.messages.at(-1)?.content as number | undefined) === n);
    }
    return counts;
  };
  const numbers = (client: typeof slow): number[] => client.messages.filter(({ type }) => type === 'tick').map(({ content }) => content as number);
  return { ...kernel, slow, quick, connection, dropped, publish, numbers };
}

const upTo = (count: number) => Array.from({ length: count }, (_, n) => n);

describe('HOSTILE 9: a client that reads too slowly', () => {
  it('HOSTILE 9: is disconnected with 4108 by default, and the others receive all messages in order', async () => {
    const { manager, slow, quick, dropped, publish, numbers } = await slowReader('disconnect');
    const removed = next(manager, 'connection:removed');

    await publish(0, MANY);
    const [, reason] = await removed;
    slow.ws.resume();
    const closed = await slow.closed;

    expect(reason).to.deep.equal({ code: 4108, reason: 'slow consumer' });
    expect(closed.code).to.be.oneOf([4108, 1006]);
    expect(numbers(quick)).to.deep.equal(upTo(MANY));
    expect(numbers(slow), 'what it got has no gap').to.deep.equal(upTo(numbers(slow).length));
    expect(dropped.filter((code) => code.endsWith('of another'))).to.deep.equal([]);
    expect(dropped, 'told of what it did not get').to.include('OUTBOX_FULL');
  }).timeout(60_000);

  it('HOSTILE 9: receives the oldest messages with drop-newest, until it reads again', async () => {
    const { manager, slow, quick, dropped, publish, numbers } = await slowReader('drop-newest');

    const counts = await publish(0, MANY);
    slow.ws.resume();
    await manager.drained();
    manager.broadcast({ type: 'end' });
    await slow.next('end', 5_000);

    const got = numbers(slow);
    expect(got, 'the first ones, without a gap').to.deep.equal(upTo(got.length));
    expect(got.length).to.be.below(MANY);
    expect(dropped).to.deep.equal(Array(MANY - got.length).fill('OUTBOX_FULL'));
    expect(counts.filter((count) => count === 1), 'a drop is not counted as sent').to.have.lengthOf(MANY - got.length);
    expect(manager.getMetrics().messages.droppedMessages).to.equal(MANY - got.length);
    expect(numbers(quick)).to.deep.equal(upTo(MANY));
  }).timeout(60_000);

  it('HOSTILE 9: receives the newest messages with drop-oldest, in order', async () => {
    const { slow, quick, dropped, publish, numbers } = await slowReader('drop-oldest');

    await publish(0, MANY);
    slow.ws.resume();
    await eventually('the newest', () => numbers(slow).at(-1) === MANY - 1);

    const got = numbers(slow);
    expect(got).to.deep.equal([...got].sort((a, b) => a - b));
    expect(got.length).to.be.below(MANY);
    expect(dropped).to.have.lengthOf(MANY - got.length);
    expect(numbers(quick)).to.deep.equal(upTo(MANY));
  }).timeout(60_000);

  it('HOSTILE 9: receives the newest messages with drop-oldest even if each turn sends nearly the limit', async () => {
    const { manager, slow, numbers } = await slowReader('drop-oldest');
    const burst = 15;

    for (let n = 0; n < MANY; n++) {
      manager.broadcast({ type: 'tick', content: n, padding: 'x'.repeat(SIZE) });
      if (n % burst === burst - 1) await new Promise(setImmediate);
    }
    slow.ws.resume();

    await eventually('the newest', () => numbers(slow).at(-1) === MANY - 1 || numbers(slow).at(-1));
    expect(numbers(slow).length).to.be.below(MANY);
  }).timeout(60_000);

  it('HOSTILE 9: queues at most the limit and one message', async () => {
    for (const policy of ['drop-newest', 'drop-oldest'] as const) {
      const { connection, manager } = await slowReader(policy);
      const { outbox } = connection as unknown as { outbox: { bytes: number } };
      let most = 0;

      for (let n = 0; n < MANY; n++) {
        manager.broadcast({ type: 'tick', content: n, padding: 'x'.repeat(SIZE) });
        most = Math.max(most, outbox.bytes);
        if (n % 50 === 0) await new Promise(setImmediate);
      }

      expect(most).to.be.within(200 * KB, 256 * KB + SIZE + 300);
    }
  }).timeout(60_000);

  it('HOSTILE 9: receives a single message larger than the limit', async () => {
    const { manager, connect } = await startKernel({ outbox: { limit: KB } });
    const client = await connect();
    await eventually('a connection', () => manager.connections.size === 1);

    const count = manager.broadcast({ type: 'large', content: 'x'.repeat(100 * KB) });

    expect(count).to.equal(1);
    expect(((await client.next('large')).content as string).length).to.equal(100 * KB);
  });
});

describe('an outbox', () => {
  it('writes all messages of one turn in one packet', async () => {
    const { manager, connect } = await startKernel();
    const client = await connect();
    await eventually('a connection', () => manager.connections.size === 1);
    let packets = 0;
    const { _socket: socket } = client.ws as unknown as { _socket: NodeJS.EventEmitter };
    socket.on('data', () => packets++);

    for (let n = 0; n < 100; n++) manager.broadcast({ type: 'tick' });
    manager.broadcast({ type: 'end' });
    await client.next('end');

    expect(packets).to.be.at.most(2);
  });

  it('sends replies to a client during a large broadcast', async () => {
    const { manager, connect } = await startKernel({ maxConnections: 2_000 });
    manager.registerHandler('ask', () => 'answer');
    const clients = await Promise.all(Array.from({ length: 600 }, () => connect()));

    manager.broadcast({ type: 'news' });
    const reply = await clients[599]!.request({ type: 'ask' });
    const got = await Promise.all(clients.map((client) => client.next('news')));

    expect(reply.content).to.equal('answer');
    expect(got).to.have.lengthOf(600);
  }).timeout(60_000);
});

describe('the outboxes of all clients together', () => {
  const LIMIT = 8_192 * KB;

  /** Clients that do not read. */
  async function stuck(count: number) {
    const kernel = await startKernel({ outbox: { limit: 4_096 * KB, totalLimit: LIMIT } });
    const clients = await Promise.all(Array.from({ length: count }, () => kernel.connect()));
    for (const { ws } of clients) ws.pause();
    await eventually('all connections', () => kernel.manager.connections.size === count);
    const connections = [...kernel.manager.connections.values()];
    const shareOf = (connection: Connection) => (connection as unknown as { outbox: { share: number } }).outbox.share;
    const total = () => connections.reduce((sum, each) => sum + shareOf(each), 0);
    const closed: string[] = [];
    kernel.manager.on('connection:removed', ({ id }, { code }) => void closed.push(`${id} ${code}`));
    /** Sends distinct messages of 64 KB, so that the operating system has taken what it takes. */
    const fill = async (connection: Connection, kilobytes: number): Promise<void> => {
      for (let n = 0; n < kilobytes; n += 64) {
        connection.send({ type: 'tick', content: n, padding: 'x'.repeat(64 * KB) });
        if (n % 512 === 0) await new Promise(setImmediate);
      }
    };
    return { ...kernel, clients, connections, shareOf, total, closed, fill };
  }

  it('HOSTILE 9: hold at most totalLimit bytes; the one that holds the most is closed', async () => {
    const { connections, total, closed, fill } = await stuck(6);
    const [greedy, ...others] = connections;
    while (greedy!.waitingBytes < 3_000 * KB) await fill(greedy!, 512);
    let most = 0;

    for (const other of others) {
      while (other.isOpen && other.waitingBytes < 1_500 * KB) {
        await fill(other, 256);
        most = Math.max(most, total());
      }
    }
    await eventually('one is closed', () => closed.length > 0);

    expect(closed).to.deep.equal([`${greedy!.id} 4108`]);
    expect(most).to.be.within(LIMIT / 2, LIMIT);
  }).timeout(60_000);

  it('count a message once that many clients wait for', async () => {
    const { manager, connections, shareOf, total, closed, fill } = await stuck(8);
    for (const connection of connections) while (shareOf(connection) === 0) await fill(connection, 512);
    const before = total();

    for (let n = 0; n < 30; n++) manager.broadcast({ type: 'tick', content: n, padding: 'x'.repeat(64 * KB) });
    await new Promise(setImmediate);

    expect(connections.every(({ waitingBytes }) => waitingBytes > 30 * 64 * KB)).to.equal(true);
    expect(total() - before).to.be.within(30 * 64 * KB, 31 * 64 * KB);
    expect(closed).to.deep.equal([]);
  }).timeout(60_000);

  it('hold nothing after the clients have read everything, or are gone', async () => {
    for (const end of ['reads', 'goes'] as const) {
      const { clients, connections, total, fill } = await stuck(3);
      for (const connection of connections) while (connection.waitingBytes < 512 * KB) await fill(connection, 512);
      expect(total()).to.be.above(512 * KB);

      for (const { ws } of clients) {
        if (end === 'reads') ws.resume();
        else ws.terminate();
      }

      await eventually(`nothing waits (${end})`, () => total() === 0 || total());
    }
  }).timeout(60_000);
});
