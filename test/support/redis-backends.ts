import { Redis as IoRedis } from 'ioredis';
import type { RedisAdapterOptions } from '../../adapters/redis.ts';
import { redisServer, type RedisServer } from './redis.ts';

export interface RedisBackend {
  readonly server: RedisServer;
  /** The options of an adapter, with a key prefix of this backend. */
  readonly options: () => RedisAdapterOptions;
}

/** One server for a file, and the clients with which a suite runs on it. Call it outside of tests. */
export function redisBackends(run: (name: string, backend: () => RedisBackend) => void): void {
  let server: RedisServer;
  let backends = 0;
  before(async () => { server = await redisServer({ forFile: true }); });
  const clients: Readonly<Record<string, () => RedisAdapterOptions>> = {
    'redis': () => ({ url: server.url }),
    'redis with a client of ioredis': () => ({ client: new IoRedis(server.port, { lazyConnect: true }) }),
  };
  for (const [name, client] of Object.entries(clients)) {
    run(name, () => {
      const keyPrefix = `test:${++backends}:`;
      return { server, options: () => ({ ...client(), keyPrefix }) };
    });
  }
}
