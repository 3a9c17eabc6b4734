import { APPLICATION, KERNEL, NONE, TopicTable } from './topic-table.ts';
import { Cluster } from '../cluster/cluster.ts';
import type { MessageBody } from '../cluster/packet.ts';
import { composeSend, type Send } from './compose.ts';
import type { Claims, ClientConnection } from '../connection/connection.ts';
import {
  EVERYONE, userTopic, type Adapter, type DeliverOptions, type Publisher, type PublishOptions, type SendLayer,
  type Target, type User,
} from '../contracts.ts';
import type { Core } from '../runtime/core.ts';
import { ModuleError, toError } from '../errors.ts';
import { Heartbeat } from '../connection/heartbeat.ts';
import { newId, timestamp } from '../runtime/ids.ts';
import { Flusher } from '../connection/outbox.ts';
import { isRecord, stripEnvelope, type Codec, type Outgoing } from '../protocol.ts';
import { UndoList, type Labelled } from '../runtime/scope.ts';
import { toUser } from '../runtime/user.ts';
import { isBinary, type Binary, type Frame } from '../connection/frame.ts';
import { Transport } from '../connection/transport.ts';

/** Hub tracks the connections and subscriptions of this node, encodes each message once, and delivers it. */
export class Hub {
  readonly core: Core;
  readonly transport: Transport;
  readonly flusher: Flusher;
  readonly connections = new Map<string, ClientConnection>();
  readonly sendLayers = new UndoList<SendLayer>(() => (this.#layers = this.#fold()));
  /** Plugins that take over messages to topics. */
  readonly publishers = new UndoList<Publisher>();
  readonly topics: TopicTable;
  readonly cluster: Cluster;
  readonly #heartbeat: Heartbeat | undefined;
  #layers = this.#fold();
  #whenEmpty: (() => void) | undefined;

  constructor(core: Core) {
    const { heartbeat, outbox } = core.settings;
    this.core = core;
    this.flusher = new Flusher(outbox);
    this.transport = new Transport(core.settings);
    this.cluster = new Cluster(core, (...packet) => this.#receive(...packet));
    const { maxTopics } = core.settings;
    this.topics = new TopicTable(
      maxTopics,
      (topic) => {
        this.cluster.subscribe(topic);
        if (core.hooks.has('topic:opened')) core.hooks.emit('topic:opened', { topic });
      },
      (topic) => {
        this.cluster.unsubscribe(topic);
        if (core.hooks.has('topic:closed')) core.hooks.emit('topic:closed', { topic });
      },
    );
    this.#heartbeat = heartbeat ? new Heartbeat(heartbeat.interval, heartbeat.timeout) : undefined;
  }

  get id(): string { return this.core.id; }

  get isAlone(): boolean { return this.cluster.isAlone; }

  inventory(): Labelled[] {
    const { channels, lease } = this.cluster;
    return [...this.topics.inventory(), ...channels.inventory(), ...(lease?.parts.inventory() ?? [])];
  }

  // Connections

  admit(connection: ClientConnection, user: User | undefined): void {
    this.connections.set(connection.id, connection);
    this.core.statistics.opened();
    this.#heartbeat?.add(connection);
    if (user) this.identify(connection, user, APPLICATION);
    if (this.core.log.isVerbose) {
      this.core.log.child('connection').debug('added', { connection: connection.id, ip: connection.ip });
    }
    this.core.hooks.emit('connection:added', connection);
    connection.admit();
  }

  remove(connection: ClientConnection, code: number, reason: string): void {
    if (!this.connections.has(connection.id)) return;
    this.topics.remove(connection);
    this.connections.delete(connection.id);
    this.#heartbeat?.remove(connection);
    this.core.statistics.active--;
    if (this.core.log.isVerbose) {
      this.core.log.child('connection').debug('removed', { connection: connection.id, code, reason });
    }
    this.core.hooks.emit('connection:removed', connection, { code, reason });
    if (this.connections.size === 0) this.#whenEmpty?.();
  }

  /** Starts to receive from other nodes. @throws ADAPTER_FAILED */
  open(): Promise<void> { return this.cluster.start(() => this.topics.names()); }

  /** Connects a running node to others. @throws DUPLICATE, ADAPTER_FAILED */
  async useAdapter(adapter: Adapter): Promise<void> {
    await this.cluster.use(adapter, () => this.topics.names());
    if (adapter.check) this.core.statistics.healthChecks.add('adapter', () => adapter.check!(), 'the kernel');
  }

  close(): Promise<void> {
    this.#heartbeat?.stop();
    return this.cluster.stop();
  }

  /** Resolves when no connection is left. */
  async whenEmpty(): Promise<void> {
    if (this.connections.size > 0) await new Promise<void>((resolve) => (this.#whenEmpty = resolve));
  }

  /** @throws CONNECTION_UNKNOWN */
  connection(id: string): ClientConnection {
    const found = this.connections.get(id);
    if (!found) throw new ModuleError('CONNECTION_UNKNOWN', { connection: id });
    return found;
  }

  /** @param owner its release() undoes it */
  identify({ id }: { readonly id: string }, user: User, owner: string): void {
    const connection = this.connection(id);
    const known = toUser(user);
    if (connection.user && connection.user.id !== known.id) throw new ModuleError('USER_MISMATCH');
    connection.user = known;
    if (owner !== APPLICATION || connection.claims) claimsOf(connection).user = owner;
    this.topics.subscribe(connection, userTopic(known.id), KERNEL);
    this.core.hooks.emit('connection:identified', connection);
  }

  /** Withholds messages to topics from a connection, as long as at least one owner wants it. */
  hold({ id }: { readonly id: string }, isHeld: boolean, owner: string): void {
    const connection = this.connection(id);
    const heldBy = (claimsOf(connection).heldBy ??= new Set());
    if (isHeld) heldBy.add(owner);
    else heldBy.delete(owner);
    connection.isHeld = heldBy.size > 0;
  }

  resume({ id }: { readonly id: string }, sessionId: string, owner: string): void {
    const connection = this.connection(id);
    connection.sessionId = sessionId;
    claimsOf(connection).session = owner;
  }

  subscribe({ id }: { readonly id: string }, topic: string, owner: string): void {
    this.topics.subscribe(this.connection(id), topic, owner);
  }

  unsubscribe({ id }: { readonly id: string }, topic: string, owner: string): void {
    const connection = this.connections.get(id);
    if (connection) this.topics.unsubscribe(connection, topic, owner);
  }

  /** Undoes all subscriptions, holds, identifications and resumptions of an owner. */
  release(owner: string): void {
    this.topics.release(owner);
    for (const connection of this.connections.values()) {
      const { claims } = connection;
      if (!claims) continue;
      if (claims.heldBy?.delete(owner)) connection.isHeld = claims.heldBy.size > 0;
      if (claims.session === owner) connection.forgetSession();
      if (claims.user === owner) this.#forgetUser(connection);
    }
  }

  #forgetUser(connection: ClientConnection): void {
    this.topics.unsubscribe(connection, userTopic(connection.user!.id), KERNEL);
    connection.user = undefined;
    delete connection.claims!.user;
    this.core.hooks.emit('connection:identified', connection);
  }

  subscribers(topic: string): ReadonlySet<ClientConnection> {
    return topic === EVERYONE ? new Set(this.connections.values()) : this.topics.subscribers(topic);
  }

  async drained(target = EVERYONE): Promise<void> {
    const one = this.connections.get(target);
    await Promise.all([...(one ? [one] : this.subscribers(target))].map((connection) => connection.whenIdle()));
  }

  // Messages

  /**
   * Sends to one connection of this node. Returns `false` if the message is not queued.
   * @param replyTo the id of the message to which this is the reply; empty if that message has no id
   * @throws UNSENDABLE_MESSAGE, SEND_LAYER_DROPPED
   */
  transmit(connection: ClientConnection, message: Outgoing | Binary, replyTo?: string): boolean {
    if (!connection.isOpen) {
      this.dropped(connection, 'CONNECTION_CLOSED', 1);
      return false;
    }
    const { hooks } = this.core;
    const target = { connection };
    const whole = isBinary(message) ? message : this.#layer(complete(message, false, replyTo), target);
    const frame = this.transport.prepare(whole, connection.codec, connection.deflates);
    const queued = this.#push(connection, frame, replyTo !== undefined);
    if (queued && hooks.has('message:sent') && !isBinary(whole)) hooks.emit('message:sent', { message: whole, target });
    return queued;
  }

  send(connectionId: string, message: Outgoing): boolean {
    const connection = this.connections.get(connectionId);
    if (connection) return connection.send(message);
    if (this.cluster.isElsewhere(connectionId)) {
      return this.core.guard(() => this.cluster.send(connectionId, complete(message, false)), false);
    }
    this.dropped(undefined, 'CONNECTION_UNKNOWN', 1);
    return false;
  }

  publish(topic: string, message: Outgoing, options: PublishOptions = {}): number {
    const { except, local } = options;
    if (this.publishers.size > 0 && !local) {
      for (const take of this.publishers) if (take(topic, message, options)) return 0;
    }
    const excluded = typeof except === 'string' ? [except] : except;
    return this.core.guard(() => {
      const whole = this.#layer(complete(message, true), { topic });
      const count = this.#fanOut(topic, whole, excluded);
      if (!local) this.cluster.publish(topic, whole, excluded);
      return count;
    }, 0);
  }

  deliver(
    topic: string,
    message: Outgoing,
    position: { readonly epoch?: string | undefined; readonly offset?: number | undefined } = {},
  ): number {
    return this.core.guard(
      () => this.#fanOut(topic, this.#layer({ ...complete(message, true), ...position }, { topic })),
      0,
    );
  }

  /** Completes a message to a topic, and runs the send layers. @throws UNSENDABLE_MESSAGE, SEND_LAYER_DROPPED */
  prepare(topic: string, message: Outgoing): Outgoing { return this.#layer(complete(message, true), { topic }); }

  deliverPrepared(topic: string, message: Outgoing, { except, to }: DeliverOptions = {}): number {
    return this.core.guard(() => {
      if (to === undefined) return this.#fanOut(topic, message, except);
      const connection = this.connections.get(to.id);
      if (!connection?.isOpen || connection.isHeld) return 0;
      const frame = this.transport.prepare(message, connection.codec, connection.deflates);
      return Number(this.#push(connection, frame, false));
    }, 0);
  }

  dropped(connection: ClientConnection | undefined, code: string, count: number): void {
    this.core.statistics.dropped += count;
    for (let each = 0; each < count && this.core.hooks.has('message:dropped'); each++) {
      this.core.hooks.emit('message:dropped', { connection, code });
    }
  }

  /** Delivers a packet of another node to the subscribers of its topic, or to the connection in `to`. */
  #receive(topic: string, { message, except, to }: MessageBody): void {
    if (to === undefined) this.#fanOut(topic, message, except);
    else this.connections.get(to)?.send(message);
  }

  #fold(): Send {
    return composeSend([...this.sendLayers], (error) => this.core.report(toError(error), { phase: 'send' }));
  }

  #layer(message: Outgoing, target: Target): Outgoing {
    try {
      return this.#layers(message, target);
    } catch (cause) {
      throw new ModuleError('SEND_LAYER_DROPPED', { type: message.type, reason: toError(cause).message }, { cause });
    }
  }

  #fanOut(topic: string, message: Outgoing, except?: readonly string[]): number {
    const recipients = topic === EVERYONE ? this.connections.values() : this.topics.subscribers(topic);
    if (recipients === NONE) return 0;
    const excluded = except && new Set(except);
    let count = 0;
    // Nearly always all connections have the same codec and compression, so they share the first frame.
    let codec: Codec | undefined;
    let deflates = false;
    let frame: Frame | undefined;
    let others: Map<Codec, [plain?: Frame, deflated?: Frame]> | undefined;
    for (const connection of recipients) {
      if (!connection.isOpen || connection.isHeld || excluded?.has(connection.id)) continue;
      if (frame === undefined || connection.codec !== codec || connection.deflates !== deflates) {
        ({ codec, deflates } = connection);
        others ??= new Map();
        let made = others.get(codec);
        if (!made) others.set(codec, (made = []));
        frame = made[deflates ? 1 : 0] ??= this.transport.prepare(message, codec, deflates);
      }
      if (this.#push(connection, frame, false)) count++;
    }
    if (this.core.hooks.has('message:sent')) this.core.hooks.emit('message:sent', { message, target: { topic } });
    return count;
  }

  #push(connection: ClientConnection, frame: Frame, isReply: boolean): boolean {
    if (!connection.outbox.push(frame, isReply)) return false;
    this.core.statistics.sent++;
    this.core.statistics.bytesSent += frame.length;
    return true;
  }
}

const claimsOf = (connection: ClientConnection): Claims => (connection.claims ??= {});

/** Adds id and timestamp, and removes the fields that must not be sent on. */
function complete(message: Outgoing, isPublished: boolean, replyTo?: string): Outgoing {
  const hasOwnForm = isRecord(message) && typeof message.toJSON === 'function';
  const given: unknown = hasOwnForm ? (message.toJSON as () => unknown)() : message;
  if (!isRecord(given) || typeof given.type !== 'string' || isBlob(given)) throw unsendable(given);
  const whole: Record<string, unknown> & { type: string } = { id: undefined, ...given, type: given.type };
  stripEnvelope(whole, isPublished);
  const now = Date.now();
  // Clients and other nodes accept only strings.
  whole.id ??= newId(now);
  if (typeof whole.id !== 'string') whole.id = String(whole.id);
  whole.timestamp ??= timestamp(now);
  if (replyTo) whole.replyTo = replyTo;
  return whole;
}

/** Whether it is a Blob, a File or a Response. These have a "type", too, but their bytes are read asynchronously. */
const isBlob = (given: Readonly<Record<string, unknown>>): boolean => typeof given.arrayBuffer === 'function';

const BLOB_BYTES = 'connection.send(await blob.arrayBuffer())';

function unsendable(given: unknown): ModuleError {
  let reason = 'it must be an object with a string "type"';
  if (isBinary(given)) reason = 'bytes are sent to one connection, by connection.send(bytes)';
  else if (isRecord(given) && isBlob(given)) reason = `it is a Blob; send its bytes: ${BLOB_BYTES}`;
  return new ModuleError('UNSENDABLE_MESSAGE', { reason });
}
