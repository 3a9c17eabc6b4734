import { ModuleError, toError } from '../../src/index.ts';
import { replyCode, type OpenConnection } from './redis-connection.ts';
import type { ConnectionStep } from './redis-commands.ts';
import { within } from './redis-link.ts';
import type { Address } from './redis-settings.ts';

/** Milliseconds within which a server must answer with its map. */
const TIMEOUT = 2_000;

/** The map of a cluster, as one server knows it: its servers, and which of them has which slots. */
export interface ClusterMap {
  /** Whether the cluster accepts commands, as far as this server knows. */
  readonly isOk: boolean;
  /** A map with a higher epoch is newer. */
  readonly epoch: number;
  readonly masters: readonly { readonly address: Address; readonly slots: readonly (readonly [number, number])[] }[];
  /** The addresses of all servers, also of replicas. */
  readonly addresses: readonly Address[];
}

type Send = Parameters<ConnectionStep>[0];

/**
 * Asks one server for its map of the cluster.
 * @param host the address by which this server is reached; a server may not know its own address
 * @throws REDIS_UNSUITABLE if it is not a server of a cluster
 */
export async function readMap(send: Send, host: string): Promise<ClusterMap> {
  const [info, slots] = await Promise.all([readInfo(send), send(['CLUSTER', 'SLOTS']).catch(refuse)]);
  const ranges = rangesOf(slots, host);
  const masters = new Map<string, { address: Address; slots: [number, number][] }>();
  for (const { range, servers: [master] } of ranges) {
    if (!master) continue;
    const key = `${master.host}:${master.port}`;
    const known = masters.get(key);
    if (known) known.slots.push(range);
    else masters.set(key, { address: master, slots: [range] });
  }
  return { ...info, masters: [...masters.values()], addresses: ranges.flatMap(({ servers }) => servers) };
}

/** Asks a server for its map, over a connection of its own. */
export async function askForMap(open: OpenConnection, host: string): Promise<ClusterMap> {
  const connection = open({ message: () => undefined, closed: () => undefined });
  const answer = async (): Promise<ClusterMap> => {
    await connection.ready;
    return readMap((args) => connection.command(args), host);
  };
  try {
    return await within(TIMEOUT, answer(), new Error(`a server did not answer within ${TIMEOUT} ms`));
  } finally {
    connection.destroy();
  }
}

async function readInfo(send: Send): Promise<Pick<ClusterMap, 'isOk' | 'epoch'>> {
  let text: string;
  try {
    text = String(await send(['CLUSTER', 'INFO']));
  } catch (error) {
    if (replyCode(toError(error)) === 'NOPERM') return { isOk: true, epoch: 0 };
    return refuse(error);
  }
  const epoch = Number(/^cluster_current_epoch:(\d+)/m.exec(text)?.[1] ?? 0);
  return { isOk: /^cluster_state:ok/m.test(text), epoch };
}

function refuse(error: unknown): never {
  if (!toError(error).message.includes('cluster support disabled')) throw error;
  const reason = 'it is not a server of a Redis Cluster; give its address as "host" and "port", without "cluster"';
  throw new ModuleError('REDIS_UNSUITABLE', { reason, permanent: true }, { cause: error });
}

interface Range { readonly range: [number, number]; readonly servers: readonly Address[] }

/** Reads the reply of CLUSTER SLOTS: ranges, each with its master and its replicas. */
function rangesOf(reply: unknown, askedHost: string): Range[] {
  if (!Array.isArray(reply)) throw new Error('the server did not answer with a map of the cluster');
  return reply.map((entry: unknown) => {
    if (!Array.isArray(entry) || entry.length < 3) throw new Error('the map of the server cannot be read');
    const [from, to, ...servers] = entry as [unknown, unknown, ...unknown[]];
    return { range: [Number(from), Number(to)], servers: servers.map((server) => addressOf(server, askedHost)) };
  });
}

function addressOf(server: unknown, askedHost: string): Address {
  const [host, port] = server as [unknown, unknown];
  // A server that does not know its own address leaves it out. Then it is the address by which it was reached.
  const isKnown = typeof host === 'string' && host !== '' && host !== '?';
  return { host: isKnown ? host : askedHost, port: Number(port) };
}
