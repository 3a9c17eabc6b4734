import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Duplex } from 'node:stream';
import type { ModuleError } from './errors.ts';
import type { Codec, Message, Outgoing, Route } from './protocol.ts';

/** What the inner layers and the handler produced, or a promise of it. */
export type Next = () => unknown;
/** Handles one message type. What it returns is the reply; `undefined` sends none. */
export type Handler<C = any> = (message: Message<C>, connection: Connection) => unknown;
/**
 * Finds what handles a message, where another table than the kernel's has it. Layers of the manager are around all of
 * them.
 */
export type FindRoute = (message: Message, connection: Connection) => Route | undefined;
/** Charges each frame before it is parsed, also one that turns out to be invalid or to answer nothing. */
export interface FrameGuard {
  /**
   * Nothing lets it pass; an error refuses it; a promise lets the connection's frames wait, unread, until it resolves.
   */
  charge(connection: Connection, bytes: number): ModuleError | Promise<void> | undefined;
  /** The frame answered an open request, which has paid for it. */
  refund(connection: Connection, bytes: number): void;
}
/** The user of a connection. Set by auth. */
export interface User { readonly id: string; readonly roles?: readonly string[]; readonly [claim: string]: unknown }
/** What is known of a connection: plain data, structured-cloneable. `user` becomes `connection.user`. */
export interface Metadata {
  /** The client's address, by the trusted proxies. */
  ip: string;
  /** The headers named in `keepHeaders`. */
  headers?: Record<string, string>;
  [key: string]: unknown;
}

/** The socket as connection layers see it. Over `ws` it is the WebSocket itself. */
export interface Peer {
  readonly protocol: string; readonly readyState: number;
  send(data: string | Uint8Array): void;
  close(code?: number, reason?: string): void;
}

interface Named<Phase extends string> { readonly type: Phase; readonly name?: string }
/** Before the handshake. Throw a ModuleError to refuse with its HTTP `status`. */
export interface UpgradeLayer extends Named<'upgrade'> {
  readonly handler: (request: IncomingMessage, metadata: Metadata) => void | Promise<void>;
}
/**
 * After the handshake. Throw to refuse with a close code, return `false` to refuse with 4003, an object to merge it
 * into the metadata.
 */
export interface ConnectionLayer extends Named<'connection'> {
  readonly handler: (ws: Peer, request: IncomingMessage, metadata: Metadata) => unknown;
}
/** Around the handler of each message. Return what `next()` returned, or another reply; throw to refuse. */
export interface MessageLayer extends Named<'message'> {
  readonly handler: (message: Message, connection: Connection, next: Next) => unknown;
}
/** Once per message sent, not per recipient, and synchronous. A returned message replaces it; throw to drop it. */
export interface SendLayer extends Named<'send'> {
  readonly handler: (message: Outgoing, target: Target) => Outgoing | void;
}
export type Layer = UpgradeLayer | ConnectionLayer | MessageLayer | SendLayer;
/** Whom a message is for: one connection, or the subscribers of a topic. */
export type Target = { readonly connection: Connection } | { readonly topic: string };

/** One client. */
export interface Connection {
  /** Unique; carries its node's id: `<node>.<uuid>`. */
  readonly id: string;
  /** 128 random bits, a secret of this client's, with which it resumes its session. */
  readonly sessionId: string;
  /** The client's address, by the trusted proxies. */
  readonly ip: string;
  /** Set by auth, perhaps some time after the connection was added. */
  readonly user?: User | undefined;
  readonly metadata: Metadata;
  /** The negotiated subprotocol, or an empty string. */
  readonly protocol: string;
  /** Milliseconds since the epoch. */
  readonly connectedAt: number;
  readonly isOpen: boolean;
  /** Whether it is not read from, because too many of its messages wait to be handled. */
  readonly isPaused: boolean;
  /** Whether what is published to topics passes it by, because it has yet to say who it is. */
  readonly isHeld: boolean;
  /** Bytes that wait to be written to it. */
  readonly waitingBytes: number;
  /** Queues a message, or raw bytes as a binary frame. `false`: not queued, and why is a `message:dropped` event. */
  send(message: Outgoing | Uint8Array): boolean;
  /**
   * Sends a message until the client replies to it.
   * @throws REQUEST_TIMEOUT, REQUEST_ABORTED, CONNECTION_CLOSED, TOO_MANY_REQUESTS
   */
  request(message: Outgoing, options?: RequestOptions): Promise<Message>;
  close(code?: number, reason?: string): void;
}

