import type { WebSocketClass } from './default-socket.ts';

/** A part of the client that is loaded separately. */
export interface PartOption { attach(host: any): void }

/** A section that is switched off. */
interface Off { readonly enabled: false }

export interface AuthConfig {
  /** For people who read the configuration; any token is sent in the same way. @default 'jwt' */
  readonly type?: string | undefined;
  /** The token. Use `getToken` if it may change. */
  readonly token?: string | undefined;
  /** Called before each attempt to connect. Without a token it resolves with `undefined`. */
  readonly getToken?: (() => Promise<string | undefined> | string | undefined) | undefined;
  /** Called before the token expires, and once after the server refused it. Without it, `getToken` is called. */
  readonly refreshToken?: (() => Promise<string | undefined> | string | undefined) | undefined;
  /**
   * Where the token goes: into the first message, a subprotocol, or the query of the URL, where proxies log it.
   * @default 'message'
   */
  readonly via?: 'message' | 'protocol' | 'query' | undefined;
}

export interface ReconnectConfig {
  /** @default true */
  readonly enabled?: boolean | undefined;
  /** Attempts in a row that may fail. Then the client rests until the page wakes it. @default Infinity */
  readonly maxAttempts?: number | undefined;
  /** The limit of the first delay, in milliseconds. @default 500 */
  readonly initialDelay?: number | undefined;
  /** The limit of every delay, in milliseconds. @default 30_000 */
  readonly maxDelay?: number | undefined;
  /** The limit grows by this factor with each attempt. @default 1.25 */
  readonly backoffFactor?: number | undefined;
  /** The random part of a delay: 1 is full jitter, 0.1 the last tenth. @default 1 */
  readonly jitter?: number | undefined;
  /** Whether a hidden page reconnects, too. @default false */
  readonly whileHidden?: boolean | undefined;
}

export interface HeartbeatConfig {
  /** Set it to `false` for a server that does not answer pings. @default true */
  readonly enabled?: boolean | undefined;
  /** After this silence of the server, in milliseconds, the client sends a ping. @default 25_000 */
  readonly interval?: number | undefined;
  /** The server must answer a ping within this time, in milliseconds. @default 5_000 */
  readonly timeout?: number | undefined;
  /** @default { type: 'ping' } */
  readonly pingMessage?: { readonly type: string; readonly [field: string]: unknown } | undefined;
  /** The answer of a server that sends no `replyTo`. @default { type: 'pong' } */
  readonly pongMessage?: { readonly type: string; readonly [field: string]: unknown } | undefined;
}

export interface QueueConfig {
  /** Without a queue, `send` fails while there is no connection. @default true */
  readonly enabled?: boolean | undefined;
  /** Messages that wait or are not acknowledged yet. @default 1_000 */
  readonly maxSize?: number | undefined;
  /** Bytes of these messages. @default 4_194_304 */
  readonly maxBytes?: number | undefined;
  /** A message that is not acknowledged after this time, in milliseconds, fails. @default 300_000 */
  readonly ttl?: number | undefined;
  /** Whether messages that were sent and not acknowledged are sent again, under the same id. @default true */
  readonly retryOnReconnect?: boolean | undefined;
}

export interface PollingConfig {
  /** @default false */
  readonly enabled?: boolean | undefined;
  /** The pause after a failed request, in milliseconds. It doubles with each failure. @default 1_000 */
  readonly interval?: number | undefined;
  /** The limit of the pause, in milliseconds. @default 30_000 */
  readonly maxInterval?: number | undefined;
  /** A request without an answer fails after this time, in milliseconds. @default 60_000 */
  readonly timeout?: number | undefined;
  /** Whether cookies go to a server of another origin, which must allow it. @default false */
  readonly credentials?: boolean | undefined;
}

