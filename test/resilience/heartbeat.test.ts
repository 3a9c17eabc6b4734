import { once } from 'node:events';
import { connect, createServer, type AddressInfo, type Socket } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import { expect } from 'chai';
import { WebSocketModule, type Connection } from '../../src/index.ts';
import { child } from '../support/child.ts';
import { cleanup } from '../support/cleanup.ts';
import { connect as connectClient } from '../support/client.ts';
import type { calls } from '../support/processes/draining.ts';
import { start } from '../support/start.ts';
import { eventually } from '../support/timing.ts';

/** A wire that can be cut without either end being told: what is sent into it is gone. */
async function blackhole(port: number) {
  const pairs: (readonly [Socket, Socket])[] = [];
  const proxy = createServer((near) => {
    const far = connect(port, '127.0.0.1');
    for (const [from, to] of [[near, far], [far, near]] as const) {
      from.on('error', () => { /* its end follows */ });
      from.on('data', (chunk) => { to.write(chunk); });
      from.on('close', () => { to.destroy(); });
    }
    pairs.push([near, far]);
  });
  proxy.listen(0, '127.0.0.1');
  await once(proxy, 'listening');
  cleanup(() => {
    for (const pair of pairs) for (const socket of pair) socket.destroy();
    proxy.close();
  });
  return {
    port: (proxy.address() as AddressInfo).port,
    /** From now on nothing passes, and nothing is told. */
    cut(): void {
      for (const pair of pairs) for (const socket of pair) socket.removeAllListeners('data').removeAllListeners('close').on('data', () => { /* gone */ });
    },
  };
}

const inKernel = (options: Parameters<typeof start>[0]) => start({ ...options, create: (given) => WebSocketModule.create(given) });

describe('HOSTILE 7: half-open connections', () => {
  it('HOSTILE 7: are found within interval, timeout and a tenth, by default within 38.5 s, and removed from their topics', async () => {
    const { manager, port } = await inKernel({});
    const wire = await blackhole(port);
    const removed = new Map<Connection, { code: number; at: number }>();
    manager.on('connection:removed', (connection, { code }) => void removed.set(connection, { code, at: performance.now() }));
    for (let each = 0; each < 40; each++) await connectClient(`ws://127.0.0.1:${wire.port}/ws`);
    const healthy = await connectClient(`ws://127.0.0.1:${port}/ws`);
    await eventually('all of them', () => manager.connections.size === 41);
    for (const { id } of manager.connections.values()) manager.subscribe(id, 'news');
    // Over a part of the interval, so that some are just before their ping and some just after.
    await delay(3_000);
    const start_ = performance.now();

    wire.cut();
    await eventually('all of them gone', () => removed.size === 40 || removed.size, 45_000);

    const slowest = Math.max(...[...removed.values()].map(({ at }) => at)) - start_;
    console.log(`      the last one was gone after ${(slowest / 1_000).toFixed(1)} s`);
    expect(slowest).to.be.at.most(38_500);
    expect(new Set([...removed.values()].map(({ code }) => code))).to.deep.equal(new Set([4109]));
    expect(manager.publish('news', { type: 'headline' })).to.equal(1);
    expect(await healthy.next('headline')).to.include({ type: 'headline' });
  }).timeout(60_000);

  it('HOSTILE 7: are found in time with shorter ones, too', async () => {
    const [interval, timeout] = [4_000, 2_000];
    const { manager, port } = await inKernel({ heartbeat: { interval, timeout } });
    const wire = await blackhole(port);
    const unusable = new Map<string, number>();
    const clients = 20;
    for (let each = 0; each < clients; each++) {
      await connectClient(`ws://127.0.0.1:${wire.port}/ws`);
      await delay(interval / clients);
    }
    await eventually('all of them', () => manager.connections.size === clients);
    const connections = [...manager.connections.values()];
    const start_ = performance.now();

    wire.cut();
    await eventually('all of them given up', () => {
      for (const { id, isOpen } of connections) if (!isOpen && !unusable.has(id)) unusable.set(id, performance.now() - start_);
      return unusable.size === clients;
    }, 10_000);
    await eventually('all of them removed', () => manager.connections.size === 0);

    const slowest = Math.max(...unusable.values());
    console.log(`      the last one was given up after ${slowest.toFixed(0)} ms`);
    expect(slowest).to.be.at.most((interval + timeout) * 1.1);
  }).timeout(60_000);
});

describe('HOSTILE 27: a stopped process', () => {
  it('HOSTILE 27: drops none of 200 healthy clients when it is stopped for 5 s, again and again', async () => {
    const app = await child<typeof calls>(new URL('../support/processes/draining.ts', import.meta.url));
    const { port, pid } = await app.call('start', { heartbeat: { interval: 1_000, timeout: 500 } }, 0, 0);
    const clients = await Promise.all(Array.from({ length: 200 }, () => connectClient(`ws://127.0.0.1:${port}/ws`)));
    cleanup(() => { process.kill(pid, 'SIGCONT'); });
    let closed = 0;
    for (const client of clients) void client.closed.then(() => closed++);

    for (let stall = 0; stall < 3; stall++) {
      // At another place in the interval each time.
      await delay(700 + 300 * stall);
      process.kill(pid, 'SIGSTOP');
      await delay(5_000);
      process.kill(pid, 'SIGCONT');
    }
    const replies = await Promise.all(clients.map((client) => client.request({ type: 'work' }, 10_000)));
    await delay(2_000);

    expect(closed).to.equal(0);
    expect(replies.map(({ content }) => content as string)).to.deep.equal(Array(200).fill('done'));
    expect(await app.call('count')).to.equal(200);
  }).timeout(60_000);

  it('HOSTILE 27: drops none of 200 healthy clients when its event loop is busy for 5 s', async () => {
    const { manager, url } = await inKernel({ heartbeat: { interval: 1_000, timeout: 500 } });
    await Promise.all(Array.from({ length: 200 }, () => connectClient(url)));
    await eventually('all of them', () => manager.connections.size === 200);

    for (let stall = 0; stall < 2; stall++) {
      await delay(600 + 400 * stall);
      const until = performance.now() + 5_000;
      while (performance.now() < until);
    }
    await delay(3_000);

    expect(manager.connections.size).to.equal(200);
  }).timeout(60_000);
});
