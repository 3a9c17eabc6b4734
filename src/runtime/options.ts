import { isIP } from 'node:net';
import type { Server as HttpServer } from 'node:http';
import type { Server as HttpsServer } from 'node:https';
import { check, describe, isOrigin, rules, type Defined, type Rules } from './check.ts';
import type { Adapter, Logger, LogLevel } from '../contracts.ts';
import { ModuleError } from '../errors.ts';
import { levels } from './log.ts';
import { hintForOption, hintForOptions, hintForOrigins } from './option-hints.ts';
import { isRecord, type Naming } from '../protocol.ts';

export { describe };

export type AnyServer = HttpServer | HttpsServer;
export type OutboxPolicy = 'disconnect' | 'drop-newest' | 'drop-oldest';

export interface Options {
  /** The http or https server to attach to. This package never closes it. */
  readonly server?: AnyServer | undefined;
  /**
   * The port on which start() listens. With `server`, that server listens on it unless it already listens. Without, the
   * manager creates its own server.
   */
  readonly port?: number | undefined;
  /** The host name or address on which start() listens. */
  readonly host?: string | undefined;
  /** The path of the WebSocket endpoint. @default '/ws' */
  readonly path?: string | undefined;
  /** The id of this node in a cluster. @default random */
  readonly nodeId?: string | undefined;
  /** Maximum number of connections. Further ones are refused with status 503. @default 1_000 */
  readonly maxConnections?: number | undefined;
  /** Maximum bytes of a message. A larger one closes the connection with 1009. @default 1_048_576 */
  readonly maxPayload?: number | undefined;
  /** Topics that one connection may subscribe to. Each room and namespace is a topic. @default 2_000 */
  readonly maxTopics?: number | undefined;
  /** Maximum nesting depth of a message. @default 32 */
  readonly maxDepth?: number | undefined;
  /** Maximum number of values in a message: each object, list and member counts. @default 100_000 */
  readonly maxValues?: number | undefined;
  /** Milliseconds for the handshake and its layers. @default 10_000 */
  readonly handshakeTimeout?: number | undefined;
  /** Milliseconds for a plugin's setup. @default 10_000 */
  readonly setupTimeout?: number | undefined;
  /** Milliseconds for stop(), and for a plugin's unload, to let messages in flight finish. @default 10_000 */
  readonly drainTimeout?: number | undefined;
  /** `interval`: milliseconds between two pings. `timeout`: milliseconds to wait for a pong. `false`: no pings. */
  readonly heartbeat?:
    | false
    | { readonly interval?: number | undefined; readonly timeout?: number | undefined }
    | undefined;
  readonly message?: {
    /** Milliseconds for a handler, and for the reply to a request. @default 30_000 */
    readonly timeout?: number | undefined;
    /** How often a request without reply is sent again. @default 3 */
    readonly maxRetries?: number | undefined;
    /**
     * Requests to all clients together that may wait for a reply. The first 8 of each connection do not count. One user
     * or address may have 1,024 of them.
     * @default 16_384
     */
    readonly maxRequests?: number | undefined;
    /** Messages of one connection that are handled at once. Above 1, they are not handled in order. @default 1 */
    readonly concurrency?: number | undefined;
    /** Messages of one connection that may wait. If more wait, its socket is not read. @default 64 */
    readonly maxWaiting?: number | undefined;
    /**
     * Bytes of messages that may wait, of all connections together, with incomplete ones. If more wait, the connection
     * with the most waiting bytes is closed.
     * @default 67_108_864
     */
    readonly maxWaitingBytes?: number | undefined;
    /** Milliseconds from the first byte of a message to its last. Then the connection is closed. @default 60_000 */
    readonly receiveTimeout?: number | undefined;
    /** Invalid messages in a row that close the connection with 1008. @default 20 */
    readonly maxInvalid?: number | undefined;
  } | undefined;
  readonly outbox?: {
    /** Bytes that may wait to be written to one client. @default 1_048_576 */
    readonly limit?: number | undefined;
    /** What happens when the limit is exceeded. @default 'disconnect' */
    readonly policy?: OutboxPolicy | undefined;
    /**
     * Bytes that may wait for clients which read too slowly, of all together. A message to many of them counts once. If
     * more wait, the connection with the most of them is closed with 4108.
     * @default 134_217_728
     */
    readonly totalLimit?: number | undefined;
  } | undefined;
  /** Origins that browsers may connect from; `'*'` for all. @default the same host */
  readonly origins?: '*' | readonly string[] | undefined;
  /**
   * Proxies whose header `X-Forwarded-For` is trusted: addresses, networks like `10.0.0.0/8`, or the names `loopback`,
   * `linklocal`, `uniquelocal` and `unix` (the peer of a unix socket). @default []
   */
  readonly trustProxy?: readonly string[] | undefined;
  /**
   * How a browser is refused with 401 or 403. A browser sees no HTTP status, so `close` completes the handshake and
   * closes with 4001 or 4003; `http` answers with the status. @default 'close'
   */
  readonly browserRefusals?: 'close' | 'http' | undefined;
  /** Request headers to keep in `metadata.headers`. @default [] */
  readonly keepHeaders?: readonly string[] | undefined;
  /** Supported subprotocols, in order of preference. @default the first one that the client offers */
  readonly protocols?: readonly string[] | undefined;
  /** The naming of this package's message types: `room-joined`, `room_joined` or `room joined`. @default 'kebab' */
  readonly naming?: Naming | undefined;
  /** Carries topics to other nodes. @default none: there is only this node */
  readonly adapter?: Adapter | undefined;
  /** Built-in plugins to load. @default [] */
  readonly plugins?: readonly string[] | undefined;
  /** Built-in layers to load, outermost first, around the handlers and plugins. @default [] */
  readonly middleware?: readonly string[] | undefined;
  /** Built-in handlers to load. @default ['init', 'text', 'ping', 'system'] */
  readonly handlers?: readonly string[] | undefined;
  /** Options of built-ins, by their names. @default {} */
  readonly builtins?: Readonly<Record<string, unknown>> | undefined;
  /** Receives the log lines. @default stderr, and `debug` with `DEBUG=websocket:*` */
  readonly logger?: Logger | undefined;
  /** The lowest level that is written. @default 'warn', or 'info' with a logger */
  readonly logLevel?: LogLevel | undefined;
  /** Settings for production: `perMessageDeflate` and `enableCompression` load the compression layer. */
  readonly production?: {
    readonly enableCompression?: boolean | undefined;
    readonly maxPayload?: number | undefined;
    readonly perMessageDeflate?: boolean | object | undefined;
  } | undefined;
}

