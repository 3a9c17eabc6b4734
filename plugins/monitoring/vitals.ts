import { totalmem } from 'node:os';
import { type IntervalHistogram, monitorEventLoopDelay, performance } from 'node:perf_hooks';
import { getHeapStatistics } from 'node:v8';

/** Milliseconds between two samples of the event loop. */
const RESOLUTION = 20;

/** The state of this process: its event loop and its memory. */
export class Vitals {
  /** The longest block of the event loop in milliseconds, since the sample before the last one. */
  lag = 0;
  /** The 99th percentile of the event loop lag in milliseconds, since the sample before the last one. */
  lagP99 = 0;
  /** The share of time in which the event loop was busy. */
  utilization = 0;
  /** The share in use of the heap limit or of the machine's memory, whichever is higher. */
  memory = 0;
  heapUsed = 0;
  resident = 0;
  external = 0;
  readonly heapLimit = getHeapStatistics().heap_size_limit;
  readonly #residentLimit = Math.min(totalmem(), process.constrainedMemory() || Infinity);
  readonly #interval: number;
  // Two, reset in turns: Node's histogram misses a block that begins right after its reset, such as a job on a timer
  // with the same period.
  #older = started();
  #newer = started();
  #loop = performance.eventLoopUtilization();
  #sampledAt = performance.now();

  /** @param interval milliseconds between two samples */
  constructor(interval: number) {
    this.#interval = interval;
    this.sample();
  }

  sample(): void {
    const now = performance.now();
    const older = this.#older;
    // During a block there is neither a sample of Node nor one of ours. The first one afterwards is late.
    const late = now - this.#sampledAt - this.#interval;
    this.lag = Math.max(0, late, milliseconds(older.max) - RESOLUTION);
    this.lagP99 = Math.max(0, milliseconds(older.percentile(99)) - RESOLUTION);
    older.reset();
    [this.#older, this.#newer] = [this.#newer, older];
    this.#sampledAt = now;

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
