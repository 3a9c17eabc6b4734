import { isRecord, type Answers, type Node } from '../../src/index.ts';

/** The statistics of one node. */
export interface NodeStats {
  readonly node: string;
  readonly status: string;
  readonly connections: number;
  readonly messagesPerSecond: number;
  readonly totalMessages: number;
  readonly sentMessages: number;
  readonly droppedMessages: number;
  readonly totalErrors: number;
  /** Megabytes of heap in use. */
  readonly memory: number;
  /** Milliseconds. */
  readonly uptime: number;
}

/** The sums over all nodes that answered, and the statistics of each. */
export interface ClusterStats extends Readonly<Record<Summed, number>> {
  readonly nodes: readonly NodeStats[];
  /** Ids of nodes that did not answer in time, failed, or have not loaded the plugin. */
  readonly missing: readonly string[];
}

const SUMMED = [
  'connections', 'messagesPerSecond', 'totalMessages', 'sentMessages', 'droppedMessages', 'totalErrors',
] as const satisfies readonly (keyof NodeStats)[];
type Summed = (typeof SUMMED)[number];

export function ownStats(node: Node): NodeStats {
  const { status, uptime, memory: { used } } = node.health();
  const { messages, errors: { totalErrors }, connections: { activeConnections } } = node.metrics();
  const { messagesPerSecond, totalMessages, sentMessages, droppedMessages } = messages;
  return {
    node: node.id, status, connections: activeConnections, messagesPerSecond, totalMessages, sentMessages,
    droppedMessages, totalErrors, memory: used, uptime,
  };
}

const isStats = (given: unknown): given is NodeStats =>
  isRecord(given) && typeof given.status === 'string'
  && [...SUMMED, 'memory', 'uptime'].every((name) => Number.isFinite(given[name]));

export function clusterStats(own: NodeStats, { answers, failed, missing }: Answers): ClusterStats {
  const nodes = [own];
  const withoutAnswer = [...missing, ...failed.map(({ node }) => node)];
  for (const { node, answer } of answers) {
    if (isStats(answer)) nodes.push({ ...answer, node });
    else withoutAnswer.push(node);
  }
  const sums = SUMMED.map((name) => [name, nodes.reduce((total, node) => total + node[name], 0)] as const);
  return { ...(Object.fromEntries(sums) as Record<Summed, number>), nodes, missing: withoutAnswer };
}
