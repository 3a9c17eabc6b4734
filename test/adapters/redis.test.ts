import { Redis as IoRedis } from 'ioredis';
import { createClient } from 'redis';
import { RedisAdapter } from '../../adapters/redis.ts';
import { adapterSuite } from '../support/adapter-suite.ts';
import { redisServer, type RedisServer } from '../support/redis.ts';

let server: RedisServer;
before(async () => { server = await redisServer({ forFile: true }); });

let buses = 0;

adapterSuite('redis', () => {
  const keyPrefix = `test:${++buses}:`;
  return () => new RedisAdapter({ url: server.url, keyPrefix });
});

adapterSuite('redis with a client of redis', () => {
  const keyPrefix = `test:${++buses}:`;
  return () => new RedisAdapter({ client: createClient({ url: server.url }), keyPrefix });
});

adapterSuite('redis with a client of ioredis', () => {
  const keyPrefix = `test:${++buses}:`;
  return () => new RedisAdapter({ client: new IoRedis(server.port, { lazyConnect: true }), keyPrefix });
});
