import { expect } from 'chai';
import fc from 'fast-check';
import { SlidingWindow } from '../../../plugins/monitoring/sliding-window.ts';

/** What the buckets are wide: a value read back is off by no more. */
const TOLERANCE = 2 ** (1 / 32);

const duration = fc.double({ min: 0.001, max: 1e6, noNaN: true });

describe('a window of durations', () => {
  it('gives quantiles within 2.2 % of the sorted list', () => {
    fc.assert(fc.property(fc.array(duration, { minLength: 1, maxLength: 500 }), fc.constantFrom(0.01, 0.5, 0.95, 0.99, 1), (durations, share) => {
      const window = new SlidingWindow(3);
      for (const each of durations) window.record(each, false);
      const exact = durations.toSorted((a, b) => a - b)[Math.ceil(share * durations.length) - 1]!;

      const ratio = window.read().quantile(share) / exact;

      expect(ratio).to.be.within(1 / TOLERANCE - 1e-9, TOLERANCE + 1e-9);
    }));
  });

  it('gives the same whichever of its slots the durations fell into', () => {
    fc.assert(fc.property(fc.array(fc.tuple(duration, fc.boolean(), fc.boolean()), { maxLength: 100 }), (events) => {
      const whole = new SlidingWindow(200);
      const parts = new SlidingWindow(200);
      for (const [each, failed, advance] of events) {
        whole.record(each, failed);
        parts.record(each, failed);
        if (advance) parts.advance();
      }

      const [a, b] = [whole.read(), parts.read()];

      expect([b.count, b.failed, b.errorRate, b.quantile(0.5), b.quantile(0.99)])
        .to.deep.equal([a.count, a.failed, a.errorRate, a.quantile(0.5), a.quantile(0.99)]);
    }));
  });

  it('takes any duration there can be', () => {
    const window = new SlidingWindow(1);

    for (const each of [0, Number.MIN_VALUE, 2 ** 31, Number.MAX_VALUE, Infinity]) window.record(each, false);

    const reading = window.read();
    expect(reading.count).to.equal(5);
    expect(reading.quantile(0.2)).to.be.below(0.0011);
    expect(reading.quantile(1)).to.be.above(2 ** 31 * 0.97);
  });

  it('is zero while empty', () => {
    const { count, errorRate, lag, memory, ...reading } = new SlidingWindow(2).read();

    expect([count, errorRate, lag, memory]).to.deep.equal([0, 0, 0, 0]);
    expect(new SlidingWindow(2).read().quantile(0.99)).to.equal(0);
    expect(reading.failed).to.equal(0);
  });

  it('forgets a slot when as many have passed as it remembers', () => {
    const window = new SlidingWindow(2);
    window.record(5, true);
    window.peak(100, 0.5);

    window.advance();
    window.advance();
    const before = window.read();
    window.advance();
    const after = window.read();

    expect([before.count, before.failed, before.lag, before.memory]).to.deep.equal([1, 1, 100, 0.5]);
    expect([after.count, after.failed, after.lag, after.memory]).to.deep.equal([0, 0, 0, 0]);
  });

  it('keeps the highest of what is sampled', () => {
    const window = new SlidingWindow(2);

    window.peak(10, 0.9);
    window.peak(30, 0.1);
    window.advance();
    window.peak(20, 0.2);

    const { lag, memory } = window.read();
    expect([lag, memory]).to.deep.equal([30, 0.9]);
  });
});
