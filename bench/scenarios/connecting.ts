import { churn } from '../load/churn.ts';
import type { Scenario } from './scenario.ts';

/** Clients come, are let in and go again. */
export const connecting: Scenario = {
  name: 'connect',
  clients: 0,
  measure: 'cpu',
  // A few thousand connections a second: what they cost falls to a third during the first five.
  warmUp: 6_000,
  figures: [{
    reading: 'rate', title: 'connections accepted per CPU second', unit: '/s', better: 'higher',
    targets: { ws: 0.95, socketIo: 2 },
  }],
  traffic: (load) => churn(load, 32),
};
