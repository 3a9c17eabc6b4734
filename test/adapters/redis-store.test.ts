import { Redis as IoRedis } from 'ioredis';
import { RedisAdapter, type RedisAdapterOptions } from '../../adapters/redis.ts';
import { storeSuite } from '../../testing/index.ts';
import { redisServer, type RedisServer } from '../support/redis.ts';

let server: RedisServer;
before(async () => { server = await redisServer({ forFile: true }); });

const CLIENTS: Readonly<Record<string, () => RedisAdapterOptions>> = {
  'redis': () => ({ url: server.url }),
  'redis with a client of ioredis': () => ({ client: new IoRedis(server.port, { lazyConnect: true }) }),
};

let backends = 0;

for (const [name, options] of Object.entries(CLIENTS)) {
  storeSuite(name, () => {
    const keyPrefix = `test:${++backends}:`;
    const adapters: RedisAdapter[] = [];
    return {
      async store() {
        const adapter = new RedisAdapter({ ...options(), keyPrefix });
        adapters.push(adapter);
        await adapter.start({ id: `node-${adapters.length}`, receive: () => undefined });
        return adapter.store;
      },
      shortTtl: 200,
      forget: () => server.command('FLUSHALL'),
      stop: () => Promise.all(adapters.map((adapter) => adapter.stop())),
    };
  }, { forgets: true });
}
