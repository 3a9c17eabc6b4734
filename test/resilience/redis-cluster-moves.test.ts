import { setTimeout as delay } from 'node:timers/promises';
import { expect } from 'chai';
import { slotOf } from '../../adapters/redis/cluster-slots.ts';
import type { ModuleError } from '../../src/index.ts';
import { redisCluster } from '../support/redis-cluster.ts';
import { redisPeer } from '../support/redis-bench.ts';
import { eventually } from '../support/timing.ts';

describe('a Redis Cluster that changes', () => {
  it('takes every publish, keeps their order and reports the gap while the slot of a topic moves there and back', async () => {
    const cluster = await redisCluster();
    const [a, b] = [await redisPeer(cluster.options), await redisPeer(cluster.options)];
    await b.subscribe('chat', 'other');
    const channel = 'websocket:0:t:chat';
    const first = await cluster.ownerOf(channel);
    const second = cluster.masters.find((master) => master !== first)!;
    const refused: string[] = [];
    const over = new AbortController();
    let sent = 0;
    const sending = (async () => {
      while (!over.signal.aborted) {
        const text = String(++sent);
        a.publish('chat', text).catch((error: unknown) => refused.push(`${(error as ModuleError).code} ${text}`));
        await delay(2);
      }
    })();

    for (const to of [second, first, second]) {
      await cluster.move(slotOf(channel), to);
      await eventually('a packet by the new owner', async () => {
        const { length } = b.received;
        await delay(50);
        return b.received.length > length;
      }, 10_000);
    }
    over.abort();
    await sending;
    await eventually('green health', async () => await a.status() === 'healthy' && await b.status() === 'healthy');

    const numbers = b.received.map(({ text }) => Number(text));
    console.log(`      ${sent} sent, ${numbers.length} received, ${refused.length} refused, ${b.interruptions.length} interruptions`);
    expect(refused).to.deep.equal([]);
    expect(numbers).to.deep.equal([...numbers].sort((x, y) => x - y));
    expect(new Set(numbers).size).to.equal(numbers.length);
    // What was lost on the way is reported as an interruption.
    expect(b.interruptions.length).to.be.within(numbers.length < sent ? 1 : 0, 12);
  });

  it('is used again within 10 s after a master has failed over to its replica, and keeps the replicated state', async () => {
    const cluster = await redisCluster({ withReplica: true });
    const [master] = cluster.masters;
    // A prefix whose state is on the master that fails.
    let number = 0;
    while (await cluster.ownerOf(`{p${number}:}`) !== master) number++;
    const options = { ...cluster.options, keyPrefix: `p${number}:` };
    const [a, b] = [await redisPeer(options), await redisPeer(options)];
    const topics = Array.from({ length: 30 }, (_, index) => `topic ${index}`);
    await b.subscribe(...topics);
    const { store } = a.adapter;
    const { generation } = await store.lease('a', 600_000);
    await store.put('key', 'kept');
    await eventually('the replica to have it', async () =>
      String(await master.command('WAIT', '1', '1000')) === '1');

    await master.kill();
    const start = performance.now();
    await eventually('a to be unhealthy', async () => await a.status() === 'unhealthy');
    const reached = new Set<string>();
    await eventually('packets to all topics', async () => {
      for (const topic of topics) a.publish(topic, 'again').catch(() => undefined);
      await delay(200);
      for (const { topic } of b.received) reached.add(topic);
      return await a.status() === 'healthy' && await b.status() === 'healthy' && reached.size === topics.length;
    }, 30_000);
    const elapsed = performance.now() - start;
    const renewed = await store.renew();
    const [found] = await store.get(['key']);

    console.log(`      back after ${Math.round(elapsed)} ms`);
    expect(elapsed).to.be.below(10_000);
    expect(b.interruptions).to.have.length.above(0);
    expect(renewed.generation).to.not.equal(generation);
    expect(found?.value).to.equal('kept');
  });
});
