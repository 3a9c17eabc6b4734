import { pipeline } from '../load/pipeline.ts';
import { CHAT } from './contents.ts';
import { costPerMessage, type Scenario } from './scenario.ts';

/** 64 clients send messages of which they only want to know that they arrived. */
export const acknowledgement: Scenario = {
  name: 'ack-16',
  clients: 64,
  measure: 'cpu',
  figures: [costPerMessage('request with acknowledgement, 16 in flight', { ws: 0.38, socketIo: 0.34 })],
  traffic: (load) => pipeline(load, { type: 'save', content: CHAT, ack: true }, 16),
};