/** The defaults of all options. */
export const DEFAULTS = {
  path: '/ws',
  maxConnections: 1_000, maxPayload: 1_048_576, maxDepth: 32, maxValues: 100_000, maxTopics: 2_000,
  handshakeTimeout: 10_000, setupTimeout: 10_000, drainTimeout: 10_000,
  heartbeat: { interval: 30_000, timeout: 5_000 },
  message: {
    timeout: 30_000,
    maxRetries: 3,
    maxRequests: 16_384,
    concurrency: 1,
    maxWaiting: 64,
    maxWaitingBytes: 67_108_864,
    receiveTimeout: 60_000,
    maxInvalid: 20,
  },
  outbox: { limit: 1_048_576, policy: 'disconnect', totalLimit: 134_217_728 },
  trustProxy: [], browserRefusals: 'close', keepHeaders: [],
  naming: 'kebab',
  plugins: [], middleware: [], handlers: [], builtins: {},
} as const satisfies Options;

/** The name in `trustProxy` for the peer of a unix socket. */
export const UNIX = 'unix';
/** The networks that have a name in `trustProxy`. */
export const namedNetworks: ReadonlyMap<string, readonly string[]> = new Map([
  ['loopback', ['127.0.0.0/8', '::1']],
  ['linklocal', ['169.254.0.0/16', 'fe80::/10']],
  ['uniquelocal', ['10.0.0.0/8', '172.16.0.0/12', '192.168.0.0/16', 'fc00::/7']],
]);
const NAMES = [...namedNetworks.keys(), UNIX].map((name) => `"${name}"`).join(', ');

type WithDefaults<T> = T extends readonly unknown[] ? T : T extends object ? Defined<T> : T;
/** Options with every default in place. */
export type Settings = Readonly<Omit<Options, keyof typeof DEFAULTS | 'production'>> & {
  readonly [K in keyof typeof DEFAULTS]: WithDefaults<NonNullable<Options[K]>>;
};

const { boolean, bytes, duration, either, group, integer, list, methods, oneOf, rule } = rules;
// A subprotocol and the name of a header are tokens (RFC 7230 3.2.6).
const TOKEN = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]{1,64}$/;

/** The rule for an adapter. */
export const ADAPTER = methods(
  'an adapter of websocket-module/adapters/*, or of your own', 'start', 'publish', 'subscribe', 'unsubscribe', 'stop',
);