/** The connections of a node, by id. Plugins may add members. */
export interface Connections extends ReadonlyMap<string, Connection> {}

/** The topic of every connection. */
export const EVERYONE = '*';
/** The topic of a user's connections. */
export const userTopic = (userId: string): string => `user:${userId}`;

export interface RequestOptions {
  /** Milliseconds each attempt waits for an answer. @default message.timeout */
  readonly timeout?: number;
  /** How often the message is sent again. @default message.maxRetries */
  readonly retries?: number;
  readonly signal?: AbortSignal;
}
/** `except`: ids of connections that do not get it. */
export interface PublishOptions { readonly except?: string | readonly string[] }

/**
 * This node as one plugin sees it. What the plugin subscribes, holds, identifies and resumes is undone when it is
 * unloaded.
 */
export interface Node {
  readonly id: string;
  readonly connections: ReadonlyMap<string, Connection>;
  /** Whether there are no other nodes, because no adapter is given. */
  readonly isAlone: boolean;
  /** Sends to a topic's subscribers on every node. Returns how many are on this one. */
  publish(topic: string, message: Outgoing, options?: PublishOptions): number;
  /** Sends to a topic's subscribers on this node only, at the position the topic's store gave it. */
  deliver(topic: string, message: Outgoing, position?: { readonly epoch: string; readonly offset: number }): number;
  subscribe(connection: Connection, topic: string): void;
  /** Ends this plugin's subscription; those of others stay. */
  unsubscribe(connection: Connection, topic: string): void;
  /** The subscribers of a topic on this node. */
  subscribers(topic: string): ReadonlySet<Connection>;
  /** Sends to a connection on whichever node holds it. */
  send(connectionId: string, message: Outgoing): boolean;
  /**
   * Says which user a connection belongs to, for the first time or again with newer claims.
   * @throws USER_MISMATCH for another user's id, USER_ID_RESERVED for that of a connection
   */
  identify(connection: Connection, user: User): void;
  /**
   * Keeps what is published to topics and to everyone from an unauthenticated connection; what is sent to it alone
   * passes.
   */
  hold(connection: Connection, isHeld: boolean): void;
  /** Gives a connection the session id it had before. */
  resume(connection: Connection, sessionId: string): void;
  /**
   * Resolves when nothing waits to be written to these connections any more.
   * @param target a connection id or a topic
   */
  drained(target?: string): Promise<void>;
  /** Every figure there is: the kernel's and the plugins'. */
  measures(): ReadonlyMap<string, Measure>;
  health(): Health;
  metrics(): Metrics;
  /** The types that have a handler, in canonical form. */
  types(): readonly string[];
  /** The names of the loaded plugins and layers. */
  loaded(): readonly string[];
}
/** The API that each plugin gives to those that require it. Plugins add their line by declaration merging. */
export interface PluginApis {}

export interface Plugin<Name extends string = string, Needs extends string = string, Api = unknown> {
  /** Stamped by definePlugin(). */
  readonly type: 'plugin';
  readonly name: Name;
  readonly version?: string;
  /** Names of plugins that must be loaded before. Their APIs are setup's second argument. */
  readonly requires?: readonly Needs[];
  setup(
    context: PluginContext,
    apis: { readonly [N in Needs]: N extends keyof PluginApis ? PluginApis[N] : unknown },
  ): Api | Promise<Api>;
}
/** What use() takes: a layer, a plugin, or a built-in's name. */
export type Usable = Layer | Plugin<any, any, any> | string;
/** Built-ins by name, each loaded when it is first used. */
export type Builtins = Readonly<Record<string, () => Promise<(options?: any) => Usable>>>;

