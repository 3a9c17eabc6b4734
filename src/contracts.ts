import type {
  DeliverOptions, HandlerOptions, Publisher, PublishOptions, RequestOptions, TimeoutQueue,
} from './call-options.ts';
import type { ModuleError } from './errors.ts';
import type { HttpHandler, Peer, TransportSettings, UpgradeHandler, UpgradeRequest } from './http.ts';
import type { Journal } from './journal.ts';
import type { ErrorPhase, Log } from './logger.ts';
import type { Collector, Health, HealthCheck, Metric, Metrics } from './metrics.ts';
import type { Adapter, Channel, ChannelAnswer, SeatPart, SharedStore } from './ports.ts';
import type { Message, Outgoing, Route } from './protocol.ts';
import type { ConnectionOffer } from './socket.ts';

export type * from './call-options.ts';
export type * from './http.ts';
export type * from './journal.ts';
export type * from './logger.ts';
export type * from './metrics.ts';
export type * from './ports.ts';
export type * from './socket.ts';

/** Runs the inner layers and the handler. Returns their result, or a promise of it. */
export type Next = () => unknown;
/** Handles one message type. Its result is the reply; `undefined` sends none. */
export type Handler<C = any> = (message: Message<C>, connection: Connection) => unknown;
/**
 * Finds the handler of a message in a table of the plugin; all layers of the manager run before it. If it is not known
 * yet, the route has a promise `until`: the message waits for it before all layers, and `find` is called again.
 */
export type FindRoute = (message: Message, connection: Connection) => Route | undefined;
/** Charges each frame before it is parsed: invalid frames and unexpected replies count, too. */
export interface FrameGuard {
  /**
   * Returns nothing to let the frame pass, an error to refuse it, or a promise to keep the connection's frames waiting,
   * unparsed, until it resolves.
   */
  charge(connection: Connection, bytes: number): ModuleError | Promise<void> | undefined;
  /** Called when the frame was the reply to an open request: such a reply is free. */
  refund(connection: Connection, bytes: number): void;
}
/** The user of a connection. Set by auth. */
export interface User {
  readonly id: string;
  readonly roles?: readonly string[] | undefined;
  readonly [claim: string]: unknown;
}
/** Data of a connection: plain and structured-cloneable. A `user` that a layer puts here becomes `connection.user`. */
export interface Metadata {
  /** The client's address; see `trustProxy`. Empty over a unix socket that `trustProxy` does not name. */
  ip: string;
  /** The headers named in `keepHeaders`. */
  headers?: Record<string, string> | undefined;
  [key: string]: unknown;
}

interface LayerBase<Phase extends string> { readonly type: Phase; readonly name?: string | undefined }
/**
 * Runs before the handshake. Throw to refuse with the error's HTTP `status`, return `false` to refuse with 403, or
 * return an object to merge it into the metadata.
 */
export interface UpgradeLayer extends LayerBase<'upgrade'> {
  readonly handler: (request: UpgradeRequest, metadata: Metadata) => UpgradeAnswer | Promise<UpgradeAnswer>;
}
type UpgradeAnswer = void | boolean | object;
/**
 * Runs after the handshake. Throw to refuse with a close code, return `false` to refuse with 4003, or return an object
 * to merge it into the metadata.
 */
export interface ConnectionLayer extends LayerBase<'connection'> {
  readonly handler: (ws: Peer, request: UpgradeRequest, metadata: Metadata) => unknown;
}
/** Runs around the handler of each message. Return what `next()` returned, or another reply; throw to refuse. */
export interface MessageLayer extends LayerBase<'message'> {
  readonly handler: (message: Message, connection: Connection, next: Next) => unknown;
  /**
   * Escapes text from clients. The kernel calls it after all layers, with the payload for each handler that is not
   * `raw`; plugins call it by `context.escape()`. If several layers have one, the first is used.
   */
  readonly escape?: Escape | undefined;
}
/** Returns an escaped copy of a value, or the value itself. */
export type Escape = <T>(value: T) => T;
/** Runs once per message, not per recipient. Synchronous. Return a message to replace it; throw to drop it. */
export interface SendLayer extends LayerBase<'send'> {
  readonly handler: (message: Outgoing, target: Target) => Outgoing | void;
}
export type Layer = UpgradeLayer | ConnectionLayer | MessageLayer | SendLayer;
/** The receivers of a message: one connection, or the subscribers of a topic. */
export type Target = { readonly connection: Connection } | { readonly topic: string };

