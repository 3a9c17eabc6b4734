import { fanOut } from '../load/fan-out.ts';
import { CHAT } from './contents.ts';
import { costPerMessage, type Scenario } from './scenario.ts';

const roomOf = (group: number): string => `room-${String(group).padStart(2, '0')}`;

/** 2,000 clients in rooms of 50, and in each room one of them says something. */
export const rooms: Scenario = {
  name: 'rooms',
  clients: 2_000,
  measure: 'cpu',
  figures: [costPerMessage('rooms of 50 among 2,000', {})],
  traffic: (load) => fanOut(load, {
    join: (group) => ({ type: 'join', content: { room: roomOf(group) } }),
    request: (group) => ({ type: 'say', content: { ...CHAT, room: roomOf(group) } }),
    groups: 40,
    burst: 1,
  }),
};
