import { expect } from 'chai';
import type { ModuleError } from '../../index.ts';
import { RedisAdapter } from '../../adapters/redis.ts';
import { freePort } from '../support/free-port.ts';
import { redisServer } from '../support/redis.ts';
import { redisPeer } from '../support/redis-bench.ts';
import { redisSentinel } from '../support/redis-sentinel.ts';
import { eventually } from '../support/timing.ts';

describe('the sentinel option of the Redis adapter', function () {
  this.timeout(60_000);

  it('connects to the primary that the first sentinel to answer names', async () => {
    const primary = await redisServer({ args: ['--repl-diskless-sync-delay', '0'] });
    await redisServer({ args: ['--replicaof', '127.0.0.1', String(primary.port)] });
    await eventually('the replica', async () => String(await primary.command('INFO', 'replication')).includes('state=online'));
    const { port } = await redisSentinel(primary.port);

    const { adapter } = await redisPeer({ sentinel: { name: 'main', nodes: [{ host: '127.0.0.1', port: await freePort() }, { host: '127.0.0.1', port }] } });
    await adapter.store.lease('a', 60_000);

    expect(await primary.command('EXISTS', '{websocket:}runs')).to.equal(1);
  });

  it('says which primary no sentinel knows', async () => {
    const port = await freePort();
    const adapter = new RedisAdapter({ sentinel: { name: 'main', nodes: [{ host: '127.0.0.1', port }] } });

    const error = await adapter.start({ id: 'a', receive: () => undefined }).then(() => undefined, (thrown: unknown) => thrown as ModuleError);

    expect(error?.code).to.equal('REDIS_UNREACHABLE');
    expect(error?.message).to.match(/^cannot connect to Redis \("main", by sentinels\): no sentinel knows the address of "main": .*ECONNREFUSED/);
  });
});
