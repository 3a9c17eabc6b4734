import { expect } from 'chai';
import fc from 'fast-check';
import { Histogram } from '../../../plugins/monitoring/histogram.ts';

const BOUNDS = [1, 2, 5, 10];

describe('a histogram', () => {
  it('counts how many values are at or under each bound', () => {
    fc.assert(fc.property(fc.array(fc.oneof(fc.integer({ min: 0, max: 12 }), fc.double({ min: 0, max: 20, noNaN: true }))), (values) => {
      const histogram = new Histogram(BOUNDS);
      for (const value of values) histogram.record(value);

      const { buckets, count, sum } = histogram.value;

      expect(buckets).to.deep.equal(BOUNDS.map((bound) => [bound, values.filter((value) => value <= bound).length]));
      expect(count).to.equal(values.length);
      expect(sum).to.be.closeTo(values.reduce((a, b) => a + b, 0), 1e-6);
    }));
  });
});
