import { fanOut } from '../load/fan-out.ts';
import { CHAT, PRICES } from './contents.ts';
import { costPerMessage, type Figure, type Scenario } from './scenario.ts';

const broadcast = (burst: number, targets: Figure['targets']): Scenario => ({
  name: `broadcast-${burst}`,
  clients: 1_000,
  measure: 'cpu',
  figures: [costPerMessage(`broadcast to 1,000, ${burst === 1 ? 'one at a time' : `bursts of ${burst}`}`, targets)],
  traffic: (load) => fanOut(load, { request: () => ({ type: 'broadcast', content: CHAT }), groups: 1, burst }),
});

const compressed = (burst: number, targets: Figure['targets']): Scenario => ({
  name: `compressed-${burst}`,
  clients: 1_000,
  measure: 'cpu',
  compression: true,
  figures: [costPerMessage(`compressed broadcast, 4 KB to 1,000, ${rhythmOf(burst)}`, targets)],
  traffic: (load) => fanOut(load, { request: () => ({ type: 'broadcast', content: PRICES }), groups: 1, burst }),
});

/** One of 1,000 clients says something to all of them. */
export const broadcasts: readonly Scenario[] = [
  broadcast(1, { ws: 0.9, socketIo: 0.78 }),
  broadcast(10, { ws: 0.12, socketIo: 0.11 }),
  compressed(1, { ws: 0.07, socketIo: 0.07 }),
  compressed(10, { ws: 0.015, socketIo: 0.015 }),
];

function rhythmOf(burst: number): string { return burst === 1 ? 'one at a time' : `bursts of ${burst}`; }
