import { monitorEventLoopDelay } from 'node:perf_hooks';
import { ModuleError, type PluginContext } from '../../src/index.ts';

/** Milliseconds between two samples of the event loop: 50 a second, so the 99th percentile of a second is the worst. */
const RESOLUTION = 20;
/** Milliseconds between two readings of the clock. */
const INTERVAL = 100;

/** Refuses upgrades while the event loop lags more than `max` milliseconds. */
export function refuseWhileLagging(context: PluginContext, max: number): void {
  const histogram = monitorEventLoopDelay({ resolution: RESOLUTION });
  histogram.enable();
  context.onUnload(() => void histogram.disable());
  // The histogram records the time between two samples. A percentile takes 4 µs.
  const percentile = (): number => histogram.percentile(99) / 1e6 - RESOLUTION;
  let [now, second] = [performance.now(), performance.now()];
  // The highest lag of this second and of the one before.
  let [recent, before] = [0, 0];
  context.every(INTERVAL, () => {
    // A histogram that was just reset misses a block that is running; the late timer shows it.
    recent = Math.max(recent, performance.now() - now - INTERVAL);
    now = performance.now();
    if (now - second < 1_000) return;
    second = now;
    before = Math.max(recent, percentile());
    recent = 0;
    histogram.reset();
  });
  context.use({
    type: 'upgrade',
    name: 'connection-limits',
    handler() {
      if (Math.max(recent, before, percentile()) > max) throw new ModuleError('SERVER_OVERLOADED');
    },
  });
}
