import { expect } from 'chai';
import fc from 'fast-check';
import sinon from 'sinon';
import { Clock } from '../../../src/runtime/clock.ts';
import { cleanup } from '../../support/cleanup.ts';
import { heapUsed } from '../../support/memory.ts';
import { fastest, fastestInTurns, withinAllowance } from '../../support/timing.ts';

function fakeTime() {
  const time = sinon.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'performance'] });
  cleanup(() => { time.restore(); });
  return time;
}

describe('clock', () => {
  it('runs work when it is due, and not before', () => {
    const time = fakeTime();
    const clock = new Clock();
    const ran: string[] = [];
    clock.after(20, () => ran.push('second'));
    clock.after(10, () => ran.push('first'));

    time.tick(9);
    const early = [...ran];
    time.tick(12);

    expect(early).to.deep.equal([]);
    expect(ran).to.deep.equal(['first', 'second']);
    expect(clock.size).to.equal(0);
  });

  it('waits for more than 2^31 milliseconds, where setTimeout would fire at once', () => {
    const time = fakeTime();
    const clock = new Clock();
    let ran = 0;
    clock.after(3 * 2 ** 31, () => ran++);

    time.tick(3 * 2 ** 31 - 10);
    const early = ran;
    time.tick(20);

    expect(early).to.equal(0);
    expect(ran).to.equal(1);
  });

  it('runs any set of deadlines in order of time, except cancelled ones', () => {
    const time = fakeTime();
    const when = fc.integer({ min: 0, max: 5_000 });
    fc.assert(fc.property(fc.array(fc.record({ delay: when, cancelAt: fc.option(when) })), (plan) => {
      const clock = new Clock();
      const ran: { index: number; at: number }[] = [];
      const start = performance.now();
      const deadlines = plan.map(({ delay }, index) => clock.after(delay, () => ran.push({ index, at: performance.now() - start })));
      const cancelled = plan.map(({ cancelAt }) => cancelAt === null ? false : cancelAt === 0);
      plan.forEach(({ cancelAt }, index) => {
        if (cancelAt === 0) deadlines[index]!.cancel();
        else if (cancelAt !== null) setTimeout(() => { deadlines[index]!.cancel(); }, cancelAt);
      });

      time.tick(6_000);

      const ids = ran.map(({ index }) => index);
      expect(new Set(ids).size, 'each once').to.equal(ids.length);
      expect(ran.map(({ at }) => at)).to.deep.equal(ran.map(({ at }) => at).sort((a, b) => a - b));
      for (const { index, at } of ran) expect(at, 'not early, and at most a tick late').to.be.within(plan[index]!.delay, plan[index]!.delay + 1);
      plan.forEach(({ delay, cancelAt }, index) => {
        if (cancelled[index] || (cancelAt !== null && cancelAt < delay)) expect(ids).to.not.include(index);
        else if (cancelAt === null) expect(ids).to.include(index);
      });
      expect(clock.size).to.equal(0);
    }), { numRuns: 200 });
  });

  it('runs deadlines of the same time in the order of insertion', () => {
    const time = fakeTime();
    fc.assert(fc.property(fc.array(fc.record({ delay: fc.integer({ min: 0, max: 3 }), isCancelled: fc.boolean() }), { maxLength: 60 }), (plan) => {
      const clock = new Clock();
      const ran: number[] = [];
      const deadlines = plan.map(({ delay }, index) => clock.after(delay, () => ran.push(index)));
      deadlines.forEach((deadline, index) => { if (plan[index]!.isCancelled) deadline.cancel(); });

      time.tick(10);

      const expected = plan.map(({ delay, isCancelled }, index) => ({ delay, isCancelled, index }))
        .filter(({ isCancelled }) => !isCancelled).sort((a, b) => a.delay - b.delay).map(({ index }) => index);
      expect(ran).to.deep.equal(expected);
    }));
  });

  it('HOSTILE 38: adds and cancels a deadline within 5 µs among a million others, and frees cancelled ones', async () => {
    const clock = new Clock();
    cleanup(() => { clock.stop(); });
    const run = () => {};
    const before = heapUsed();
    let deadlines: { cancel(): void }[] = [];
    const fill = () => {
      deadlines = Array.from({ length: 1_000_000 }, (_, index) => clock.after(60_000 + (index * 7_919) % 3_600_000, run));
    };
    fill();

    // On a busy machine a clock without other deadlines is the control.
    const addAndCancel = (among: Clock, delay: number) => () => {
      for (let each = 0; each < 10_000; each++) among.after(delay + each, run).cancel();
    };
    for (const delay of [1_000, 1_800_000, 10_000_000]) {
      await withinAllowance(6, async () => {
        const { alone, among } = await fastestInTurns(5, {
          alone: addAndCancel(new Clock(), delay), among: addAndCancel(clock, delay),
        });
        return { [`µs for one of ${delay} ms`]: { value: among / 10, allowed: Math.max(5, 3 * alone / 10) } };
      });
    }
    await withinAllowance(6, async () => {
      if (clock.size === 0) fill();
      const control = new Clock();
      const few = Array.from({ length: 10_000 }, (_, index) => control.after(60_000 + index, run));
      const alone = await fastest(1, () => { for (const deadline of few) deadline.cancel(); });
      const took = await fastest(1, () => { for (const deadline of deadlines) deadline.cancel(); });
      expect(clock.size).to.equal(0);
      return { 'µs for one of those that were there': { value: took / 1_000, allowed: Math.max(5, 3 * alone / 10) } };
    });
    deadlines = [];
    expect(heapUsed() - before, 'bytes that remain').to.be.below(5_000_000);
  }).timeout(60_000);

  it('counts pending deadlines, and ignores cancelling twice or too late', () => {
    const time = fakeTime();
    const clock = new Clock();
    const long = clock.after(1_000, () => {});
    const short = clock.after(1, () => {});
    clock.after(2_000, () => {});

    long.cancel();
    long.cancel();
    time.tick(5);
    short.cancel();

    expect(clock.size).to.equal(1);
  });

  it('frees deadlines that were cancelled long before their time', () => {
    fakeTime();
    const clock = new Clock();

    for (let each = 0; each < 10_000; each++) clock.after(86_400_000, () => {}).cancel();

    expect(clock.size).to.equal(0);
  });

  it('runs the rest when one fails', () => {
    const time = fakeTime();
    const clock = new Clock();
    let reached = false;
    clock.after(10, () => { throw new Error('boom'); });
    clock.after(10, () => { reached = true; });
    clock.after(30, () => {});

    expect(() => time.tick(20)).to.throw('boom');
    time.tick(5);

    expect(reached).to.be.true;
    expect(clock.size).to.equal(1);
  });

  it('allows work to add and cancel work', () => {
    const time = fakeTime();
    const clock = new Clock();
    const ran: string[] = [];
    clock.after(10, () => {
      doomed.cancel();
      clock.after(0, () => ran.push('added'));
    });
    const doomed = clock.after(11, () => ran.push('doomed'));

    time.tick(50);

    expect(ran).to.deep.equal(['added']);
  });

  it('forgets everything when it is stopped', () => {
    const time = fakeTime();
    const clock = new Clock();
    let ran = false;
    clock.after(10, () => { ran = true; });

    clock.stop();
    time.tick(100);

    expect(ran).to.be.false;
    expect(clock.size).to.equal(0);
  });
});