/** What a plugin may add. Every call is undone, last first, on unload. */
export interface PluginContext {
  readonly name: string;
  /** A type of the plugin's own, in kebab case, in the naming that the application chose. */
  named(type: string): string;
  /** Aborted first on unload. */
  readonly signal: AbortSignal;
  readonly log: Log;
  readonly node: Node;
  /** The type `*` catches what has no handler. With `yields`, another handler of the type takes precedence. */
  registerHandler(type: string, handler: Handler, options?: { readonly yields?: boolean }): void;
  /**
   * Hands messages on to a table of the plugin's own, from behind all layers. With `yields`, handlers that do not yield
   * take precedence.
   */
  route(find: FindRoute, options?: { readonly yields?: boolean }): void;
  /** Charges frames before they are parsed. */
  guardFrames(guard: FrameGuard): void;
  use(layer: Layer): void;
  on<E extends keyof Hooks>(event: E, listener: Hooks[E]): void;
  emit<E extends keyof Hooks>(event: E, ...args: Parameters<Hooks[E]>): void;
  /**
   * Reports what went wrong in the plugin, to the `error` event or the log.
   * @param where what was being done; `plugin` by default
   */
  report(error: unknown, where?: Partial<ErrorContext>): void;
  /**
   * What the work gives; when it takes longer, what `onTimeout` gives or throws. What the work throws then is reported.
   */
  within<T>(milliseconds: number, work: Promise<T>, onTimeout: () => T): Promise<T>;
  /** Errors pass through each map until one answers. What it returns is what the peer sees. */
  mapError(map: (error: unknown) => ModuleError | undefined): void;
  /** Runs work again and again until unload. A run that has not finished is not overtaken. */
  every(milliseconds: number, work: () => unknown): void;
  /** Runs work once, by the shared clock, which also knows delays beyond 24.8 days. Returns the undo. */
  after(milliseconds: number, work: () => unknown): () => void;
  /** Answers HTTP requests for a path of the server. */
  http(path: string, handler: HttpHandler): void;
  /** Another protocol on another path of the same server. */
  upgrade(path: string, handler: UpgradeHandler): void;
  /** What the handshake of later connections negotiates. */
  transport(settings: TransportSettings): void;
  health(name: string, check: HealthCheck): void;
  metrics(collect: Collector): void;
  /** Adds members to this manager, to `manager.connections`, or to each connection. */
  decorate(target: 'connection' | 'connections' | 'manager', members: PropertyDescriptorMap): void;
  onUnload(cleanup: () => unknown): void;
}
export type HttpHandler = (request: IncomingMessage, response: ServerResponse) => void | Promise<void>;
export type UpgradeHandler = (request: IncomingMessage, socket: Duplex, head: Buffer) => void;
export interface TransportSettings {
  /**
   * Bytes from which a message is compressed, zlib's level and memLevel, 1 to 9, and how many messages are inflated at
   * once.
   */
  readonly compression?: {
    readonly threshold: number;
    readonly level?: number;
    readonly memLevel?: number;
    readonly concurrency?: number;
  };
  /** Codecs that clients may choose by subprotocol. */
  readonly codecs?: readonly Codec[];
}
/** The port through which a topic reaches other nodes. */
export interface Adapter {
  readonly name: string;
  start(node: { readonly id: string; receive(topic: string, packet: Uint8Array): void }): Promise<void>;
  publish(topic: string, packet: Uint8Array): void | Promise<void>;
  /** The first local subscriber came, or the last one left. */
  subscribe(topic: string): void | Promise<void>;
  unsubscribe(topic: string): void | Promise<void>;
  check?(): Promise<HealthReport>;
  stop(): Promise<void>;
}

