import { pipeline } from '../load/pipeline.ts';
import { CHAT } from './contents.ts';
import type { Scenario } from './scenario.ts';

const targets = { ws: 1.02, socketIo: 0.45 };

/** 10,000 clients are there, and silent. */
export const idle: Scenario = {
  name: 'idle',
  clients: 10_000,
  clientsWhenQuick: 1_000,
  measure: 'memory',
  figures: [
    { reading: 'heap', title: 'idle memory per connection, heap + external', unit: 'KB', better: 'lower', targets },
    { reading: 'rss', title: 'idle memory per connection, RSS', unit: 'KB', better: 'lower', targets },
  ],
  traffic: (load) => pipeline(load, { type: 'echo', content: CHAT }, 1),
};
