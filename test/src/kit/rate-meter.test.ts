import { expect } from 'chai';
import fc from 'fast-check';
import { RateMeter } from '../../../src/kit/rate-meter.ts';

/** Takes one token at each of the times, where there is one. Returns the times at which there was. */
function taken(meter: RateMeter, times: readonly number[], cost = 1): number[] {
  let state = 0;
  return times.filter((now) => {
    if (meter.wait(state, now, cost) > 0) return false;
    state = meter.charge(state, now, cost);
    return true;
  });
}

/** The start of a process, or half a year later, where doubles tell less apart. */
const start = fc.oneof(fc.constant(0), fc.double({ min: 0, max: 1.6e10, noNaN: true }));

describe('RateMeter', () => {
  it('lets exactly the burst pass at once, whatever the rate and the uptime', () => {
    const rate = fc.record({ count: fc.double({ min: 0.01, max: 10_000, noNaN: true }), per: fc.constantFrom(1_000, 60_000) });
    fc.assert(fc.property(rate, fc.integer({ min: 1, max: 1_000 }), start, ({ count, per }, burst, now) => {
      const meter = new RateMeter({ count, per, burst });

      expect(taken(meter, Array<number>(burst + 5).fill(now))).to.have.length(burst);
    }));
  });

  it('lets no more than burst + t * rate pass in any time t', () => {
    const gaps = fc.array(fc.double({ min: 0, max: 30, noNaN: true }), { minLength: 1, maxLength: 300 });
    fc.assert(fc.property(fc.integer({ min: 1, max: 500 }), fc.integer({ min: 1, max: 50 }), start, gaps, (count, burst, begin, steps) => {
      const meter = new RateMeter({ count, per: 1_000, burst });
      let now = begin;
      const times = steps.flatMap((step) => {
        now += step;
        return Array<number>(60).fill(now);
      });

      const passed = taken(meter, times);

      for (const [index, from] of passed.entries()) {
        const most = burst + (passed.at(-1)! - from) * count / 1_000;
        expect(passed.length - index).to.be.at.most(most + 1e-3);
      }
    }));
  });

  it('lets a client that asks continuously pass at least burst + t * rate - 1 times', () => {
    fc.assert(fc.property(fc.integer({ min: 1, max: 300 }), fc.integer({ min: 2, max: 50 }), start, (count, burst, begin) => {
      const meter = new RateMeter({ count, per: 1_000, burst });
      const times = Array.from({ length: 2_001 }, (_, index) => Array<number>(burst).fill(begin + index)).flat();

      expect(taken(meter, times).length).to.be.within(burst + 2 * count - 1, burst + 2 * count);
    }), { numRuns: 30 });
  });

  it('tells when to retry: not at once, and not a millisecond too late', () => {
    const rate = fc.record({ count: fc.double({ min: 0.1, max: 500, noNaN: true }), burst: fc.integer({ min: 1, max: 20 }) });
    fc.assert(fc.property(rate, start, fc.integer({ min: 1, max: 20 }), ({ count, burst }, begin, cost) => {
      const meter = new RateMeter({ count, per: 1_000, burst });
      let state = 0;
      while (meter.wait(state, begin, cost) === 0) state = meter.charge(state, begin, cost);

      const wait = meter.wait(state, begin, cost);

      expect(wait).to.satisfy(Number.isInteger);
      expect(meter.wait(state, begin + wait, cost)).to.equal(0);
      expect(meter.wait(state, begin + wait - 1 - 2e-3, cost)).to.be.above(0);
    }));
  });

  it('charges a cost at once', () => {
    const meter = new RateMeter({ count: 100, per: 1_000, burst: 10 });

    expect(taken(meter, [0, 0, 0, 0], 4)).to.have.length(2);
  });

  it('lets a cost above the burst pass from a full bucket, and then waits until it is paid off', () => {
    const meter = new RateMeter({ count: 1, per: 1, burst: 10 });
    const state = meter.charge(0, 0, 100);

    expect(meter.wait(0, 0, 100)).to.equal(0);
    expect(meter.wait(state, 0)).to.equal(91);
    expect(meter.wait(state, 91)).to.equal(0);
    expect(meter.wait(state, 91, 100)).to.equal(9);
  });

  it('returns taken tokens, up to a full bucket', () => {
    const meter = new RateMeter({ count: 1, per: 1_000, burst: 2 });
    const empty = meter.charge(meter.charge(0, 0), 0);

    expect(meter.wait(empty, 0)).to.equal(1_000);
    expect(meter.wait(meter.refund(empty), 0)).to.equal(0);
    expect(taken(meter, [10_000, 10_000, 10_000])).to.have.length(2);
    const overpaid = meter.refund(meter.refund(meter.refund(empty)));
    const once = meter.charge(overpaid, 0);
    expect(meter.wait(meter.charge(once, 0), 0)).to.equal(1_000);
  });

  it('holds at least one token, also at a rate below one', () => {
    const meter = new RateMeter({ count: 0.5, per: 1_000 });

    expect(taken(meter, [0, 0, 1_999, 2_000])).to.deep.equal([0, 2_000]);
  });

  it('rejects an invalid rate', () => {
    for (const wrong of [{ count: 0, per: 1 }, { count: 1, per: -1 }, { count: Infinity, per: 1 }, { count: 1, per: 1, burst: NaN }]) {
      expect(() => new RateMeter(wrong)).to.throw().with.property('code', 'OPTION_INVALID');
    }
  });
});
