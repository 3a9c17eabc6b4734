import { expect } from 'chai';
import fc from 'fast-check';
import { RedisJournal } from '../../adapters/redis/redis-journal.ts';
import { MemoryJournal, type Journal, type Position } from '../../index.ts';
import { redisLinks, setTime, withStubbedTime } from '../support/redis-store-bench.ts';
import { redisServer } from '../support/redis.ts';

const KEY_WINDOW = 150;

/** One call, or milliseconds that pass. A call gets the epochs that this journal has returned, the oldest first. */
type Step = ((journal: Journal, epochs: readonly string[]) => Promise<unknown>) | number;

const topics = fc.constantFrom('x', 'y');
const offsets = fc.nat(12);
const ids = fc.constantFrom('i0', 'i1', 'i2', '{i}');
const maybe = <T>(value: fc.Arbitrary<T>) => fc.option(value, { nil: undefined });
/** A position of the newest epoch, or of the one before. */
const positions = fc.record({ age: fc.constantFrom(1, 1, 1, 2), offset: offsets, id: ids });
const at = ({ age, offset, id }: { age: number; offset: number; id: string }, epochs: readonly string[]): Position =>
  ({ epoch: epochs.at(-age) ?? 'none', offset, id });

/** Removes what has ended. Until a call does that, a journal may still know such entries. */
const settle = (journal: Journal, topic: string) => journal.read(topic, { limit: 1 });

const append = fc.record({
  topic: topics, id: ids, value: fc.string(), size: fc.constantFrom(1, 3, 8), ttl: fc.constantFrom(40, 100, 1_000),
  idempotencyKey: maybe(fc.constantFrom('k0', 'k1', 'k2')), seen: fc.option(positions, { nil: undefined, freq: 4 }),
}).map(({ topic, id, value, seen, ...options }) => async (journal: Journal, epochs: readonly string[]) => {
  await settle(journal, topic);
  return journal.append(topic, { id, value: value.toWellFormed() }, { ...options, seen: seen && at(seen, epochs) });
});
const read = fc.record({
  topic: topics, after: maybe(offsets), before: maybe(offsets), limit: fc.constantFrom(1, 3, 1_000), reverse: fc.boolean(),
}).map(({ topic, ...range }) => async (journal: Journal) => journal.read(topic, range));
const ask = fc.tuple(fc.boolean(), positions).map(([isReversed, seen]) => async (journal: Journal, epochs: readonly string[]) => {
  await settle(journal, 'x');
  return journal.positions(isReversed ? ['y', 'x'] : ['x', 'y'], new Map([['x', at(seen, epochs)]]));
});
const redact = fc.tuple(topics, positions).map(([topic, position]) => async (journal: Journal, epochs: readonly string[]) => {
  await settle(journal, topic);
  return journal.redact(topic, at(position, epochs), 'gone');
});
const drop = topics.map((topic) => async (journal: Journal) => journal.drop(topic));

const steps: fc.Arbitrary<Step> = fc.oneof(
  { weight: 6, arbitrary: append }, { weight: 3, arbitrary: read }, ask, { weight: 2, arbitrary: redact },
  { weight: 2, arbitrary: fc.constantFrom(15, 60, 151) }, drop,
);

/** Replaces each epoch by its number, in the order in which a journal returns them. */
function withNumbers(result: unknown, epochs: string[]): unknown {
  return JSON.parse(JSON.stringify(result ?? null), (key, value: unknown) => {
    if (key !== 'epoch' || typeof value !== 'string') return value;
    if (!epochs.includes(value)) epochs.push(value);
    return epochs.indexOf(value);
  });
}

describe('the Redis journal, beside the memory journal', () => {
  it('returns the same for any calls in any order', async function () {
    this.timeout(60_000);
    const { url } = await redisServer();
    const links = await redisLinks({ url });
    let run = 0;

    await fc.assert(fc.asyncProperty(fc.array(steps, { maxLength: 40, size: 'max' }), async (list) => {
      const prefix = `run:${++run}:`;
      const commands = withStubbedTime(links, prefix);
      let now = 5_000;
      await setTime(links, now);
      const make = () => new RedisJournal({ commands: () => commands, channelOf: (topic) => prefix + topic, keyWindow: KEY_WINDOW });
      const [inRedis, inMemory] = [[make(), make()], new MemoryJournal({ keyWindow: KEY_WINDOW, now: () => now })] as const;
      const epochs: [redis: string[], memory: string[]] = [[], []];
      for (const [index, step] of list.entries()) {
        if (typeof step === 'number') {
          await setTime(links, now += step);
          continue;
        }
        const found = await step(inRedis[index % 2]!, epochs[0]);
        const expected = await step(inMemory, epochs[1]);
        expect(withNumbers(found, epochs[0]), `step ${index}`).to.deep.equal(withNumbers(expected, epochs[1]));
      }
    }), { numRuns: 40 });
  });
});
