import { isIP } from 'node:net';
import type { Server as HttpServer } from 'node:http';
import type { Server as HttpsServer } from 'node:https';
import type { Adapter, Logger, LogLevel } from './contracts.ts';
import { ModuleError, nearestName } from './errors.ts';
import { levels } from './log.ts';
import { isRecord, type Naming } from './protocol.ts';

export type AnyServer = HttpServer | HttpsServer;
export type OutboxPolicy = 'disconnect' | 'drop-newest' | 'drop-oldest';

export interface Options {
  /** An http or https server to serve on. It is never closed by this module. */
  readonly server?: AnyServer;
  /** Where to listen: with `server`, when it does not listen by the time of start(); without, on a server of our own. */
  readonly port?: number;
  readonly host?: string;
  /** The path of the WebSocket endpoint. @default '/ws' */
  readonly path?: string;
  /** Names this node in a cluster. @default random */
  readonly nodeId?: string;
  /** Connections beyond are answered 503. @default 1_000 */
  readonly maxConnections?: number;
  /** Bytes of a message; more closes with 1009. @default 1_048_576 */
  readonly maxPayload?: number;
  /** How deep a message may nest. @default 32 */
  readonly maxDepth?: number;
  /** Milliseconds for the handshake and its layers. @default 10_000 */
  readonly handshakeTimeout?: number;
  /** Milliseconds for a plugin's setup. @default 10_000 */
  readonly setupTimeout?: number;
  /** Milliseconds for stop(), and for a plugin's unload, to let messages in flight finish. @default 10_000 */
  readonly drainTimeout?: number;
  /** Milliseconds between pings, and to wait for the pong. */
  readonly heartbeat?: false | { readonly interval?: number; readonly timeout?: number };
  readonly message?: {
    /** Milliseconds for a handler, and for the answer to a request. @default 30_000 */
    readonly timeout?: number;
    /** How often a request is sent again. @default 3 */
    readonly maxRetries?: number;
    /** Messages of one connection handled at once; above 1 they are no longer in order. @default 1 */
    readonly concurrency?: number;
    /** Messages of one connection that may wait; beyond, its socket is paused. @default 64 */
    readonly maxWaiting?: number;
    /** Invalid messages in a row after which the connection is closed with 1008. @default 20 */
    readonly maxInvalid?: number;
  };
  readonly outbox?: {
    /** Bytes that may wait to be written to one client. @default 1_048_576 */
    readonly limit?: number;
    /** What happens beyond the limit. @default 'disconnect' */
    readonly policy?: OutboxPolicy;
  };
  /** Origins that browsers may connect from; `'*'` for all. @default the same host */
  readonly origins?: '*' | readonly string[];
  /** Networks of proxies whose `X-Forwarded-For` is believed, like `10.0.0.0/8`. @default [] */
  readonly trustProxy?: readonly string[];
  /** Request headers to keep in `metadata.headers`. @default [] */
  readonly keepHeaders?: readonly string[];
  /** Subprotocols, in order of preference. @default whichever the client offers first */
  readonly protocols?: readonly string[];
  /** How this package writes its own message types: `room-joined`, `room_joined` or `room joined`. @default 'kebab' */
  readonly naming?: Naming;
  /** Carries topics to other nodes. @default none: this node alone */
  readonly adapter?: Adapter;
  /** Built-in plugins to load. @default [] */
  readonly plugins?: readonly string[];
  /** Built-in layers to load, outermost first. @default [] */
  readonly middleware?: readonly string[];
  /** Built-in handlers to load. @default ['init', 'text', 'ping', 'system'] */
  readonly handlers?: readonly string[];
  /** Options of built-ins, by their names. @default {} */
  readonly builtins?: Readonly<Record<string, unknown>>;
  /** Gets the log lines. @default stderr from level warn, and `DEBUG=websocket:*` */
  readonly logger?: Logger;
  /** @default 'warn', with a logger 'info' */
  readonly logLevel?: LogLevel;
  /** The production settings under one name: `perMessageDeflate` or `enableCompression` load the compression layer. */
  readonly production?: { readonly enableCompression?: boolean; readonly maxPayload?: number; readonly perMessageDeflate?: boolean | object };
}