/** One client. */
export interface Connection {
  /** Unique across nodes: `<node id>.<uuid>`. */
  readonly id: string;
  /** 128 random bits. Keep it secret: the client resumes its session with it. */
  readonly sessionId: string;
  /** The client's address; see `trustProxy`. */
  readonly ip: string;
  /** Set by auth, possibly after the connection was added. */
  readonly user?: User | undefined;
  readonly metadata: Metadata;
  /** The negotiated subprotocol, or an empty string. */
  readonly protocol: string;
  /** Milliseconds since the epoch. */
  readonly connectedAt: number;
  /** Milliseconds since then, by a monotonic clock. */
  readonly age: number;
  readonly isOpen: boolean;
  /** Whether reading is paused, because too many messages of this connection wait to be handled. */
  readonly isPaused: boolean;
  /** Whether messages to topics are withheld from it, for example until it authenticates. */
  readonly isHeld: boolean;
  /** Bytes that wait to be written. */
  readonly waitingBytes: number;
  /** Queues a message, or bytes as a binary frame. `false`: not queued; `message:dropped` or `error` says why. */
  send(message: Outgoing | ArrayBufferView | ArrayBufferLike): boolean;
  /**
   * Sends a message, again if necessary, until the client replies.
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

/**
 * The node as one plugin sees it. Its subscriptions, holds, identifications and resumed sessions end when the plugin is
 * unloaded.
 */
export interface Node {
  readonly id: string;
  readonly connections: ReadonlyMap<string, Connection>;
  /** Whether there are no other nodes, because no adapter is used. */
  readonly isAlone: boolean;
  /**
   * Connects this node to others, like `manager.useAdapter()`. The adapter belongs to the application: it stays when
   * the plugin is unloaded.
   * @throws OPTION_INVALID, DUPLICATE, ADAPTER_FAILED
   */
  useAdapter(adapter: Adapter): Promise<void>;
  /** Sends to a topic's subscribers on every node. Returns how many are on this one. */
  publish(topic: string, message: Outgoing, options?: PublishOptions): number;
  /** Sends to a topic's subscribers on this node only, with the position that the topic's store assigned. */
  deliver(topic: string, message: Outgoing, position?: { readonly epoch: string; readonly offset: number }): number;
  /** Completes a message to a topic, and runs the send layers. @throws UNSENDABLE_MESSAGE, SEND_LAYER_DROPPED */
  prepare(topic: string, message: Outgoing): Outgoing;
  /** Sends what prepare() returned to the topic's subscribers on this node, past the send layers. Returns how many. */
  deliverPrepared(topic: string, message: Outgoing, options?: DeliverOptions): number;
  subscribe(connection: Connection, topic: string): void;
  /** Resolves when other nodes' messages to a topic arrive; `undefined` if they do. @throws ADAPTER_FAILED */
  whenSubscribed(topic: string): Promise<void> | undefined;
  /** Ends this plugin's subscription; subscriptions of others stay. */
  unsubscribe(connection: Connection, topic: string): void;
  /** The subscribers of a topic on this node. */
  subscribers(topic: string): ReadonlySet<Connection>;
  /** The ids of the other running nodes. */
  readonly peers: readonly string[];
  /** The path of the server on which clients connect. */
  readonly path: string;
  /** The option `message.timeout`: the default time that clients have to answer, in milliseconds. */
  readonly messageTimeout: number;
  /** Sends to a connection on any node. Returns `false` if no running node has it. */
  send(connectionId: string, message: Outgoing): boolean;
  /**
   * Sets the user of a connection, for the first time or again with newer claims.
   * @throws USER_MISMATCH if the connection has another user, USER_ID_RESERVED if the id is that of a connection
   */
  identify(connection: Connection, user: User): void;
  /** Withholds messages to topics from a connection, until it authenticates for example. Direct messages are sent. */
  hold(connection: Connection, isHeld: boolean): void;
  /** Gives a connection the session id that its client had before. */
  resume(connection: Connection, sessionId: string): void;
  /**
   * Resolves when nothing waits to be written to these connections.
   * @param target a connection id or a topic
   */
  drained(target?: string): Promise<void>;
  /** All metrics of the kernel and of the plugins, with type and help text. */
  describeMetrics(): ReadonlyMap<string, Metric>;
  health(): Health;
  metrics(): Metrics;
  /** The message types that have a handler, as they were registered. */
  types(): readonly string[];
  /** The names of the loaded plugins and layers. */
  loaded(): readonly string[];
}
/** The APIs of plugins, by name. A plugin adds its line by declaration merging. */
export interface PluginApis {}

export interface Plugin<Name extends string = string, Needs extends string = string, Api = unknown> {
  /** Stamped by definePlugin(). */
  readonly type: 'plugin';
  readonly name: Name;
  readonly version?: string | undefined;
  /** Names of plugins that must be loaded before. Their APIs are setup's second argument. */
  readonly requires?: readonly Needs[] | undefined;
  /** The events that it emits. A listener for an unknown event causes a warning. */
  readonly events?: readonly string[] | undefined;
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
  /** Converts a message type of the plugin from kebab case to the naming that the application chose. */
  named(type: string): string;
  /** Aborted first on unload. */
  readonly signal: AbortSignal;
  readonly log: Log;
  readonly node: Node;
  /** The type `*` handles messages without a handler. */
  registerHandler(type: string, handler: Handler, options?: HandlerOptions): void;
  /** Escapes a client's text or content before it is sent on, if a layer of the manager defines how. */
  escape: Escape;
  /**
   * Routes messages to handlers in a table of the plugin, behind all layers. With `yields`, registered handlers that do
   * not yield take precedence.
   */
  route(find: FindRoute, options?: { readonly yields?: boolean | undefined }): void;
  /** Charges frames before they are parsed. */
  guardFrames(guard: FrameGuard): void;
  /** Takes over messages to topics. Those for which the function returns `true` are not sent by the kernel. */
  publishWith(take: Publisher): void;
  use(layer: Layer): void;
  on<E extends keyof Hooks>(event: E, listener: Hooks[E]): void;
  emit<E extends keyof Hooks>(event: E, ...args: Parameters<Hooks[E]>): void;
  /**
   * Reports a failure of the plugin to the `error` event, or to the log if the event has no listener.
   * @param where the context of the error; its phase is `plugin` by default
   */
  report(error: unknown, where?: Partial<ErrorContext>): void;
  /**
   * Resolves to the result of the work, or to that of `onTimeout` if the work takes longer. A later failure of the work
   * is reported.
   */
  within<T>(milliseconds: number, work: Promise<T>, onTimeout: () => T): Promise<T>;
  /** Maps errors to those that clients see. The first map that returns an error is used. */
  mapError(map: (error: unknown) => ModuleError | undefined): void;
  /** Runs work repeatedly until unload. A run starts only after the previous one has finished. */
  every(milliseconds: number, work: () => unknown): void;
  /** Runs work once. Delays may exceed the 24.8 days of setTimeout(). Returns the undo. */
  after(milliseconds: number, work: () => unknown): () => void;
  /**
   * Creates a queue of items that share one timeout, on one deadline. Cheaper than after() for many items.
   * @param onTimeout is called with each expired item; it must remove the item from `items`
   */
  timeoutQueue<T extends { readonly startedAt: number }>(
    milliseconds: number,
    onTimeout: (item: T) => void,
  ): TimeoutQueue<T>;
  /** Answers HTTP requests for a path of the server. */
  http(path: string, handler: HttpHandler): void;
  /**
   * Creates a channel to the same plugin on other nodes.
   * @param name the name of the channel, unique in the plugin
   * @param answer handles the messages and questions of other nodes
   */
  channel<Payload = any, Answer = any>(name: string, answer: ChannelAnswer<Payload>): Channel<Payload, Answer>;
  /**
   * The store that all nodes share, with keys and sets of this plugin alone. `undefined`: there is none, and state is
   * per node. Rejects with LEASE_LOST while this node holds no lease.
   */
  readonly store: SharedStore | undefined;
  /** The journal of the adapter, if it has one. */
  readonly journal: Journal | undefined;
  /** Keeps the plugin's seats in the store in step with the lease of the node. Returns the undo. */
  seats(part: SeatPart): () => void;
  /**
   * Lets a client of another transport connect: its offer passes all checks and layers of an upgrade. Resolves when it
   * is connected or refused. On unload, the plugin itself closes the sockets of its clients.
   */
  accept(offer: ConnectionOffer): Promise<void>;
  /** Serves another protocol on another path of the server. */
  upgrade(path: string, handler: UpgradeHandler): void;
  /** Changes what the handshakes of later connections negotiate. */
  transport(settings: TransportSettings): void;
  health(name: string, check: HealthCheck): void;
  metrics(collect: Collector): void;
  /** Adds members to this manager, to `manager.connections`, or to each connection. */
  decorate(target: 'connection' | 'connections' | 'manager', members: PropertyDescriptorMap): void;
  onUnload(cleanup: () => unknown): void;
}
/** Events for observers. A listener may be asynchronous. It cannot change the outcome, and its failure is reported. */
export interface Hooks {
  'connection:added': (connection: Connection) => unknown;
  'connection:identified': (connection: Connection) => unknown;
  'connection:removed': (connection: Connection, reason: { readonly code: number; readonly reason: string }) => unknown;
  /** An upgrade or a connection was refused. */
  'connection:refused': (event: { readonly error: ModuleError; readonly ip: string }) => unknown;
  'message:received': (event: { readonly message: Message; readonly connection: Connection }) => unknown;
  /** A handler finished after `duration` milliseconds. `error` is what the client was sent. */
  'message:handled': (event: {
    readonly message: Message;
    readonly connection: Connection;
    readonly duration: number;
    readonly error?: ModuleError | undefined;
  }) => unknown;
  /** Emitted once per message, not per recipient. */
  'message:sent': (event: { readonly message: Outgoing; readonly target: Target }) => unknown;
  /** A message was not sent to a connection; `code` says why. */
  'message:dropped': (event: { readonly connection: Connection | undefined; readonly code: string }) => unknown;
  /** A topic got its first subscriber on this node, or lost its last one. */
  'topic:opened': (event: { readonly topic: string }) => unknown;
  'topic:closed': (event: { readonly topic: string }) => unknown;
  /** Another node started, or restarted after a crash. */
  'node:joined': (event: { readonly node: string }) => unknown;
  /** Another node stopped, or was silent for ten seconds. */
  'node:left': (event: { readonly node: string }) => unknown;
  /** Packets of another node to a topic were lost on their way here. */
  'node:gap': (event: { readonly node: string; readonly topic: string }) => unknown;
  /** The adapter lost its connection for a while, and packets of other nodes may have been lost. */
  'adapter:interrupted': (event: { readonly reason: string }) => unknown;
  /** The lease of this node was lost. What the nodes share is not available here until `store:renewed`. */
  'store:lapsed': (event: { readonly reason: string }) => unknown;
  /** This node has a new lease, and the plugins have entered their seats again. `lapsedFor` is in milliseconds. */
  'store:renewed': (event: { readonly lapsedFor: number }) => unknown;
  /** The store was restarted or emptied, and may have lost data. The plugins enter their seats again. */
  'store:data-lost': (event: { readonly generation: string }) => unknown;
  /** stop() was called. Plugins that delay messages send them now. */
  'stopping': () => unknown;
  'error': (error: Error, context: ErrorContext) => unknown;
}
export interface ErrorContext {
  /** Where the error occurred. */
  readonly phase: ErrorPhase;
  readonly plugin?: string | undefined;
  readonly connection?: Connection | undefined;
  readonly message?: Message | undefined;
}

/** Creates a plugin, and infers the types of its name, its requirements and its API. */
export function definePlugin<const Name extends string, const Needs extends string = never, Api = void>(
  plugin: Omit<Plugin<Name, Needs, Api>, 'type'>,
): Plugin<Name, Needs, Api> {
  return { type: 'plugin', ...plugin };
}
