import { steady } from '../load/steady.ts';
import { CHAT } from './contents.ts';
import type { Scenario } from './scenario.ts';

/** 64 clients send 10,000 messages a second, whatever comes back. */
export const latency: Scenario = {
  name: 'latency',
  clients: 64,
  measure: 'cpu',
  // What was late while the code was slow has to be made up for first.
  warmUp: 5_000,
  figures: [
    { reading: 'p50', title: 'latency at 10,000 messages/s, p50', unit: 'ms', better: 'lower', targets: {} },
    {
      reading: 'p99', title: 'latency at 10,000 messages/s, p99', unit: 'ms', better: 'lower',
      targets: { ws: 1.1, socketIo: 0.9 },
    },
  ],
  traffic: (load) => steady(load, { type: 'echo', content: CHAT }, 10_000),
};