/** Every default. */
export const DEFAULTS = {
  path: '/ws',
  maxConnections: 1_000,
  maxPayload: 1_048_576,
  maxDepth: 32,
  handshakeTimeout: 10_000,
  setupTimeout: 10_000,
  drainTimeout: 10_000,
  heartbeat: { interval: 30_000, timeout: 5_000 },
  message: { timeout: 30_000, maxRetries: 3, concurrency: 1, maxWaiting: 64, maxInvalid: 20 },
  outbox: { limit: 1_048_576, policy: 'disconnect' },
  trustProxy: [],
  keepHeaders: [],
  naming: 'kebab',
  plugins: [],
  middleware: [],
  handlers: [],
  builtins: {},
} as const satisfies Options;

type Loose = 'server' | 'port' | 'host' | 'nodeId' | 'origins' | 'protocols' | 'adapter' | 'logger' | 'logLevel';
/** Options with every default in place. */
export type Settings = Readonly<Pick<Options, Loose>> & {
  readonly [K in 'path' | 'maxConnections' | 'maxPayload' | 'maxDepth' | 'handshakeTimeout' | 'setupTimeout' | 'drainTimeout' | 'trustProxy' | 'keepHeaders' | 'naming' | 'plugins' | 'middleware' | 'handlers' | 'builtins']: NonNullable<Options[K]>;
} & {
  readonly heartbeat: false | { readonly interval: number; readonly timeout: number };
  readonly message: { readonly timeout: number; readonly maxRetries: number; readonly concurrency: number; readonly maxWaiting: number; readonly maxInvalid: number };
  readonly outbox: { readonly limit: number; readonly policy: OutboxPolicy };
};

interface Rule {
  readonly expected: string;
  test(value: unknown): boolean;
}
const rule = (expected: string, test: (value: any) => boolean): Rule => ({ expected, test });
const integer = (min: number, max: number): Rule => rule(`an integer from ${min} to ${max}`, (value) => Number.isInteger(value) && value >= min && value <= max);
const oneOf = (...values: readonly string[]): Rule => rule(`one of ${values.map((value) => `"${value}"`).join(', ')}`, (value) => values.includes(value));
const methods = (what: string, ...names: string[]): Rule => rule(`${what} (an object with ${names.join(', ')})`, (value) => typeof value === 'object' && value !== null && names.every((name) => typeof value[name] === 'function'));
const list = (what: string, test: (item: string) => boolean = () => true): Rule => rule(`a list of ${what}`, (value) => Array.isArray(value) && value.every((item) => typeof item === 'string' && item !== '' && test(item)));
const either = (a: Rule, b: Rule): Rule => rule(`${a.expected}, or ${b.expected}`, (value) => a.test(value) || b.test(value));
const boolean = rule('true or false', (value) => typeof value === 'boolean');
const record = rule('an object', isRecord);

// 2 ** 31 - 1 ms is what a timer of Node can wait; a longer one fires at once.
const duration = integer(1, 2 ** 31 - 1);
const bytes = integer(1, 2 ** 31 - 1);
// RFC 7230 3.2.6: a subprotocol, like a header's name, is a token.
const TOKEN = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]{1,64}$/;

