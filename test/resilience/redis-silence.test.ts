import { setTimeout as delay } from 'node:timers/promises';
import { expect } from 'chai';
import type { HealthReport } from '../../src/index.ts';
import { faultProxy, subscribes, type ProxyLink } from '../support/fault-proxy.ts';
import { redisServer } from '../support/redis.ts';
import { CLIENTS, redisPeer, type RedisPeer } from '../support/redis-bench.ts';
import { eventually } from '../support/timing.ts';

/** Seconds from a moment to the first report of a status after it. */
function secondsTo(peer: RedisPeer, status: HealthReport['status'], start: number): number {
  const found = peer.reports.find(({ report, at }) => at > start && report.status === status);
  return found ? (found.at - start) / 1_000 : Infinity;
}

const LINKS: Readonly<Record<string, (link: ProxyLink) => boolean>> = {
  'the connection that receives': subscribes,
  'the connection that sends': (link) => !subscribes(link),
  'both connections': () => true,
};

for (const [name, options] of Object.entries(CLIENTS)) {
  describe(`a link to Redis that is open but silent, with ${name}`, () => {
    for (const [links, which] of Object.entries(LINKS)) {
      it(`is noticed within 10 s and back within 12 s, without any traffic: ${links}`, async () => {
        const server = await redisServer();
        const proxy = await faultProxy(server.port);
        const [a, b] = [await redisPeer(options(server.port)), await redisPeer(options(proxy.port))];
        await b.subscribe('chat');

        proxy.silence(which);
        const start = performance.now();
        await eventually('b to be healthy again', () => secondsTo(b, 'healthy', start) < Infinity, 20_000);
        await Promise.all([a.publish('chat', 'to b'), b.publish('chat', 'from b')]);
        await eventually('the packet', () => b.received.length === 1);

        const [unhealthy, healthy] = [secondsTo(b, 'unhealthy', start), secondsTo(b, 'healthy', start)];
        console.log(`      unhealthy after ${unhealthy.toFixed(1)} s, back after ${healthy.toFixed(1)} s`);
        expect(unhealthy).to.be.below(10);
        expect(healthy).to.be.within(unhealthy, 12);
      });
    }

    it('is tried again while new connections are silent, too, and comes back with Redis', async () => {
      const server = await redisServer();
      const proxy = await faultProxy(server.port);
      const [a, b] = [await redisPeer(options(server.port)), await redisPeer(options(proxy.port))];
      await b.subscribe('chat');

      proxy.swallow();
      proxy.silence();
      await eventually('b to be unhealthy', async () => await b.status() === 'unhealthy', 10_000);
      await delay(10_000);
      const { count } = proxy;
      proxy.heal();
      const start = performance.now();
      await eventually('b to be healthy', async () => await b.status() === 'healthy', 10_000);
      const elapsed = performance.now() - start;
      await a.publish('chat', 'to b');
      await eventually('the packet', () => b.received.length === 1);

      expect(elapsed).to.be.below(5_000);
      // Two links, each with a deadline of 2 s and a random delay below 1 s.
      expect(count).to.be.within(6, 22);
    });

    it('is kept if Redis was suspended for less than the deadline', async () => {
      const server = await redisServer();
      const [a, b] = [await redisPeer(options(server.port)), await redisPeer(options(server.port))];
      await b.subscribe('chat');

      server.pause();
      const published = a.publish('chat', 'slowly');
      await delay(1_000);
      server.resume();
      await published;
      await eventually('the packet', () => b.received.length === 1);

      expect([a.interruptions, b.interruptions]).to.deep.equal([[], []]);
    });
  });
}
