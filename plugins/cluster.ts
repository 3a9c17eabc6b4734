import { check, definePlugin, ModuleError, rules, userConnections, type Node, type Plugin } from '../src/index.ts';
import './cluster/cluster-errors.ts';
import {
  MessageListeners, type ClusterListener, type ClusterMessages, type MessageName,
} from './cluster/cluster-messages.ts';
import { NodeDirectory, type NodeInfo } from './cluster/node-directory.ts';
import { clusterStats, ownStats, type ClusterStats } from './cluster/cluster-stats.ts';

export type { ClusterListener, ClusterMessages, MessageName } from './cluster/cluster-messages.ts';
export type { NodeInfo } from './cluster/node-directory.ts';
export type { ClusterStats, NodeStats } from './cluster/cluster-stats.ts';

export interface ClusterOptions {
  /** A display name of the node. @default its id */
  readonly name?: string | undefined;
  /** The address at which other programs reach the node. @default '' */
  readonly address?: string | undefined;
  /** The version of the application. @default '' */
  readonly version?: string | undefined;
}

/** A connection of a user on some node. */
export interface FoundConnection { readonly node: string; readonly connectionId: string; readonly connectedAt: number }

export interface ClusterApi {
  /** This node. */
  readonly self: NodeInfo;
  /** All running nodes, this one first. A node that joined a moment ago may be missing. */
  nodes(): readonly NodeInfo[];
  /** The statistics of all nodes, and their sums. `missing` lists the nodes without an answer. */
  stats(): Promise<ClusterStats>;
  /** A user's connections on all nodes. @throws NODES_SILENT if a node did not answer */
  find(userId: string): Promise<readonly FoundConnection[]>;
  /** Sends a cluster message to the applications of all other nodes, or of one. */
  send<Name extends MessageName>(
    name: Name,
    data: ClusterMessages[Name],
    options?: { readonly node?: string | undefined },
  ): void;
  /** Listens to a cluster message of other nodes. Returns the undo. */
  on<Name extends MessageName>(name: Name, listener: ClusterListener<ClusterMessages[Name]>): () => void;
}
declare module '../src/index.ts' {
  interface PluginApis { cluster: ClusterApi }
  interface Hooks {
    /** A node joined and described itself. */
    'cluster:joined': (event: { readonly node: NodeInfo }) => unknown;
    /** A node stopped, or was silent for ten seconds. */
    'cluster:left': (event: { readonly node: NodeInfo }) => unknown;
  }
}

const text = rules.rule(
  'a string of at most 255 characters',
  (value) => typeof value === 'string' && value.length <= 255,
);
const CLUSTER_RULES = { name: text, address: text, version: text };

/**
 * Lists the nodes of a cluster, adds up their statistics, finds the connections of a user, and sends messages between
 * the applications of the nodes. It needs an adapter; without one, this node is the only one.
 *
 * @throws OPTION_INVALID, OPTION_UNKNOWN
 * @example
 * manager.use(cluster({ name: 'chat-1', version: '2.1.0' }));
 * manager.api('cluster').on('system-announcement', ({ text }) => manager.broadcast({ type: 'announcement', text }));
 */
export function cluster(options: ClusterOptions = {}): Plugin<'cluster', never, ClusterApi> {
  const given = check<ClusterOptions>(options, CLUSTER_RULES, 'cluster');
  return definePlugin({
    name: 'cluster',
    events: ['cluster:joined', 'cluster:left'],
    setup(context): ClusterApi {
      const { node } = context;
      const { name = node.id, address = '', version = '' } = given;
      const self: NodeInfo = Object.freeze({ id: node.id, name, address, version, since: Date.now() });
      const directory = new NodeDirectory(context, self);
      const messages = new MessageListeners(context);
      const stats = context.channel('stats', () => ownStats(node));
      const users = context.channel<unknown, FoundConnection[]>('users', (userId) => connectionsOf(node, userId));

      context.metrics(() => ({
        cluster_nodes: { type: 'gauge', help: 'Number of running nodes.', value: node.peers.length + 1 },
      }));
      return {
        self,
        nodes: () => directory.nodes,
        stats: async () => clusterStats(ownStats(node), await stats.ask(null)),
        async find(userId) {
          const { answers, failed, missing } = await users.ask(userId);
          const silent = [...missing, ...failed.map((one) => one.node)];
          if (silent.length > 0) throw new ModuleError('NODES_SILENT', { nodes: silent });
          return [...connectionsOf(node, userId), ...answers.flatMap(({ answer }) => answer)];
        },
        send: (message, data, { node: to } = {}) => messages.send(message, data, to),
        on: (message, listener) => messages.on(message, listener),
      };
    },
  });
}

function connectionsOf(node: Node, userId: unknown): FoundConnection[] {
  if (typeof userId !== 'string') return [];
  return userConnections(node, userId)
    .map(({ id: connectionId, connectedAt }) => ({ node: node.id, connectionId, connectedAt }));
}

cluster.cluster = cluster;
export { cluster as default, cluster as 'module.exports' };
