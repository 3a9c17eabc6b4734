import type { Request } from '../load/dialects.ts';
import { CHAT } from '../scenarios/contents.ts';

/** What several nodes do. */
export interface ClusterScenario {
  readonly name: 'two-nodes-1' | 'two-nodes-10' | 'rooms-of-ten';
  readonly title: string;
  readonly nodes: number;
  /** Groups of clients that say something to each other. */
  readonly groups: number;
  readonly clientsPerGroup: number;
  readonly groupsWhenQuick: number;
  /** The node of a client: half of a group's clients are on one node, half on another. */
  readonly nodeOf: (group: number, member: number) => number;
  readonly join?: (group: number) => Request;
  readonly request: (group: number) => Request;
  /** Messages that are said at once. */
  readonly burst: number;
  /** The largest allowed ratio to Socket.IO. */
  readonly target: number;
}

const roomOf = (group: number): string => `room-${String(group).padStart(4, '0')}`;

const twoNodes = (burst: 1 | 10): ClusterScenario => ({
  name: `two-nodes-${burst}`,
  title: `broadcast on two nodes, 500 receivers each, ${burst === 1 ? 'one at a time' : 'bursts of 10'}`,
  nodes: 2,
  groups: 1,
  clientsPerGroup: 1_000,
  groupsWhenQuick: 1,
  nodeOf: (_group, member) => member % 2,
  request: () => ({ type: 'broadcast', content: CHAT }),
  burst,
  target: 0.5,
});

export const clusterScenarios: readonly ClusterScenario[] = [
  twoNodes(1),
  twoNodes(10),
  {
    name: 'rooms-of-ten',
    title: '1,000 rooms of ten on four nodes, each room on two',
    nodes: 4,
    groups: 1_000,
    clientsPerGroup: 10,
    groupsWhenQuick: 40,
    nodeOf: (group, member) => (group + member % 2) % 4,
    join: (group) => ({ type: 'join', content: { room: roomOf(group) } }),
    request: (group) => ({ type: 'say', content: { ...CHAT, room: roomOf(group) } }),
    burst: 1,
    target: 0.25,
  },
];