const RULES: Record<string, Rule> = {
  server: methods('an http or https server', 'listen', 'on', 'emit'),
  port: integer(0, 65_535),
  host: rule('a host name or address', (value) => typeof value === 'string' && value !== ''),
  path: rule('a path that begins with "/", without query', (value) => typeof value === 'string' && /^\/[^?#\s]{0,255}$/.test(value)),
  nodeId: rule('1 to 64 letters, digits, "-" or "_"', (value) => typeof value === 'string' && /^[\w-]{1,64}$/.test(value)),
  maxConnections: integer(1, 10_000_000),
  maxPayload: bytes,
  maxDepth: integer(1, 1_000),
  handshakeTimeout: duration,
  setupTimeout: duration,
  drainTimeout: duration,
  heartbeat: either(rule('false', (value) => value === false), record),
  'heartbeat.interval': integer(10, 2 ** 31 - 1),
  'heartbeat.timeout': integer(10, 2 ** 31 - 1),
  message: record,
  'message.timeout': duration,
  'message.maxRetries': integer(0, 100),
  'message.concurrency': integer(1, 1_024),
  'message.maxWaiting': integer(1, 65_536),
  'message.maxInvalid': integer(1, 1_000_000),
  outbox: record,
  'outbox.limit': bytes,
  'outbox.policy': oneOf('disconnect', 'drop-newest', 'drop-oldest'),
  origins: either(rule('"*"', (value) => value === '*'), list('origins like "https://app.example.com"', (item) => URL.canParse(item) && new URL(item).origin === item.toLowerCase())),
  trustProxy: list('addresses or networks like "10.0.0.0/8"', isNetwork),
  keepHeaders: list('header names', (item) => TOKEN.test(item)),
  protocols: list('subprotocol names', (item) => TOKEN.test(item)),
  naming: oneOf('kebab', 'snake', 'space'),
  adapter: methods('an adapter', 'start', 'publish', 'subscribe', 'unsubscribe', 'stop'),
  plugins: list('built-in names'),
  middleware: list('built-in names'),
  handlers: list('built-in names'),
  builtins: record,
  logger: methods('a logger', ...levels),
  logLevel: oneOf(...levels),
  production: record,
  'production.enableCompression': boolean,
  'production.maxPayload': bytes,
  'production.perMessageDeflate': either(boolean, record),
};

function isNetwork(item: string): boolean {
  const [address, prefix, ...rest] = item.split('/');
  const version = isIP(address ?? '');
  return version !== 0 && rest.length === 0 && (prefix === undefined || (/^\d{1,3}$/.test(prefix) && Number(prefix) <= (version === 4 ? 32 : 128)));
}

/** The options checked, with defaults, frozen. @throws OPTION_INVALID, OPTION_UNKNOWN */
export function resolveOptions(options: Options): Settings {
  const { production = {}, ...given } = check(options, '') as Options;
  if (given.server === undefined && given.port === undefined) {
    throw new ModuleError('OPTION_INVALID', { path: 'server', given: 'undefined', expected: 'an http or https server, unless "port" is given' });
  }
  const deflate = production.perMessageDeflate ?? production.enableCompression ?? false;
  const { maxPayload } = production;
  const settings = {
    ...DEFAULTS,
    ...(maxPayload === undefined ? {} : { maxPayload }),
    ...given,
    heartbeat: given.heartbeat === false ? (false as const) : { ...DEFAULTS.heartbeat, ...given.heartbeat },
    message: { ...DEFAULTS.message, ...given.message },
    outbox: { ...DEFAULTS.outbox, ...given.outbox },
    middleware: deflate === false ? (given.middleware ?? []) : ['compression', ...(given.middleware ?? [])],
    builtins: { ...(isRecord(deflate) ? { compression: deflate } : {}), ...given.builtins },
  };
  for (const group of [settings.heartbeat, settings.message, settings.outbox]) Object.freeze(group);
  return Object.freeze(settings);
}

/** A copy of an object of options without what is undefined, each value held to its rule. */
function check(given: unknown, under: string): Record<string, unknown> {
  if (!isRecord(given)) throw new ModuleError('OPTION_INVALID', { path: under || 'options', given: describe(given), expected: 'an object' });
  const checked: Record<string, unknown> = {};
  for (const key of Object.keys(given)) {
    const path = under ? `${under}.${key}` : key;
    const known = Object.hasOwn(RULES, path) && !key.includes('.') ? RULES[path] : undefined;
    if (!known) throw new ModuleError('OPTION_UNKNOWN', { path, nearest: nearestName(path, Object.keys(RULES)) });
    const value = given[key];
    if (value === undefined) continue;
    if (!known.test(value)) throw new ModuleError('OPTION_INVALID', { path, given: describe(value), expected: known.expected });
    const isGroup = isRecord(value) && Object.keys(RULES).some((name) => name.startsWith(`${path}.`));
    checked[key] = isGroup ? check(value, path) : Array.isArray(value) ? Object.freeze([...value]) : value;
  }
  return checked;
}

/** A value as an error message may show it: its type, and a short form. */
export function describe(value: unknown): string {
  if (typeof value === 'string') return `the string ${JSON.stringify(value.slice(0, 40))}`;
  if (typeof value === 'function') return 'a function';
  if (Array.isArray(value)) return `a list (${value.slice(0, 3).map((item) => (typeof item === 'object' ? describe(item) : String(item))).join(', ').slice(0, 60)})`;
  if (typeof value === 'object' && value !== null) return `an object with ${Object.keys(value).slice(0, 5).map((key) => JSON.stringify(key.slice(0, 20))).join(', ') || 'no fields'}`;
  return String(value);
}
