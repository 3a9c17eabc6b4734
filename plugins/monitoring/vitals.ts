import { totalmem } from 'node:os';
import { type IntervalHistogram, monitorEventLoopDelay, performance } from 'node:perf_hooks';
import { getHeapStatistics } from 'node:v8';

/** Milliseconds between two samples of the event loop. */
const RESOLUTION = 20;

/** How this process fares: its event loop and its memory. */
export class Vitals {
  /** The longest that the event loop kept something waiting, in milliseconds, since the look before last. */
  lag = 0;
  /** What 99 of 100 samples did not exceed, likewise. */
  lagP99 = 0;
  /** The share of time in which the event loop was busy. */
  utilization = 0;
  /** The share of what it may have that the process has: of its heap's limit or of the machine's memory, whichever is nearer. */
  memory = 0;
  heapUsed = 0;
  resident = 0;
  external = 0;
  readonly heapLimit = getHeapStatistics().heap_size_limit;
  readonly #residentLimit = Math.min(totalmem(), process.constrainedMemory() || Infinity);
  readonly #interval: number;
  // Two, reset in turns: Node's histogram misses what begins right after its reset, such as a job on a timer of the same period as ours.
  #older = started();
  #newer = started();
  #loop = performance.eventLoopUtilization();
  #looked = performance.now();

  /** @param interval milliseconds between two looks */
  constructor(interval: number) {
    this.#interval = interval;
    this.look();
  }

  look(): void {
    const now = performance.now();
    const older = this.#older;
    // While the loop stands still, neither the samples nor this look happen: whichever is first afterwards shows it.
    const late = now - this.#looked - this.#interval;
    this.lag = Math.max(0, late, milliseconds(older.max) - RESOLUTION);
    this.lagP99 = Math.max(0, milliseconds(older.percentile(99)) - RESOLUTION);
    older.reset();
    [this.#older, this.#newer] = [this.#newer, older];
    this.#looked = now;

    const loop = performance.eventLoopUtilization();
    this.utilization = performance.eventLoopUtilization(loop, this.#loop).utilization;
    this.#loop = loop;

    const { heapUsed, rss, external } = process.memoryUsage();
    this.heapUsed = heapUsed;
    this.resident = rss;
    this.external = external;
    this.memory = Math.max(heapUsed / this.heapLimit, rss / this.#residentLimit);
  }

  stop(): void {
    this.#older.disable();
    this.#newer.disable();
  }
}

function started(): IntervalHistogram {
  const histogram = monitorEventLoopDelay({ resolution: RESOLUTION });
  histogram.enable();
  return histogram;
}

const milliseconds = (nanoseconds: number): number => nanoseconds / 1e6;
