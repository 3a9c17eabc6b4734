import { RedisAdapter } from '../../adapters/redis.ts';
import { storeSuite } from '../../testing/index.ts';
import { adapterSuite } from '../support/adapter-suite.ts';
import { redisCluster, type RedisCluster } from '../support/redis-cluster.ts';

let cluster: RedisCluster;
before(async function () {
  this.timeout(60_000);
  cluster = await redisCluster({ forFile: true });
});

let backends = 0;

adapterSuite('redis cluster', () => {
  const keyPrefix = `test:${++backends}:`;
  return () => new RedisAdapter({ ...cluster.options, keyPrefix });
});

storeSuite('redis cluster', () => {
  const keyPrefix = `test:${++backends}:`;
  const adapters: RedisAdapter[] = [];
  return {
    async store() {
      const adapter = new RedisAdapter({ ...cluster.options, keyPrefix });
      adapters.push(adapter);
      await adapter.start({ id: `node-${adapters.length}`, receive: () => undefined });
      return adapter.store;
    },
    shortTtl: 1_000,
    forget: () => Promise.all(cluster.masters.map((master) => master.command('FLUSHALL'))),
    stop: () => Promise.all(adapters.map((adapter) => adapter.stop())),
  };
}, { forgets: true });