export interface DebugConfig {
  /** @default false */
  readonly enabled?: boolean | undefined;
  /** @default 'info' */
  readonly logLevel?: LogLevel | undefined;
  /** Whether lines contain the contents of messages. @default false */
  readonly logMessages?: boolean | undefined;
  /** @default console */
  readonly logger?: Logger | undefined;
}

export type LogLevel = 'debug' | 'info' | 'warn' | 'error';
export type Logger = Readonly<Record<LogLevel, (...args: unknown[]) => void>>;

/** The options of a `WebSocketClient`. */
export interface ClientConfig {
  /** The address of the server. */
  readonly url: string;
  /** Subprotocols to offer. @default [] */
  readonly protocols?: readonly string[] | undefined;
  /** The class that opens connections. @default the global WebSocket; on Node 20 that of the package ws */
  readonly WebSocket?: WebSocketClass | undefined;
  /** The server must accept the connection within this time, in milliseconds. @default 10_000 */
  readonly connectTimeout?: number | undefined;
  /** A request without reply fails after this time, in milliseconds. @default 30_000 */
  readonly requestTimeout?: number | undefined;
  readonly auth?: AuthConfig | undefined;
  readonly reconnect?: ReconnectConfig | undefined;
  readonly heartbeat?: HeartbeatConfig | undefined;
  /** Recovers what the client missed, if the server has the plugin `recovery`. */
  readonly recovery?: {
    /** It needs `heartbeat.enabled`, because other servers do not answer. @default true */
    readonly enabled?: boolean | undefined;
  } | undefined;
  readonly message?: {
    /** Bytes of a message that is sent. A longer one fails. @default 1_048_576 */
    readonly maxSize?: number | undefined;
    /** Browsers, Node and `ws` offer compression by themselves, so `false` is refused. @default true */
    readonly compression?: boolean | undefined;
    readonly queue?: QueueConfig | undefined;
  } | undefined;
  readonly buffer?: {
    readonly send?: {
      /** Another limit for the queue; the smaller one holds. @default Infinity */
      readonly maxSize?: number | undefined;
      /** The queue is written at most once in this time, in milliseconds. 0: at once. @default 0 */
      readonly flushInterval?: number | undefined;
      /** Whether interactive messages are written before bulk messages. @default true */
      readonly priority?: boolean | undefined;
    } | undefined;
    readonly receive?: {
      /** Received messages that wait. Beyond it a batch is handed out at once. @default 50_000 */
      readonly maxSize?: number | undefined;
      /** Milliseconds between batches. @default 0 */
      readonly processInterval?: number | undefined;
      /** Messages in a batch. A batch also ends after 8 ms. @default 100 */
      readonly batchSize?: number | undefined;
    } | undefined;
  } | undefined;
  readonly transport?: {
    /** `false`: the client only polls. @default true */
    readonly websocket?: boolean | {
      /** @default true */
      readonly enabled?: boolean | undefined;
      /** Bytes of a received message. A longer one closes the connection. @default Infinity */
      readonly maxPayload?: number | undefined;
      readonly compression?: {
        readonly enabled?: boolean | undefined;
        readonly algorithm?: string | undefined;
      } | undefined;
    } | undefined;
    /** Long polling where WebSocket does not pass. The server needs the plugin `long-polling`. @default false */
    readonly polling?: boolean | PollingConfig | undefined;
  } | undefined;
  /** What outlives the page. The parts are made by functions of `websocket-module/client/offline`. */
  readonly state?: {
    /**
     * The id of the user, as the server knows it. What is stored is kept apart for each user, so another user needs
     * another client. @default '', for anonymous clients
     */
    readonly user?: string | undefined;
    /** Keeps the session, the subscriptions and the positions: `persistence()`. @default { enabled: false } */
    readonly persistence?: PartOption | Off | undefined;
    /** Keeps messages that are not acknowledged: `indexedDbOutbox()`. @default { enabled: false } */
    readonly offline?: PartOption | Off | undefined;
  } | undefined;
  readonly debug?: DebugConfig | undefined;
}
