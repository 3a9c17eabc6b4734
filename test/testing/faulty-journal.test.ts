import { expect } from 'chai';
import { MemoryJournal, type Journal } from '../../index.ts';
import { FaultyJournal, journalSuite } from '../../testing/index.ts';

const ROOMY = { size: 1_000, ttl: 1_000_000 };
const codeOf = (promise: Promise<unknown>) => promise.then(() => 'none', (error: unknown) => (error as { code: string }).code);

journalSuite('faulty, without faults', () => {
  let now = 0;
  const journal = new FaultyJournal(new MemoryJournal({ now: () => now }));
  return { journal: () => journal, advance: (milliseconds) => (now += milliseconds) };
});

describe('the faulty journal', () => {
  /** Appends each value until it is acknowledged. */
  const insist = async (journal: Journal, count: number) => {
    let attempts = 0;
    for (let index = 0; index < count; index++) {
      const value = `${index}`;
      while ((attempts++, await codeOf(journal.append('topic', { id: value, value }, { ...ROOMY, idempotencyKey: value }))) !== 'none');
    }
    return attempts;
  };

  it('loses calls and answers, so that a key is needed to append once', async () => {
    const journal = new FaultyJournal(new MemoryJournal(), { seed: 3, delays: 0.3, losses: 0.2, lostReplies: 0.3 });

    const attempts = await insist(journal, 50);
    const { entries } = await journal.read('topic', { limit: 100 });

    expect(attempts).to.be.above(70);
    expect(entries.map(({ value }) => Number(value))).to.deep.equal(Array.from({ length: 50 }, (_, index) => index));
  });

  it('loses, repeats and delays notices', async () => {
    const journal = new FaultyJournal(new MemoryJournal(), { seed: 5, delays: 0.5, lostNotices: 0.3, duplicates: 0.3 });
    const heard: number[] = [];
    journal.watch((_, { offset }) => heard.push(offset));

    await insist(journal, 100);

    expect(new Set(heard).size).to.be.below(90);
    expect(heard.length).to.be.above(new Set(heard).size);
    expect(heard).to.not.deep.equal([...heard].sort((a, b) => a - b));
  });
});
