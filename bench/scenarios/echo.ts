import { pipeline } from '../load/pipeline.ts';
import { CHAT } from './contents.ts';
import { costPerMessage, type Figure, type Scenario } from './scenario.ts';

const echo = (inFlight: number, targets: Figure['targets']): Scenario => ({
  name: `echo-${inFlight}`,
  clients: 64,
  measure: 'cpu',
  figures: [costPerMessage(`echo, ${inFlight} in flight`, targets)],
  traffic: (load) => pipeline(load, { type: 'echo', content: CHAT }, inFlight),
});

/** 64 clients talk with the server, each by itself. */
export const echoes: readonly Scenario[] = [echo(1, { ws: 0.92, socketIo: 0.8 }), echo(16, { ws: 0.4, socketIo: 0.3 })];
