import { monitorEventLoopDelay } from 'node:perf_hooks';
import { expect } from 'chai';
import { Vitals } from '../../../plugins/monitoring/vitals.ts';
import { cleanup } from '../../support/cleanup.ts';
import { eventually } from '../../support/timing.ts';

/** So long that a sample is never late, and only those of Node tell. */
const NEVER_LATE = 1_000_000;

function vitalsFor(interval: number): Vitals {
  const vitals = new Vitals(interval);
  cleanup(() => vitals.stop());
  return vitals;
}

function stall(milliseconds: number): void {
  const end = performance.now() + milliseconds;
  while (performance.now() < end);
}

/** Waits until the event loop has been sampled, as often as the vitals sample it. */
async function sampled(): Promise<void> {
  const histogram = monitorEventLoopDelay({ resolution: 20 });
  histogram.enable();
  await eventually('three samples', () => histogram.count >= 3);
  histogram.disable();
}

describe('the vitals of the process', () => {
  it('show a block that begins right after a sample, which one histogram alone would miss', async () => {
    const vitals = vitalsFor(NEVER_LATE);
    await sampled();

    vitals.sample();
    stall(120);
    await sampled();
    vitals.sample();

    expect(vitals.lag).to.be.within(90, 5_000);
    expect(vitals.lagP99).to.be.at.most(vitals.lag);
  });

  it('show a block that delays the sample itself', () => {
    const vitals = vitalsFor(10);

    stall(120);
    vitals.sample();

    expect(vitals.lag).to.be.within(100, 5_000);
  });

  it('forget a block two samples later', async () => {
    const vitals = vitalsFor(NEVER_LATE);
    await sampled();
    stall(800);
    await sampled();

    const lags = [];
    for (let sample = 0; sample < 4; sample++) {
      await sampled();
      vitals.sample();
      lags.push(vitals.lag);
    }

    expect(lags[0]).to.be.at.least(700);
    expect(lags[3]).to.be.below(700);
  });

  it('show how busy the event loop is, and the memory', async () => {
    const vitals = vitalsFor(NEVER_LATE);
    stall(50);
    await sampled();

    vitals.sample();

    const { heapUsed, heapLimit, resident, memory, utilization } = vitals;
    expect(utilization).to.be.above(0).and.at.most(1);
    expect(heapUsed).to.be.within(1e6, heapLimit);
    expect(resident).to.be.above(1e6);
    expect(memory).to.be.within(heapUsed / heapLimit, 1);
  });
});
