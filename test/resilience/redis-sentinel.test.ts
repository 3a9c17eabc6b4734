import { expect } from 'chai';
import { Redis as IoRedis } from 'ioredis';
import type { RedisAdapterOptions } from '../../adapters/redis.ts';
import { redisServer } from '../support/redis.ts';
import { redisPeer } from '../support/redis-bench.ts';
import { redisSentinel } from '../support/redis-sentinel.ts';
import { eventually } from '../support/timing.ts';

const CLIENTS: Readonly<Record<string, (port: number) => RedisAdapterOptions>> = {
  'redis': (port) => ({ sentinel: { name: 'main', nodes: [{ host: '127.0.0.1', port: 1 }, { host: '127.0.0.1', port }] } }),
  'a client of ioredis': (port) => ({
    client: new IoRedis({ sentinels: [{ host: '127.0.0.1', port }], name: 'main', lazyConnect: true }),
  }),
};

for (const [name, options] of Object.entries(CLIENTS)) {
  describe(`the Redis adapter with sentinels and ${name}`, function () {
    it('follows a failover within 10 s, reports the gap, and keeps what was replicated', async () => {
      const primary = await redisServer({ args: ['--repl-diskless-sync-delay', '0'] });
      const replica = await redisServer({ args: ['--replicaof', '127.0.0.1', String(primary.port)] });
      await eventually('the replica', async () => String(await primary.command('INFO', 'replication')).includes('state=online'));
      const sentinel = await redisSentinel(primary.port);
      const [a, b] = [await redisPeer(options(sentinel.port)), await redisPeer(options(sentinel.port))];
      const { generation } = await a.adapter.store.lease('a', 600_000);
      await b.subscribe('chat');
      await a.adapter.store.put('key', 'kept');
      await a.adapter.store.enter('set', 'member', { holder: 'h' });
      await eventually('the replica to have it', async () => await replica.command('EXISTS', '{websocket:}doc:key', '{websocket:}order:set') === 2);

      await primary.kill();
      const start = performance.now();
      await eventually('a packet by the new primary', async () => {
        await a.publish('chat', 'again').catch(() => undefined);
        return b.received.length > 0;
      }, 20_000);
      const elapsed = performance.now() - start;
      await primary.restart();
      // It closes its connections when its role changes.
      await eventually('the old primary to be a replica', async () =>
        String(await primary.command('INFO', 'replication').catch(() => '')).includes('role:slave'), 20_000);
      await eventually('a to be healthy', async () => await a.status() === 'healthy' && await b.status() === 'healthy');
      const renewed = await a.adapter.store.renew();

      expect(elapsed, 'milliseconds without delivery').to.be.below(10_000);
      expect(b.interruptions).to.have.length.above(0);
      expect(renewed.generation).to.not.equal(generation);
      expect((await a.adapter.store.get(['key']))[0]?.value).to.equal('kept');
      expect(await a.adapter.store.sizes(['set'])).to.deep.equal([1]);
    });
  });
}
