import { isIP } from 'node:net';
import type { ConnectionOptions } from 'node:tls';
import { check, describe, isRecord, ModuleError, rules, type Rule } from '../../src/index.ts';
import { clusterClient, isClusterClient } from './cluster-client.ts';
import { nodeRedis } from './node-redis.ts';
import { clientSettings, duplicates, isClient, isClientOfMany } from './redis-client.ts';
import type { OpenConnection } from './redis-connection.ts';
import { viaSentinels } from './redis-sentinel.ts';
import {
  nameOf, type ClusterSettings, type CommonSettings, type RedisSettings, type ServerSettings,
} from './redis-settings.ts';

/** How to reach Redis through sentinels, which know the address of the primary. */
export interface RedisSentinelOptions {
  /** The name of the primary, as in the configuration of the sentinels. */
  readonly name: string;
  /** The addresses of the sentinels. @default port 26379 */
  readonly nodes: readonly { readonly host: string; readonly port?: number | undefined }[];
  readonly username?: string | undefined;
  readonly password?: string | undefined;
  /** @default false */
  readonly tls?: boolean | ConnectionOptions | undefined;
}

/** How to reach a Redis Cluster. `username`, `password` and `tls` of the adapter are used for all its servers. */
export interface RedisClusterOptions {
  /** Some servers of the cluster. They know the addresses of the others. @default port 6379 */
  readonly nodes: readonly { readonly host: string; readonly port?: number | undefined }[];
  /** Where to connect instead of an address that the cluster names: `{ '10.0.0.1:6379': { host, port } }`. */
  readonly addressMap?: Readonly<Record<string, { readonly host: string; readonly port: number }>> | undefined;
}

export interface RedisAdapterOptions {
  /** `redis://user:password@host:6379/0`, or `rediss://` with TLS. Replaces `host` and `port`. */
  readonly url?: string | undefined;
  /** @default 'localhost' */
  readonly host?: string | undefined;
  /** @default 6379 */
  readonly port?: number | undefined;
  /** Connects to the primary that sentinels name, instead of `url`, `host` and `port`. */
  readonly sentinel?: RedisSentinelOptions | undefined;
  /** Connects to a Redis Cluster, instead of `url`, `host` and `port`. */
  readonly cluster?: RedisClusterOptions | undefined;
  readonly username?: string | undefined;
  readonly password?: string | undefined;
  /** `true`, or the options of `tls.connect()`. @default false */
  readonly tls?: boolean | ConnectionOptions | undefined;
  /** The number of the database. Nodes of one database reach each other. @default 0 */
  readonly database?: number | undefined;
  /** The beginning of all channels and keys. Nodes with the same prefix reach each other. @default 'websocket:' */
  readonly keyPrefix?: string | undefined;
  /**
   * A client of `redis` ≥ 6.2 or of `ioredis`, instead of the options above except `keyPrefix`. The adapter opens its
   * own connections with the settings of the client. The client may be connected or not; it is neither used nor closed.
   * A client of a cluster is accepted from `redis` only: createCluster().
   */
  readonly client?: object | undefined;
  /** A client whose settings are used for the connection that receives. @default the value of `client` */
  readonly subscriber?: object | undefined;
  /**
   * The number of replicas that must have a write before it resolves: writes of documents, of members that enter a set,
   * and of the journal. If they do not have it within a second, the call rejects with STORE_UNAVAILABLE. Needs a third
   * connection. @default none
   */
  readonly waitReplicas?: number | undefined;
}

