import { RedisAdapter } from '../../adapters/redis.ts';
import { storeSuite } from '../../testing/index.ts';
import { redisBackends } from '../support/redis-backends.ts';

redisBackends((name, backend) => {
  storeSuite(name, () => {
    const { server, options } = backend();
    const adapters: RedisAdapter[] = [];
    return {
      async store() {
        const adapter = new RedisAdapter(options());
        adapters.push(adapter);
        await adapter.start({ id: `node-${adapters.length}`, receive: () => undefined });
        return adapter.store;
      },
      shortTtl: 200,
      forget: () => server.command('FLUSHALL'),
      stop: () => Promise.all(adapters.map((adapter) => adapter.stop())),
    };
  }, { forgets: true });
});
