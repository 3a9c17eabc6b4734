import { isIP } from 'node:net';
import type { ConnectionOptions } from 'node:tls';
import { check, describe, ModuleError, rules, type Rule } from '../../src/index.ts';
import { nodeRedis } from './node-redis.ts';
import { clientSettings, duplicates, isClient, isClientOfMany } from './redis-client.ts';
import type { OpenConnection } from './redis-connection.ts';

export interface RedisAdapterOptions {
  /** `redis://user:password@host:6379/0`, or `rediss://` with TLS. Replaces `host` and `port`. */
  readonly url?: string | undefined;
  /** @default 'localhost' */
  readonly host?: string | undefined;
  /** @default 6379 */
  readonly port?: number | undefined;
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
   */
  readonly client?: object | undefined;
  /** A client whose settings the connection that receives has. @default the value of `client` */
  readonly subscriber?: object | undefined;
  /**
   * The number of replicas that must have a write of shared state before it resolves: of documents, and of members who
   * enter. Otherwise it rejects with STORE_UNAVAILABLE after a second. Needs a third connection. @default none
   */
  readonly waitReplicas?: number | undefined;
}

/** The checked options. */
export interface RedisSettings {
  readonly database: number;
  readonly keyPrefix: string;
  /** The beginning of all channels. It has the number of the database, because Pub/Sub ignores databases. */
  readonly channelPrefix: string;
  /** The address of Redis without the password, for error messages. */
  readonly address: string;
  /** The number of replicas that must confirm writes. */
  readonly waitReplicas: number;
  /** @throws REDIS_PACKAGE_MISSING */
  open(): Promise<{ readonly commands: OpenConnection; readonly subscriber: OpenConnection }>;
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
const MANY = 'clients of a cluster, a pool or sentinels are not supported; give a client of one server';
const client: Rule = rule('a client of the package "redis" (6.2 or newer) or "ioredis"', isClient, {
  hint: (value) => (isClientOfMany(value) ? MANY : undefined),
});

const HINTS: Readonly<Record<string, string>> = {
  cluster: 'Redis Cluster is not supported yet; give one server',
  sentinel: 'give a client of "ioredis" that has sentinels, as "client"',
  sentinels: 'give a client of "ioredis" that has sentinels, as "client"',
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
    username: text,
    password: text,
    tls: either(boolean, group({ each: rule('anything', () => true) })),
    database: integer(0, 2 ** 31 - 1),
    keyPrefix: rule('a string of 1 to 100 characters', isPrefix),
    client,
    subscriber: client,
    waitReplicas: integer(1, 100),
  }, '', (name) => (Object.hasOwn(HINTS, name) ? HINTS[name] : undefined));
  return options.client ? ofClients(options) : ofAddress(options);
}

const ADDRESS = ['url', 'host', 'port', 'username', 'password', 'tls', 'database'] as const;

function ofClients(options: RedisAdapterOptions): RedisSettings {
  for (const name of ADDRESS) {
    if (options[name] === undefined) continue;
    throw needless(name, options[name], 'left out, because "client" has settings of its own');
  }
  const commands = options.client!;
  const subscriber = options.subscriber ?? commands;
  const settings = clientSettings(commands);
  return {
    ...names(settings.keyPrefix + (options.keyPrefix ?? KEY_PREFIX), settings.database),
    waitReplicas: options.waitReplicas ?? 0,
    address: 'the server of the client',
    open: async () => ({ commands: duplicates(commands), subscriber: duplicates(subscriber) }),
  };
}

const KEY_PREFIX = 'websocket:';

const names = (keyPrefix: string, database: number): Pick<RedisSettings, 'keyPrefix' | 'database' | 'channelPrefix'> =>
  ({ keyPrefix, database, channelPrefix: `${keyPrefix}${database}:` });

function ofAddress(options: RedisAdapterOptions): RedisSettings {
  if (options.subscriber) throw needless('subscriber', options.subscriber, 'left out, or given together with "client"');
  if (options.url !== undefined) {
    for (const name of ['host', 'port'] as const) {
      if (options[name] !== undefined) throw needless(name, options[name], 'left out, because "url" has it');
    }
  }
  if (options.url !== undefined && !isUrl(options.url)) throw needless('url', options.url, URL_FORM);
  const url = options.url === undefined ? undefined : new URL(options.url);
  const host = url?.hostname || (options.host ?? 'localhost');
  const port = Number(url?.port ?? 0) || (options.port ?? 6_379);
  const path = url?.pathname.slice(1) ?? '';
  const database = options.database ?? Number(path);
  const tls = options.tls ?? url?.protocol === 'rediss:';
  const more = typeof tls === 'object' ? tls : {};
  const username = decoded(url?.username) ?? options.username;
  const password = decoded(url?.password) ?? options.password;
  const bare = host.replace(/^\[|\]$/g, '');
  const secure = { ...isIP(bare) ? {} : { servername: bare }, ...more, tls: true };
  const socket = { host: bare, port, ...tls === false ? {} : secure };
  return {
    ...names(options.keyPrefix ?? KEY_PREFIX, database),
    waitReplicas: options.waitReplicas ?? 0,
    address: `${host}:${port}`,
    async open() {
      const open = await nodeRedis({ username, password, database, socket });
      return { commands: open, subscriber: open };
    },
  };
}

const decoded = (part: string | undefined): string | undefined => (part ? decodeURIComponent(part) : undefined);

// A URL may have a password, too.
const needless = (path: string, given: unknown, expected: string): ModuleError => new ModuleError('OPTION_INVALID', {
  path, given: ['password', 'url'].includes(path) ? 'a string' : describe(given), expected,
});