const { rule, either, integer, boolean, group } = rules;
const text = rule('a string that is not empty', (value) => typeof value === 'string' && value !== '');
const URL_FORM = 'a URL like "redis://localhost:6379/0"';
function isUrl(text: string): boolean {
  if (!/^rediss?:\/\//.test(text) || !URL.canParse(text)) return false;
  const { pathname, username, password } = new URL(text);
  try {
    decodeURIComponent(username + password);
  } catch {
    return false;
  }
  return /^(\/\d{0,9})?$/.test(pathname);
}
const isPrefix = (value: unknown): boolean =>
  typeof value === 'string' && value !== '' && value.length <= 100 && value.isWellFormed();
const MANY = 'clients of a pool, of sentinels, and of a cluster of "ioredis" are not supported; '
  + 'give a client of one server, "sentinel" or "cluster"';
const isUsable = (value: unknown): boolean => isClient(value) || isClusterClient(value);
const client: Rule = rule('a client of the package "redis" (6.2 or newer) or "ioredis"', isUsable, {
  hint: (value) => (isClientOfMany(value) ? MANY : undefined),
});

const tls = either(boolean, group({ each: rule('anything', () => true) }));
const isAddress = (value: unknown, defaultPort?: number): boolean => {
  if (!isRecord(value)) return false;
  const { host, port = defaultPort } = value;
  return text.test(host) && integer(1, 65_535).test(port);
};
const nodesWith = (port: number): Rule => rule(
  `a list of addresses like { host: "10.0.0.1", port: ${port} }`,
  (value) => Array.isArray(value) && value.length > 0 && value.every((node) => isAddress(node, port)),
);
const address = rule('an address like { host: "10.0.0.1", port: 6379 }', (value) => isAddress(value));
const addressMap = group({ each: address });

const HINTS: Readonly<Record<string, string>> = {
  clusters: 'it is called "cluster": { nodes }',
  rootNodes: 'it is called "cluster": { nodes }',
  sentinels: 'it is called "sentinel": { name, nodes }',
  db: 'it is called "database"',
  auth: 'it is called "password"',
  auth_pass: 'it is called "password"',
  socket: 'give "host", "port" and "tls" by themselves',
  key: 'it is called "keyPrefix"',
  prefix: 'it is called "keyPrefix"',
  pubClient: 'it is called "client"',
  subClient: 'it is called "subscriber"',
};

/** @throws OPTION_INVALID, OPTION_UNKNOWN */
export function redisSettings(given: RedisAdapterOptions): RedisSettings {
  const options = check<RedisAdapterOptions>(given, {
    url: rule(URL_FORM, (value) => typeof value === 'string'),
    host: text,
    port: integer(1, 65_535),
    sentinel: group({
      fields: { name: text, nodes: nodesWith(26_379), username: text, password: text, tls },
    }),
    cluster: group({ fields: { nodes: nodesWith(6_379), addressMap } }),
    username: text,
    password: text,
    tls,
    database: integer(0, 2 ** 31 - 1),
    keyPrefix: rule('a string of 1 to 100 characters', isPrefix),
    client,
    subscriber: client,
    waitReplicas: integer(1, 100),
  }, '', (name) => (Object.hasOwn(HINTS, name) ? HINTS[name] : undefined));
  if (options.client) return isClusterClient(options.client) ? ofClusterClient(options) : ofClients(options);
  return options.cluster ? ofCluster(options) : ofAddress(options);
}

const ADDRESS = ['url', 'host', 'port', 'sentinel', 'cluster', 'username', 'password', 'tls', 'database'] as const;

function refuseAddress(options: RedisAdapterOptions): void {
  for (const name of ADDRESS) {
    if (options[name] === undefined) continue;
    throw optionError(name, options[name], 'left out, because "client" has settings of its own');
  }
}

function ofClients(options: RedisAdapterOptions): ServerSettings {
  refuseAddress(options);
  const commands = options.client!;
  const subscriber = options.subscriber ?? commands;
  if (isClusterClient(subscriber)) throw optionError('subscriber', undefined, 'a client of one server, as "client" is');
  const settings = clientSettings(commands);
  return {
    type: 'server',
    ...names(settings.keyPrefix + (options.keyPrefix ?? KEY_PREFIX), settings.database),
    waitReplicas: options.waitReplicas ?? 0,
    address: 'the server of the client',
    open: async () => ({ commands: duplicates(commands), subscriber: duplicates(subscriber) }),
  };
}

function ofClusterClient(options: RedisAdapterOptions): ClusterSettings {
  refuseAddress(options);
  const { keyPrefix, ...settings } = clusterClient(options.client!);
  return {
    type: 'cluster',
    ...names(keyPrefix + (options.keyPrefix ?? KEY_PREFIX), 0),
    waitReplicas: options.waitReplicas ?? 0,
    address: 'the cluster of the client',
    ...settings,
  };
}

function ofCluster(options: RedisAdapterOptions): ClusterSettings {
  const cluster: Partial<RedisClusterOptions> = options.cluster!;
  for (const name of ['url', 'host', 'port', 'sentinel', 'subscriber'] as const) {
    if (options[name] === undefined) continue;
    throw optionError(name, options[name], 'left out, because "cluster" has the addresses');
  }
  if (options.database) throw optionError('database', options.database, '0, because a Redis Cluster has no other');
  if (!cluster.nodes) throw optionError('cluster.nodes', undefined, 'given');
  const nodes = cluster.nodes.map(({ host, port = 6_379 }) => ({ host, port }));
  const map = new Map(Object.entries(cluster.addressMap ?? {}));
  const { username, password, tls = false } = options;
  return {
    type: 'cluster',
    ...names(options.keyPrefix ?? KEY_PREFIX, 0),
    waitReplicas: options.waitReplicas ?? 0,
    address: `the cluster of ${nodes.map(nameOf).join(', ')}`,
    nodes,
    reached: (address) => map.get(nameOf(address)) ?? address,
    async open() {
      const connect = await nodeRedis();
      return ({ host, port }) => connect({ username, password, socket: socketOf(host, port, tls) });
    },
  };
}

const KEY_PREFIX = 'websocket:';

const names = (keyPrefix: string, database: number): Pick<CommonSettings, 'keyPrefix' | 'database' | 'channelPrefix'> =>
  ({ keyPrefix, database, channelPrefix: `${keyPrefix}${database}:` });

function ofAddress(options: RedisAdapterOptions): ServerSettings {
  const sentinel: Partial<RedisSentinelOptions> | undefined = options.sentinel;
  if (options.subscriber) {
    throw optionError('subscriber', options.subscriber, 'left out, or given together with "client"');
  }
  for (const name of ['url', 'host', 'port'] as const) {
    const other = sentinel ? 'sentinel' : 'url';
    if (name === other || options[other] === undefined || options[name] === undefined) continue;
    throw optionError(name, options[name], `left out, because "${other}" has it`);
  }
  for (const name of ['name', 'nodes'] as const) {
    if (sentinel && sentinel[name] === undefined) throw optionError(`sentinel.${name}`, undefined, 'given');
  }
  if (options.url !== undefined && !isUrl(options.url)) throw optionError('url', options.url, URL_FORM);
  const url = options.url === undefined ? undefined : new URL(options.url);
  const host = url?.hostname || (options.host ?? 'localhost');
  const port = Number(url?.port ?? 0) || (options.port ?? 6_379);
  const database = options.database ?? Number(url?.pathname.slice(1) ?? '');
  const security = options.tls ?? url?.protocol === 'rediss:';
  const username = decoded(url?.username) ?? options.username;
  const password = decoded(url?.password) ?? options.password;
  return {
    type: 'server',
    ...names(options.keyPrefix ?? KEY_PREFIX, database),
    waitReplicas: options.waitReplicas ?? 0,
    address: sentinel ? `"${sentinel.name}", by sentinels` : `${host}:${port}`,
    async open() {
      const connect = await nodeRedis();
      const openAt = (at: string, port: number): OpenConnection =>
        connect({ username, password, database, socket: socketOf(at, port, security) });
      const open = options.sentinel ? ofSentinel(options.sentinel, connect, openAt) : openAt(host, port);
      return { commands: open, subscriber: open };
    },
  };
}

function ofSentinel(
  { name, nodes, username, password, tls = false }: RedisSentinelOptions,
  connect: Awaited<ReturnType<typeof nodeRedis>>,
  open: (host: string, port: number) => OpenConnection,
): OpenConnection {
  const sentinels = nodes.map(({ host, port = 26_379 }) =>
    connect({ username, password, socket: socketOf(host, port, tls) }));
  return viaSentinels({ sentinels, name, open });
}

/** The options for a socket. @param host a name or an address; an IPv6 address may be in brackets */
function socketOf(host: string, port: number, tls: boolean | ConnectionOptions): object {
  const bare = host.replace(/^\[|\]$/g, '');
  if (tls === false) return { host: bare, port };
  const servername = isIP(bare) ? {} : { servername: bare };
  return { host: bare, port, ...servername, ...typeof tls === 'object' ? tls : {}, tls: true };
}

const decoded = (part: string | undefined): string | undefined => (part ? decodeURIComponent(part) : undefined);

/** The error for an option that must be left out or changed. Never shows a password, which a URL may have, too. */
const optionError = (path: string, given: unknown, expected: string): ModuleError => new ModuleError('OPTION_INVALID', {
  path, given: ['password', 'url'].includes(path) ? 'a string' : describe(given), expected,
});
