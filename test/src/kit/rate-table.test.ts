import { expect } from 'chai';
import { RateMeter } from '../../../src/kit/rate-meter.ts';
import { RateTable } from '../../../src/kit/rate-table.ts';

describe('RateTable', () => {
  it('gives each actor a budget of its own', () => {
    const table = new RateTable(new RateMeter({ count: 2, per: 1_000 }), 10);

    expect(['a', 'a', 'b', 'a', 'b', 'b'].map((actor) => table.take(actor, 0))).to.deep.equal([0, 0, 0, 500, 0, 500]);
    expect(table.take('a', 500)).to.equal(0);
  });

  it('takes no token when it rejects', () => {
    const table = new RateTable(new RateMeter({ count: 10, per: 1_000 }), 10);

    expect(table.take('a', 0, 8)).to.equal(0);
    expect(table.take('a', 0, 3)).to.equal(100);
    expect(table.take('a', 0, 2)).to.equal(0);
  });

  it('removes buckets that were full for a while when new actors arrive', () => {
    const table = new RateTable(new RateMeter({ count: 1, per: 1_000 }), 1_000_000);

    for (let index = 0; index < 50_000; index++) expect(table.take(`visitor ${index}`, index * 10)).to.equal(0);

    // 1,100 visitors come in the eleven seconds for which each is remembered.
    expect(table.size).to.be.within(1_100, 2_500);
  });

  it('delays new actors when the table is full, and keeps each bucket that is not full', () => {
    const table = new RateTable(new RateMeter({ count: 1, per: 1_000 }), 3);
    for (const actor of ['a', 'b', 'c']) table.take(actor, 0);

    expect(table.take('d', 0)).to.equal(1_000);
    expect(['a', 'b', 'c'].map((actor) => table.take(actor, 1))).to.deep.equal([999, 999, 999]);
    expect(table.size).to.equal(3);
    expect(table.take('d', 1_000)).to.equal(0);
  });
});