const RULES: Rules<Options> = {
  server: methods('an http or https server, like http.createServer(app)', 'listen', 'on', 'emit', 'address'),
  port: integer(0, 65_535),
  host: rule('a host name or address', (value) => typeof value === 'string' && value !== ''),
  path: rules.path,
  nodeId: rule(
    '1 to 64 letters, digits, "-" or "_"',
    (value) => typeof value === 'string' && /^[\w-]{1,64}$/.test(value),
  ),
  maxConnections: integer(1, 10_000_000),
  maxPayload: bytes,
  maxDepth: integer(1, 1_000),
  maxValues: integer(1, 2 ** 31 - 1),
  handshakeTimeout: duration,
  setupTimeout: duration,
  drainTimeout: duration,
  maxTopics: integer(1, 10_000_000),
  heartbeat: either(
    rule('false', (value) => value === false),
    group({ fields: { interval: integer(10, 2 ** 31 - 1), timeout: integer(10, 2 ** 31 - 1) } }),
  ),
  message: group({
    fields: {
      timeout: duration,
      maxRetries: integer(0, 100),
      maxRequests: integer(0, 10_000_000),
      concurrency: integer(1, 1_024),
      maxWaiting: integer(1, 65_536),
      maxWaitingBytes: bytes,
      receiveTimeout: duration,
      maxInvalid: integer(1, 1_000_000),
    },
  }),
  outbox: group({
    fields: { limit: bytes, policy: oneOf('disconnect', 'drop-newest', 'drop-oldest'), totalLimit: bytes },
  }),
  origins: either(
    rule('"*"', (value) => value === '*'),
    list('origins like "https://app.example.com"', isOrigin, hintForOrigins),
  ),
  trustProxy: list(`addresses, networks like "10.0.0.0/8", or the names ${NAMES}`, isProxy),
  browserRefusals: oneOf('close', 'http'),
  keepHeaders: list('header names', (item) => TOKEN.test(item)),
  protocols: list('subprotocol names', (item) => TOKEN.test(item)),
  naming: oneOf('kebab', 'snake', 'space'),
  adapter: ADAPTER,
  plugins: list('built-in names'),
  middleware: list('built-in names'),
  handlers: list('built-in names'),
  builtins: group(),
  logger: methods('a logger', ...levels),
  logLevel: oneOf(...levels),
  production: group({
    fields: { enableCompression: boolean, maxPayload: bytes, perMessageDeflate: either(boolean, group()) },
  }),
};

function isProxy(item: string): boolean {
  return item === UNIX || namedNetworks.has(item) || isNetwork(item);
}

function isNetwork(item: string): boolean {
  const [address, prefix, ...rest] = item.split('/');
  const version = isIP(address ?? '');
  return (
    version !== 0
    && rest.length === 0
    && (prefix === undefined || (/^\d{1,3}$/.test(prefix) && Number(prefix) <= (version === 4 ? 32 : 128)))
  );
}

/**
 * Checks the options, adds the defaults, and freezes the result.
 * @param handlers the default of `handlers`
 * @throws OPTION_INVALID, OPTION_UNKNOWN
 */
export function resolveOptions(options: Options, handlers: readonly string[] = DEFAULTS.handlers): Settings {
  const hint = hintForOptions(options);
  if (hint) {
    throw new ModuleError('OPTION_INVALID', { path: 'options', given: describe(options), expected: 'an object', hint });
  }
  const { production = {}, ...given } = check(options, RULES, '', hintForOption);
  if (given.server === undefined && given.port === undefined) {
    throw new ModuleError('OPTION_INVALID', {
      path: 'server',
      given: 'undefined',
      expected: 'an http or https server, unless "port" is given',
    });
  }
  const { maxPayload, perMessageDeflate: deflate = production.enableCompression ?? false } = production;
  const settings = {
    ...DEFAULTS,
    handlers,
    ...(maxPayload === undefined ? {} : { maxPayload }),
    ...given,
    heartbeat: given.heartbeat === false ? (false as const) : withDefaults(DEFAULTS.heartbeat, given.heartbeat),
    message: withDefaults(DEFAULTS.message, given.message),
    outbox: withDefaults(DEFAULTS.outbox, given.outbox),
    middleware: [...new Set([...(deflate === false ? [] : ['compression']), ...(given.middleware ?? [])])],
    builtins: { ...(isRecord(deflate) ? { compression: deflate } : {}), ...given.builtins },
  };
  for (const group of [settings.heartbeat, settings.message, settings.outbox]) Object.freeze(group);
  return Object.freeze(settings);
}

// check() has removed the fields that are undefined, so they do not replace defaults.
function withDefaults<T extends object>(defaults: Defined<T>, given: T | undefined): Defined<T> {
  return { ...defaults, ...given };
}
