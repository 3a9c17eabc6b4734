import { isRecord } from '../src/protocol.ts';
import { fail } from './client-error.ts';
import type { AuthConfig, PartOption, ClientConfig, Logger, LogLevel } from './config.ts';
import type { WebSocketClass } from './default-socket.ts';

/** Marks options without a default, by the type of their values. */
const FUNCTION = () => undefined;
const OBJECT = {};
/** Marks options that take a part, which is loaded separately. */
const PART = {};

/** Every option with its default. An option that is not here is refused. */
const defaults = {
  url: '',
  protocols: [] as readonly string[],
  WebSocket: FUNCTION as unknown as WebSocketClass | undefined,
  connectTimeout: 10_000,
  requestTimeout: 30_000,
  auth: { type: 'jwt', token: '', getToken: FUNCTION, refreshToken: FUNCTION, via: 'message' },
  reconnect: {
    enabled: true, maxAttempts: Infinity, initialDelay: 500, maxDelay: 30_000, backoffFactor: 1.25, jitter: 1,
    whileHidden: false,
  },
  heartbeat: {
    enabled: true, interval: 25_000, timeout: 5_000,
    pingMessage: OBJECT as { type: string }, pongMessage: OBJECT as { type: string },
  },
  recovery: { enabled: true },
  message: {
    maxSize: 1_048_576,
    compression: true,
    queue: { enabled: true, maxSize: 1_000, maxBytes: 4_194_304, ttl: 300_000, retryOnReconnect: true },
  },
  buffer: {
    send: { maxSize: Infinity, flushInterval: 0, priority: true },
    receive: { maxSize: 50_000, processInterval: 0, batchSize: 100 },
  },
  transport: {
    websocket: { enabled: true, maxPayload: Infinity, compression: { enabled: true, algorithm: 'permessage-deflate' } },
    polling: { enabled: false, interval: 1_000, maxInterval: 30_000, timeout: 60_000, credentials: false },
  },
  state: {
    user: '', persistence: PART as PartOption | undefined, offline: PART as PartOption | undefined,
  },
  debug: { enabled: false, logLevel: 'info' as LogLevel, logMessages: false, logger: OBJECT as Logger },
};

/** Every option, with a value. */
export type Settings = Omit<typeof defaults, 'auth'> & {
  readonly auth: Pick<AuthConfig, 'token' | 'getToken' | 'refreshToken' | 'via'>;
};

const BROWSER = 'browsers give no control over it';

/** Options that cannot work, with the reason. A value that asks for nothing is accepted. */
const REFUSED: Readonly<Record<string, string>> = {
  'message.compression': BROWSER,
  'transport.websocket.compression.enabled': BROWSER,
  'transport.websocket.compression.threshold': BROWSER,
  'transport.websocket.compression.algorithm': 'only permessage-deflate exists',
  'transport.websocket.frames': BROWSER,
};

/** Options with few values. */
const CHOICES: Readonly<Record<string, readonly unknown[]>> = {
  'auth.via': ['message', 'protocol', 'query'],
  'debug.logLevel': ['debug', 'info', 'warn', 'error'],
};

/** Sections that may be a boolean, which says whether they are enabled. */
const SHORT: readonly string[] = ['transport.websocket', 'transport.polling'];

/** The least value of a number, where it is not 0. */
const LEAST: Readonly<Record<string, number>> = {
  'connectTimeout': 1, 'requestTimeout': 1, 'reconnect.backoffFactor': 1,
  'heartbeat.interval': 1, 'heartbeat.timeout': 1,
  'transport.polling.interval': 1, 'transport.polling.maxInterval': 1, 'transport.polling.timeout': 1_000,
  'message.maxSize': 1, 'message.queue.maxSize': 1, 'message.queue.maxBytes': 1, 'message.queue.ttl': 1,
  'buffer.send.maxSize': 1, 'buffer.receive.maxSize': 1, 'buffer.receive.batchSize': 1,
};

/** Checks the options and adds the defaults. The error names every option that is wrong. */
export function resolveSettings(config: ClientConfig): Settings {
  const problems: string[] = [];
  const settings = merge(defaults, config, '', problems) as unknown as Settings;
  if (!settings.url) problems.push('url: it must be the address of the server, such as wss://example.com/ws');
  if (settings.reconnect.jitter > 1) problems.push('reconnect.jitter: it must be at most 1');
  checkTransports(settings, problems);
  if (problems.length > 0) throw fail('CONFIG_INVALID', problems.join('; '), { problems });
  const { heartbeat, debug } = settings;
  if (heartbeat.pingMessage === OBJECT) heartbeat.pingMessage = { type: 'ping' };
  if (heartbeat.pongMessage === OBJECT) heartbeat.pongMessage = { type: 'pong' };
  if (debug.logger === OBJECT) debug.logger = (globalThis as unknown as { console: Logger }).console;
  return settings;
}

/** What the transports need of each other, and of other options. */
function checkTransports({ transport: { websocket, polling }, reconnect }: Settings, problems: string[]): void {
  if (!polling.enabled) {
    if (!websocket.enabled) problems.push('transport.websocket.enabled: without it, transport.polling must be enabled');
    return;
  }
  if (polling.maxInterval < polling.interval) {
    problems.push('transport.polling.maxInterval: it must be at least transport.polling.interval');
  }
  if (websocket.enabled && !(reconnect.enabled && reconnect.maxAttempts > 0)) {
    problems.push('transport.polling.enabled: the next attempt takes it, so reconnect must allow one');
  }
}

type Tree = Readonly<Record<string, unknown>>;

function merge(known: Tree, given: unknown, path: string, problems: string[]): Tree {
  if (!isRecord(given)) {
    problems.push(`${path.slice(0, -1) || 'the configuration'}: it must be an object`);
    return known;
  }
  const result: Record<string, unknown> = {};
  for (const key in known) result[key] = read(known[key], given[key], path + key, problems);
  for (const key in given) {
    if (given[key] === undefined || key in known) continue;
    problems.push(`${path}${key}: ${REFUSED[path + key] ?? 'there is no such option'}`);
  }
  return result;
}

function read(standard: unknown, value: unknown, path: string, problems: string[]): unknown {
  if (standard === PART) {
    const { attach, enabled } = (value ?? { enabled: false }) as Partial<PartOption> & { enabled?: boolean };
    if (attach) return value;
    if (enabled !== false) problems.push(`${path}: use websocket-module/client/offline`);
    return undefined;
  }
  const isTree = isRecord(standard) && standard !== OBJECT;
  if (value === undefined && !isTree) return standard === FUNCTION ? undefined : standard;
  // `websocket: false` is short for `websocket: { enabled: false }`.
  if (isTree && typeof value === 'boolean' && SHORT.includes(path)) return merge(standard, { enabled: value }, '', []);
  if (isTree) return merge(standard, value ?? {}, `${path}.`, problems);
  const complaint = REFUSED[path] !== undefined && value !== standard
    ? REFUSED[path]
    : complain(standard, value, path);
  if (complaint) problems.push(`${path}: ${complaint}`);
  return value;
}

function complain(standard: unknown, value: unknown, path: string): string | undefined {
  if (typeof value !== typeof standard || Array.isArray(value) !== Array.isArray(standard) || value === null) {
    return `it must be a ${Array.isArray(standard) ? 'list' : typeof standard}`;
  }
  const choices = CHOICES[path];
  if (choices && !choices.includes(value)) return `it must be one of ${choices.join(', ')}`;
  const least = LEAST[path] ?? 0;
  return typeof value === 'number' && !(value >= least) ? `it must be a number of at least ${least}` : undefined;
}