/** Events that observe. Listeners decide nothing; one that throws is logged and counted. */
export interface Hooks {
  'connection:added': (connection: Connection) => void;
  'connection:identified': (connection: Connection) => void;
  'connection:removed': (connection: Connection, reason: { readonly code: number; readonly reason: string }) => void;
  /** An upgrade or a connection that was turned away. */
  'connection:refused': (event: { readonly error: ModuleError; readonly ip: string }) => void;
  'message:received': (event: { readonly message: Message; readonly connection: Connection }) => void;
  /** A handler finished. The duration is in milliseconds; the error is what the peer was told. */
  'message:handled': (event: {
    readonly message: Message;
    readonly connection: Connection;
    readonly duration: number;
    readonly error?: ModuleError;
  }) => void;
  /** Once per message, not per recipient. */
  'message:sent': (event: { readonly message: Outgoing; readonly target: Target }) => void;
  /** A message that a connection did not get, and why. */
  'message:dropped': (event: { readonly connection: Connection | undefined; readonly code: string }) => void;
  /** stop() was called: what holds messages back is to let go of them. */
  'stopping': () => void;
  'error': (error: Error, context: ErrorContext) => void;
  'alert': (alert: Alert) => void;
}
export interface ErrorContext {
  /** What was being done. */
  readonly phase:
    'upgrade' | 'connection' | 'message' | 'send' | 'listener' | 'plugin' | 'adapter' | 'timer' | 'socket' | 'http';
  readonly plugin?: string;
  readonly connection?: Connection;
  readonly message?: Message;
}

// Alerts, health, metrics.

type Figures<Name extends string> = Readonly<Record<Name, number>>;
/** A figure crossed its threshold, at `since` in milliseconds since the epoch, or is well under it again. */
export interface Alert extends Figures<'value' | 'threshold' | 'since'> {
  readonly name: string;
  readonly level: 'warning' | 'cleared';
}
export type HealthStatus = 'healthy' | 'degraded' | 'unhealthy';
export type HealthReport = Readonly<Record<string, unknown>> & { readonly status: HealthStatus };
export type HealthCheck = () => HealthReport | Promise<HealthReport>;

/**
 * `uptime` in milliseconds, `memory` in megabytes of heap; of each check its last answer, and how many milliseconds old
 * that is.
 */
export interface Health {
  readonly status: HealthStatus;
  readonly uptime: number;
  readonly connections: Figures<'active' | 'total'>;
  readonly memory: Figures<'used' | 'total'>;
  readonly checks: Readonly<Record<string, HealthReport & { readonly age: number }>>;
}
export interface Metrics {
  readonly connections: Figures<'activeConnections' | 'totalConnections' | 'peakConnections' | 'refusedConnections'>;
  /**
   * `totalMessages` came; the rate is that of the last ten to fifteen seconds; the response time is in ms; each
   * recipient of what was sent counts.
   */
  readonly messages: Figures<
    'totalMessages' | 'messagesPerSecond' | 'avgResponseTime' | 'sentMessages' | 'droppedMessages'
  >;
  readonly bytes: Figures<'received' | 'sent'>;
  /** The rate is errors per message that came. */
  readonly errors: Figures<'totalErrors' | 'errorRate'> & { readonly byCode: Readonly<Record<string, number>> };
  /** What plugins measure, by plugin and figure. */
  readonly plugins: Readonly<Record<string, Readonly<Record<string, unknown>>>>;
}
/** A figure, with what Prometheus wants to know of it: `help` is one sentence, with the unit. */
export interface Measure {
  readonly type: 'counter' | 'gauge' | 'histogram';
  readonly help: string;
  readonly value: number | readonly LabelledValue[] | HistogramValue;
}
export interface LabelledValue { readonly labels: Readonly<Record<string, string>>; readonly value: number }
/** Buckets are upper bounds, ascending, and how many values are at or under each. */
export interface HistogramValue extends Figures<'sum' | 'count'> {
  readonly buckets: readonly (readonly [bound: number, count: number])[];
}
/** Gives figures when asked. A bare number is a gauge. */
export type Collector = () => Readonly<Record<string, number | Measure>>;

export type LogLevel = 'debug' | 'info' | 'warn' | 'error';
/** Anything with these four: pino, winston, console. Each call gets one line of text. */
export type Logger = Readonly<Record<LogLevel, (line: string) => void>>;
export type Log = Readonly<Record<LogLevel, (text: string, details?: Readonly<Record<string, unknown>>) => void>>;

/** Stamps a plugin, and infers the types of its name, its needs and its API. */
export function definePlugin<const Name extends string, const Needs extends string = never, Api = void>(
  plugin: Omit<Plugin<Name, Needs, Api>, 'type'>,
): Plugin<Name, Needs, Api> {
  return { type: 'plugin', ...plugin };
}
