import { slotOf, SLOTS } from '../../adapters/redis/cluster-slots.ts';
import type { RedisAdapterOptions } from '../../adapters/redis.ts';
import { freePort } from './free-port.ts';
import { redisServer, type RedisServer } from './redis.ts';
import { eventually } from './timing.ts';

/** A real Redis Cluster, each server a process of its own. */
export interface RedisCluster {
  readonly masters: readonly RedisServer[];
  /** The replica of the first master, if it was asked for. */
  readonly replica: RedisServer | undefined;
  /** The options with which an adapter connects to it. */
  readonly options: RedisAdapterOptions;
  /** The server that has the slot of a name now, as the first server that answers says. */
  ownerOf(name: string): Promise<RedisServer>;
  /** Moves a slot to another master. */
  move(slot: number, to: RedisServer): Promise<void>;
}

const NODE_TIMEOUT = 1_500;

/**
 * Starts three masters. Killed when the test, or the file, is over.
 * @param withReplica whether the first master gets a replica
 */
export async function redisCluster(
  { forFile = false, withReplica = false, args = [] }: { forFile?: boolean; withReplica?: boolean; args?: readonly string[] } = {},
): Promise<RedisCluster> {
  const servers = await Promise.all(Array.from({ length: withReplica ? 4 : 3 }, () => clusterServer(forFile, args)));
  const masters = servers.slice(0, 3).map(({ server }) => server);
  const replica = servers[3]?.server;
  await Promise.all(masters.map(async (master, index) => {
    const [from, to] = [index, index + 1].map((part) => Math.round(part * SLOTS / masters.length));
    await master.command('CLUSTER', 'ADDSLOTSRANGE', String(from), String(to! - 1));
    await master.command('CLUSTER', 'SET-CONFIG-EPOCH', String(index + 1));
  }));
  for (const { server, bus } of servers.slice(1)) {
    await masters[0]!.command('CLUSTER', 'MEET', '127.0.0.1', String(server.port), String(bus));
  }
  const ids = new Map(await Promise.all(servers.map(async ({ server }) =>
    [server, String(await server.command('CLUSTER', 'MYID'))] as const)));
  const isOk = async (server: RedisServer): Promise<boolean> =>
    String(await server.command('CLUSTER', 'INFO')).includes('cluster_state:ok');
  const all = async (which: readonly RedisServer[], holds: (server: RedisServer) => Promise<boolean>): Promise<boolean> =>
    (await Promise.all(which.map(holds))).every(Boolean);
  await eventually('the cluster', async () => all(masters, isOk), 20_000);
  if (replica) {
    await eventually('the replica to know its master', async () =>
      String(await replica.command('CLUSTER', 'NODES')).includes(ids.get(masters[0]!)!), 20_000);
    await replica.command('CLUSTER', 'REPLICATE', ids.get(masters[0]!)!);
    await eventually('the replica to be known and online', async () =>
      String(await masters[0]!.command('INFO', 'replication')).includes('state=online')
      && await all(servers.map(({ server }) => server), async (server) =>
        String(await server.command('CLUSTER', 'SLOTS')).includes(String(replica.port))), 20_000);
  }
  const ownerOf = async (name: string): Promise<RedisServer> => {
    const slot = slotOf(name);
    for (const { server } of servers) {
      const ranges = await server.command('CLUSTER', 'SLOTS').catch(() => undefined);
      const range = (ranges as [number, number, [string, number]][] | undefined)?.find(([from, to]) => from <= slot && slot <= to);
      if (range) return servers.find(({ server: { port } }) => port === range[2][1])!.server;
    }
    throw new Error('no server of the cluster answers');
  };
  return {
    masters,
    replica,
    options: { cluster: { nodes: masters.map(({ port }) => ({ host: '127.0.0.1', port })) } },
    ownerOf,
    async move(slot, to) {
      const id = ids.get(to)!;
      // Keys are moved first, as redis-cli does.
      const from = await ownerOf(`{${tagOf(slot)}}`);
      await to.command('CLUSTER', 'SETSLOT', String(slot), 'IMPORTING', ids.get(from)!);
      await from.command('CLUSTER', 'SETSLOT', String(slot), 'MIGRATING', id);
      const keys = await from.command('CLUSTER', 'GETKEYSINSLOT', String(slot), '10000') as string[];
      if (keys.length > 0) {
        await from.command('MIGRATE', '127.0.0.1', String(to.port), '', '0', '5000', 'KEYS', ...keys);
      }
      for (const server of [to, from, ...masters.filter((master) => master !== to && master !== from)]) {
        await server.command('CLUSTER', 'SETSLOT', String(slot), 'NODE', id);
      }
    },
  };
}

async function clusterServer(forFile: boolean, args: readonly string[]): Promise<{ server: RedisServer; bus: number }> {
  for (let attempt = 1; ; attempt++) {
    const bus = await freePort();
    const cluster = [
      '--cluster-enabled', 'yes', '--cluster-port', String(bus), '--cluster-node-timeout', String(NODE_TIMEOUT),
      '--repl-diskless-sync-delay', '0', '--cluster-replica-validity-factor', '0',
    ];
    try {
      return { server: await redisServer({ args: [...cluster, ...args], forFile }), bus };
    } catch (error) {
      // Another process may take the port between the question and the start.
      if (attempt === 5) throw error;
    }
  }
}

/** A text whose slot is this one. */
export function tagOf(slot: number): string {
  let number = 0;
  while (slotOf(String(number)) !== slot) number++;
  return String(number);
}
