import { once } from 'node:events';
import { setTimeout as delay } from 'node:timers/promises';
import { expect } from 'chai';
import sinon from 'sinon';
import type { ClientConnection } from '../../../src/connection/connection.ts';
import { Heartbeat } from '../../../src/connection/heartbeat.ts';
import { cleanup } from '../../support/cleanup.ts';
import { frame, PING, TEXT } from '../../support/frames.ts';
import { rawWebSocket } from '../../support/raw.ts';
import { eventually } from '../../support/timing.ts';
import { next, only, startKernel } from '../start-kernel.ts';

describe('the heartbeat', () => {
  it('HOSTILE 7: closes a client that never answers with 4109, in time', async () => {
    const [interval, timeout] = [300, 200];
    const { manager, connect } = await startKernel({ heartbeat: { interval, timeout } });
    const removed = next(manager, 'connection:removed');
    const added = next(manager, 'connection:added');
    const client = await connect({ autoPong: false });
    await added;
    // In ticks of this process, which is late as a whole where the machine is busy.
    let ticks = 0;
    const ticking = setInterval(() => ticks++, 20);
    cleanup(() => { clearInterval(ticking); });

    const closed = await client.closed;
    const [, reason] = await removed;

    expect(closed).to.deep.equal({ code: 4109, reason: 'heartbeat missed' });
    expect(reason.code).to.equal(4109);
    expect(ticks).to.be.within(interval / 20 - 1, (interval + timeout) * 1.1 / 20 + 3);
    expect(manager.connections.size).to.equal(0);
  });

  it('HOSTILE 7: removes a silent client from its topics, too', async () => {
    const { manager, connect } = await startKernel({ heartbeat: { interval: 60, timeout: 40 } });
    const topics = manager.inspect().topics;
    const client = await connect();
    await eventually('a connection', () => manager.connections.size === 1);
    manager.subscribe(only(manager).id, 'news');
    const removed = next(manager, 'connection:removed');

    client.ws.pause();

    expect((await removed)[1].code).to.equal(4109);
    expect(manager.publish('news', { type: 'x' })).to.equal(0);
    expect(manager.inspect().topics).to.equal(topics);
    client.ws.resume();
  });

  it('keeps clients that answer, with a pong or any message', async () => {
    const { manager, connect } = await startKernel({ heartbeat: { interval: 40, timeout: 40 } });
    manager.registerHandler('alive', () => undefined);
    await connect();
    const talker = await connect({ autoPong: false });
    let pings = 0;
    talker.ws.on('ping', () => {
      pings++;
      void talker.send({ type: 'alive' });
    });

    await eventually('ten pings', () => pings >= 10 || pings);

    expect(manager.connections.size).to.equal(2);
  });

  it('gives each ping its whole timeout, even if that is longer than the interval', async () => {
    const { manager, connect } = await startKernel({ heartbeat: { interval: 100, timeout: 300 } });
    const client = await connect({ autoPong: false });
    let pongs = 0;
    client.ws.on('ping', (data) => setTimeout(() => {
      pongs++;
      client.ws.pong(data);
    }, 60));

    await eventually('eight pongs', () => pongs >= 8 || client.ws.readyState !== client.ws.OPEN || pongs);

    expect(client.ws.readyState).to.equal(client.ws.OPEN);
    expect(manager.connections.size).to.equal(1);
  });

  it('pings each client once an interval, and not all at once', () => {
    const timers = sinon.useFakeTimers({ toFake: ['setInterval', 'clearInterval'] });
    cleanup(() => { timers.restore(); });
    const heartbeat = new Heartbeat(200, 100);
    cleanup(() => heartbeat.stop());
    const pings: number[][] = [];
    for (let each = 0; each < 4; each++) {
      const times: number[] = [];
      const socket = { bytesRead: 0 };
      const ping = (): void => {
        times.push(timers.now);
        socket.bytesRead++;
      };
      const client = { isOpen: true, isPaused: false, slot: 0, readAtPing: undefined, socket, ping, closeWithError() {} };
      heartbeat.add(client as unknown as ClientConnection);
      pings.push(times);
      timers.tick(40);
    }

    timers.tick(1_000);

    expect(pings).to.deep.equal([0, 40, 80, 120].map((added) => [200, 400, 600, 800, 1_000].map((after) => added + after)));
  });

  it('ignores a ping that was sent while the client was not read', async () => {
    const timers = sinon.useFakeTimers({ toFake: ['setInterval', 'clearInterval'] });
    cleanup(() => { timers.restore(); });
    const { manager, connect } = await startKernel({ heartbeat: { interval: 100, timeout: 50 } });
    const client = await connect();
    await eventually('a connection', () => manager.connections.size === 1);
    const connection = only(manager) as unknown as ClientConnection;
    const pinged = once(client.ws, 'ping');
    connection.pause();
    timers.tick(110);
    await pinged;

    // Its pong is there, and nobody has read it when it would be judged.
    connection.resume();
    timers.tick(60);

    expect(connection.isOpen).to.be.true;
  });

  it('works with an interval of weeks', () => {
    const timers = sinon.useFakeTimers({ toFake: ['setInterval', 'clearInterval'] });
    cleanup(() => { timers.restore(); });
    const before = process.memoryUsage().heapUsed;
    const weeks = new Heartbeat(2 ** 31 - 1, 10);
    const heartbeat = new Heartbeat(15_000, 10);
    const after = process.memoryUsage().heapUsed;
    let pings = 0;
    const client = { isOpen: true, isPaused: false, slot: 0, readAtPing: undefined, socket: { bytesRead: 0 }, ping: () => pings++, closeWithError() {} };
    heartbeat.add(client as unknown as ClientConnection);

    timers.tick(14_000);
    const early = pings;
    timers.tick(46_100);

    weeks.stop();
    heartbeat.stop();
    expect([early, pings]).to.deep.equal([0, 4]);
    expect(after - before).to.be.below(10_000_000);
  });

  it('is off with heartbeat: false', async () => {
    const { manager, connect } = await startKernel({ heartbeat: false });
    const client = await connect({ autoPong: false });
    let pings = 0;
    client.ws.on('ping', () => pings++);

    await delay(150);

    expect(pings).to.equal(0);
    expect(manager.connections.size).to.equal(1);
  });

  it('HOSTILE 26: drops no client when the system time jumps by an hour, in either direction', async () => {
    const { manager, connect } = await startKernel({ heartbeat: { interval: 40, timeout: 40 }, message: { timeout: 5_000 } });
    manager.registerHandler('slow', async () => {
      await delay(100);
      return 'fine';
    });
    const client = await connect();
    let pings = 0;
    client.ws.on('ping', () => pings++);

    for (const leap of [3_600_000, -3_600_000, -3_600_000, 3_600_000]) {
      const time = sinon.useFakeTimers({ toFake: ['Date'], now: Date.now() + leap });
      const before = pings;
      const reply = await client.request({ type: 'slow' });
      await eventually('two more pings', () => pings >= before + 2 || pings);
      time.restore();
      expect(reply.content).to.equal('fine');
    }

    expect(manager.connections.size).to.equal(1);
    expect(await client.request({ type: 'slow' })).to.include({ content: 'fine' });
  });

  it('HOSTILE 27: drops no healthy client when the event loop is blocked, however often', async () => {
    const { manager, connect } = await startKernel({ heartbeat: { interval: 60, timeout: 50 } });
    const clients = await Promise.all(Array.from({ length: 20 }, () => connect()));
    manager.registerHandler('ask', () => 'still here');

    for (let stall = 0; stall < 6; stall++) {
      const until = performance.now() + 250;
      while (performance.now() < until);
      await delay(30);
    }
    const replies = await Promise.all(clients.map((client) => client.request({ type: 'ask' })));

    expect(replies.map(({ content }) => content as string)).to.deep.equal(Array(20).fill('still here'));
    expect(manager.connections.size).to.equal(20);
  });

  it('HOSTILE 27: drops no client that was paused while the loop was blocked and is read again', async () => {
    const { manager, connect } = await startKernel({ heartbeat: { interval: 50, timeout: 50 }, message: { maxWaiting: 1 } });
    manager.registerHandler('work', async () => delay(130));
    const clients = await Promise.all(Array.from({ length: 10 }, () => connect()));
    for (const client of clients) for (let each = 0; each < 3; each++) void client.send({ type: 'work' });
    await eventually('all in flight', () => manager.inspect().inFlight === 10);

    // Both the work's timer and the heartbeat's are due when the loop goes on.
    for (let stall = 0; stall < 4; stall++) {
      const until = performance.now() + 160;
      while (performance.now() < until);
      await new Promise(setImmediate);
    }
    await eventually('nothing in flight', () => manager.inspect().inFlight === 0);
    await delay(150);

    expect(manager.connections.size).to.equal(10);
  });

  it('ignores the pending ping of a client whose socket is paused', async () => {
    const { manager, connect } = await startKernel({ heartbeat: { interval: 40, timeout: 30 }, message: { maxWaiting: 1 } });
    let finish!: () => void;
    const gate = new Promise<void>((resolve) => (finish = resolve));
    manager.registerHandler('work', () => gate);
    const client = await connect();
    let pings = 0;
    client.ws.on('ping', () => pings++);
    for (let each = 0; each < 3; each++) void client.send({ type: 'work' });

    await eventually('six pings', () => pings >= 6 || pings);
    const during = manager.connections.size;
    finish();
    await eventually('six more', () => pings >= 12 || pings);

    expect([during, manager.connections.size]).to.deep.equal([1, 1]);
  });
});

describe('a heartbeat during a long message', () => {
  it('keeps a client that is sending slowly, because it cannot send a pong within its own frame', async () => {
    const started = await startKernel({ heartbeat: { interval: 60, timeout: 40 } });
    started.manager.registerHandler('long', () => 'whole');
    const client = await rawWebSocket(started);
    const bytes = frame(TEXT, JSON.stringify({ type: 'long', content: 'x'.repeat(2_000) }));

    for (let at = 0; at < bytes.length; at += 50) {
      await client.write(bytes.subarray(at, at + 50));
      await delay(8);
    }
    await client.until('the reply', () => client.frames.some(({ opcode }) => opcode === TEXT));

    expect(client.frames.filter(({ opcode }) => opcode === PING), 'it was pinged meanwhile').to.not.be.empty;
    expect(started.manager.connections.size).to.equal(1);
  });
});
