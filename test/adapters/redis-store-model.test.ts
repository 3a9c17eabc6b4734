import { expect } from 'chai';
import fc from 'fast-check';
import { MemoryStore } from '../../adapters/memory/memory-store.ts';
import { StoreData } from '../../adapters/memory/store-data.ts';
import type { RedisLinks } from '../../adapters/redis/redis-links.ts';
import { RedisStore } from '../../adapters/redis/redis-store.ts';
import type { Reaped, Store } from '../../index.ts';
import { ManualClock } from '../support/manual-clock.ts';
import { redisLinks, setTime, withStubbedTime } from '../support/redis-store-bench.ts';
import { redisServer } from '../support/redis.ts';
import { compareWithModel } from '../support/store-model.ts';

let runs = 0;

async function backend(links: RedisLinks) {
  const clock = new ManualClock();
  const commands = withStubbedTime(links, `run:${++runs}:`);
  await setTime(links, clock.now());
  return {
    clock,
    store: () => new RedisStore({ commands: () => commands, clock }),
    moved: (milliseconds: number) => setTime(links, clock.now() + milliseconds),
  };
}

/** One call, or milliseconds that pass. */
type Step = readonly [node: number, call: (store: Store) => Promise<unknown>] | number;

const some = (name: string) => fc.constantFrom(...[0, 1, 2].map((index) => `${name}${index}`));
const maybe = <T>(value: fc.Arbitrary<T>) => fc.option(value, { nil: undefined });
const duration = fc.constantFrom(40, 100);
const value = fc.constantFrom(null, 1, 'text');

const calls: fc.Arbitrary<(store: Store) => Promise<unknown>> = fc.oneof(
  { weight: 6, arbitrary: fc.tuple(some('set'), some('m'), maybe(some('h')), maybe(fc.integer({ min: 1, max: 3 })), maybe(duration), maybe(some('m')), maybe(value))
    .map(([set, member, holder, max, ttl, replaces, data]) => (store: Store) =>
      store.enter(set, member, { holder, max, ttl: holder === undefined ? ttl : undefined, replaces, value: data })) },
  { weight: 4, arbitrary: fc.tuple(some('set'), some('m'), maybe(some('h')), maybe(duration))
    .map(([set, member, holder, keepFor]) => (store: Store) => store.leave(set, member, { holder, keepFor })) },
  // Longer than a run: Redis expires buckets by its own clock.
  fc.tuple(some('rate'), fc.constantFrom(1, 100, 450)).map(([key, count]) => (store: Store) => store.take(key, { burst: 500, per: 10_000 }, count)),
  fc.tuple(some('key'), value, maybe(fc.constant('absent'))).map(([key, data, condition]) => (store: Store) =>
    store.put(key, data, { if: condition }).then(() => 'written')),
  some('key').map((key) => (store: Store) => store.delete(key)),
  fc.constant((store: Store) => store.reap()),
  fc.constant((store: Store) => store.renew().then(() => 'renewed')),
  fc.constant((store: Store) => store.release()),
);
const steps: fc.Arbitrary<Step> = fc.oneof(
  { weight: 5, arbitrary: fc.tuple(fc.nat(1), calls) },
  { weight: 1, arbitrary: fc.constantFrom(10, 50, 110) },
);

/** What a call returns, without what may differ between stores: the order of reaped seats, and so which one is the last of a member. */
async function outcome(store: Store, call: (store: Store) => Promise<unknown>): Promise<unknown> {
  try {
    const result = await call(store);
    if (!Array.isArray(result)) return result;
    return (result as Reaped[]).flatMap(({ last, ...seat }) => [JSON.stringify(seat), ...last ? [`last ${seat.set} ${seat.member}`] : []]).sort();
  } catch (error) {
    return (error as { code?: string }).code ?? error;
  }
}

async function state(store: Store): Promise<unknown> {
  const sets = ['set0', 'set1', 'set2'];
  const documents = await store.get(['key0', 'key1', 'key2']);
  const members = await Promise.all(sets.map((set) => store.members(set, { limit: 2 })));
  return {
    documents: documents.map((found) => found?.value),
    sizes: await store.sizes(sets),
    members: members.map(({ members: page, cursor }) => ({ page, hasMore: cursor !== undefined })),
  };
}

describe('the Redis store', () => {
  it('counts each member once, holds max, and announces each departure once, whatever crashes', async function () {
    this.timeout(60_000);
    const server = await redisServer();
    const links = await redisLinks({ url: server.url });

    await compareWithModel(() => backend(links), 30);
  });

  it('answers as the memory store does', async function () {
    this.timeout(60_000);
    const server = await redisServer();
    const links = await redisLinks({ url: server.url });

    await fc.assert(fc.asyncProperty(fc.array(steps, { maxLength: 60, size: 'max' }), async (list) => {
      const redis = await backend(links);
      const clock = new ManualClock();
      const data = new StoreData(clock);
      const pairs = await Promise.all(['a', 'b', 'observer'].map(async (node) => {
        const pair = [redis.store(), new MemoryStore(data)] as const;
        for (const store of pair) await store.lease(node, node === 'observer' ? 1e9 : 300);
        return pair;
      }));
      for (const step of list) {
        if (typeof step === 'number') {
          await redis.moved(step);
          for (const one of [redis.clock, clock]) one.advance(step);
          continue;
        }
        const [inRedis, inMemory] = pairs[step[0]]!;
        expect(await outcome(inRedis, step[1]), String(step[1])).to.deep.equal(await outcome(inMemory, step[1]));
        const [seen, expected] = await Promise.all(pairs[2]!.map(state));
        expect(seen).to.deep.equal(expected);
      }
    }), { numRuns: 50 });
  });
});
