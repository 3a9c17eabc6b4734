import { expect } from 'chai';
import type { ModuleError } from '../../index.ts';
import { redisServer, type RedisServer } from '../support/redis.ts';
import { CLIENTS, redisPeer } from '../support/redis-bench.ts';
import { eventually } from '../support/timing.ts';

const failure = (work: Promise<unknown>): Promise<ModuleError> =>
  work.then(() => { throw new Error('it did not fail'); }, (error: unknown) => error as ModuleError);

const primaryServer = (): Promise<RedisServer> => redisServer({ args: ['--repl-diskless-sync-delay', '0'] });

async function replicaOf(primary: RedisServer): Promise<RedisServer> {
  const replica = await redisServer({ args: ['--replicaof', '127.0.0.1', String(primary.port)] });
  await eventually('the replica', async () => String(await primary.command('INFO', 'replication')).includes('state=online'));
  return replica;
}

for (const name of ['redis', 'a client of ioredis'] as const) {
  describe(`the Redis adapter with waitReplicas and ${name}`, function () {
    this.timeout(60_000);

    it('resolves writes of shared state when a replica has them', async () => {
      const primary = await primaryServer();
      const replica = await replicaOf(primary);
      const { adapter: { store } } = await redisPeer({ ...CLIENTS[name](primary.port), waitReplicas: 1 });
      await store.lease('a', 600_000);

      await Promise.all(Array.from({ length: 50 }, (_, index) => store.put(`key-${index}`, index)));
      const copied = await replica.command('KEYS', '*key-*');
      await store.enter('set', 'member', { holder: 'h' });

      expect(copied).to.have.length(50);
      expect(await replica.command('ZCARD', '{websocket:}order:set')).to.equal(1);
    });

    it('rejects writes that no replica confirms, and holds up nothing else', async () => {
      const primary = await primaryServer();
      const replica = await replicaOf(primary);
      const peer = await redisPeer({ ...CLIENTS[name](primary.port), waitReplicas: 1 });
      const { store } = peer.adapter;
      await store.lease('a', 600_000);
      await store.put('key', 'old');

      replica.pause();
      const order: string[] = [];
      const writing = Promise.all([store.put('key', 'new'), store.enter('set', 'member')].map(failure)).finally(() => order.push('writes'));
      await Promise.all([peer.publish('topic', 'text'), store.get(['key']), store.leave('set', 'none'), store.renew()]);
      order.push('everything else');
      const errors = await writing;
      const found = await store.get(['key']);
      replica.resume();
      await eventually('the replica to confirm', () => store.put('key', 'newer').then(() => true, () => false));

      for (const error of errors) {
        expect(error.code).to.equal('STORE_UNAVAILABLE');
        expect(String(error.cause)).to.match(/0 of 1 replicas confirmed the write within 1000 ms; a failover may undo it/);
      }
      expect(order).to.deep.equal(['everything else', 'writes']);
      expect(found[0]?.value).to.equal('new');
    });
  });
}
