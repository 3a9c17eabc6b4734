import { isRecord } from '../../src/index.ts';
import { nodeRedis } from './node-redis.ts';
import type { Address, ClusterSettings } from './redis-settings.ts';

type ClientSettings = Pick<ClusterSettings, 'nodes' | 'reached' | 'open'> & { readonly keyPrefix: string };

interface NodeOptions {
  readonly url?: string | undefined;
  readonly socket?: { readonly host?: string | undefined; readonly port?: number | undefined } | undefined;
}

/** The options of `createCluster()` that matter here. */
interface ClusterClientOptions {
  readonly rootNodes: readonly NodeOptions[];
  readonly defaults?: (NodeOptions & Readonly<Record<string, unknown>>) | undefined;
  readonly keyPrefix?: string | undefined;
  readonly nodeAddressMap?: Readonly<Record<string, Address>> | ((address: string) => Address | undefined) | undefined;
}

function optionsOf(client: unknown): ClusterClientOptions | undefined {
  if (typeof client !== 'object' || client === null) return undefined;
  if (!('masters' in client && 'nodeByAddress' in client)) return undefined;
  const { _options: options } = client as { readonly _options?: unknown };
  if (!isRecord(options) || !Array.isArray(options['rootNodes'])) return undefined;
  return options as unknown as ClusterClientOptions;
}

/** Whether a value is a client of `createCluster()` of the package `redis`. */
export const isClusterClient = (value: unknown): boolean => optionsOf(value) !== undefined;

/** Reads the settings of a client of a cluster. The client is not changed. */
export function clusterClient(client: object): ClientSettings {
  const { rootNodes, defaults = {}, keyPrefix = '', nodeAddressMap = {} } = optionsOf(client)!;
  return {
    keyPrefix,
    nodes: rootNodes.map(addressOf),
    reached(address) {
      const name = `${address.host}:${address.port}`;
      return (typeof nodeAddressMap === 'function' ? nodeAddressMap(name) : nodeAddressMap[name]) ?? address;
    },
    async open() {
      const connect = await nodeRedis();
      const { url: _, ...settings } = defaults;
      return (address) => connect({ ...settings, socket: { ...defaults.socket, ...address } });
    },
  };
}

function addressOf({ url, socket }: NodeOptions): Address {
  const { hostname, port } = url === undefined ? { hostname: '', port: '' } : new URL(url);
  return { host: socket?.host ?? (hostname || 'localhost'), port: socket?.port ?? (Number(port) || 6_379) };
}
