import assert from 'node:assert/strict';
import type { Journal, JournalEntry } from '../index.ts';
import { journalTest as test } from './journal-bench.ts';
import { randomNumbers } from './random-numbers.ts';

interface Expected { offset: number; id: string; value: string; until: number }

/** The reference: all that one topic should hold. */
class Model {
  epoch = '';
  offset = 0;
  id = '';
  entries: Expected[] = [];
  keys = new Map<string, { offset: number; id: string; until: number }>();

  /** Removes what has expired, in order. */
  expire(now: number): void {
    while (this.entries[0] && this.entries[0].until <= now) this.entries.shift();
    for (const [key, { until }] of this.keys) if (until <= now) this.keys.delete(key);
  }

  read(after: number, before: number): { entries: JournalEntry[]; complete: boolean } {
    const inside = this.entries.filter(({ offset }) => offset > after && offset < before);
    const expected = Math.max(0, Math.min(before - 1, this.offset) - after);
    return {
      entries: inside.map(({ offset, id, value }) => ({ offset, id, value })),
      complete: inside.length === expected,
    };
  }
}

const RUNS = 20;
const STEPS = 60;
const TOPICS = ['x', 'y'];
const SIZE = 4;

/** Random appends, reads, redactions, drops and pauses, on several nodes, against a model. */
export const journalModelTest = test('does what a simple model does, in any order of calls', async (bench) => {
  const journals = await bench.journals(3) as [Journal, ...Journal[]];
  const { shortTtl } = bench;
  // Without a clock of its own, time is not part of the test.
  const ttls = bench.hasClock ? [shortTtl, 50 * shortTtl] : [600_000];
  let now = 0;
  for (let run = 1; run <= RUNS; run++) {
    const random = randomNumbers(run);
    const below = (count: number): number => Math.floor(random() * count);
    const models = new Map(TOPICS.map((topic) => [topic, new Model()]));
    for (let step = 0; step < STEPS; step++) {
      const topic = TOPICS[below(2)]!;
      const name = `${topic} of run ${run}`;
      const model = models.get(topic)!;
      const journal = journals[below(3)]!;
      const text = `${run}-${step}`;
      model.expire(now);
      switch (below(8)) {
        case 0: case 1: case 2: {
          const key = random() < 0.5 ? `key ${below(4)}` : undefined;
          const ttl = ttls[below(ttls.length)]!;
          const known = key === undefined ? undefined : model.keys.get(key);
          const given = await journal.append(name, { id: text, value: text }, { size: SIZE, ttl, idempotencyKey: key });
          if (!known) {
            const entry = { offset: ++model.offset, id: (model.id = text), value: text, until: now + ttl };
            model.entries = [...model.entries, entry].slice(-SIZE);
            if (key !== undefined) model.keys.set(key, { ...entry, until: now + journal.keyWindow });
          }
          const { offset, id } = known ?? model;
          if (model.epoch === '') model.epoch = given.epoch;
          assert.deepEqual(given, { epoch: model.epoch, offset, id, duplicate: known !== undefined }, `append ${text}`);
          break;
        }
        case 3: {
          const entry = model.entries[below(model.entries.length)];
          const offset = entry?.offset ?? 7;
          const position = { epoch: model.epoch || 'none', offset, id: entry?.id ?? '?' };
          const found = await journal.redact(name, position, text);
          assert.equal(found, entry !== undefined, `redact ${text}`);
          if (entry) entry.value = text;
          break;
        }
        case 4:
          if (random() < 0.7) break;
          await journal.drop(name);
          models.set(topic, new Model());
          break;
        case 5:
          if (!bench.hasClock) break;
          await bench.pass(shortTtl);
          now += shortTtl + 1;
          break;
        default: {
          const [after, before] = [below(model.offset + 2), below(2) ? undefined : below(model.offset + 3)];
          const reverse = random() < 0.5;
          const page = await journal.read(name, { after, before, reverse, limit: 1_000 });
          const expected = model.read(after, before ?? Infinity);
          if (reverse) expected.entries.reverse();
          if (model.epoch === '') model.epoch = page.top.epoch;
          const top = { epoch: model.epoch, offset: model.offset, id: model.id };
          assert.deepEqual(page, { top, ...expected }, `read ${text} ${after} ${before}`);
        }
      }
    }
  }
});
