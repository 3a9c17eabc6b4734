import { Cluster, type Packet } from './cluster.ts';
import { composeSend } from './compose.ts';
import type { ClientConnection } from '../connection/connection.ts';
import { EVERYONE, userTopic, type PublishOptions, type SendLayer, type Target, type User } from '../contracts.ts';
import type { Core } from '../runtime/core.ts';
import { ModuleError, toError } from '../errors.ts';
import { Heartbeat } from '../connection/heartbeat.ts';
import { isConnectionId, newId, timestamp } from '../runtime/ids.ts';
import { Flusher } from '../connection/outbox.ts';
import { isRecord, type Codec, type Outgoing } from '../protocol.ts';
import { UndoList } from '../runtime/scope.ts';
import { Transport, type Frame } from '../connection/transport.ts';

const NOBODY: ReadonlySet<ClientConnection> = new Set();

/** Who is connected, and who is subscribed to which topic on this node; encodes once, and delivers. */
export class Hub {
  readonly core: Core;
  readonly transport: Transport;
  readonly flusher = new Flusher();
  readonly connections = new Map<string, ClientConnection>();
  readonly sendLayers = new UndoList<SendLayer>(() => (this.#layers = composeSend([...this.sendLayers])));
  readonly #topics = new Map<string, Set<ClientConnection>>();
  readonly cluster: Cluster;
  readonly #heartbeat: Heartbeat | undefined;
  #layers = composeSend([]);
  #whenEmpty: (() => void) | undefined;

  constructor(core: Core) {
    const { heartbeat } = core.settings;
    this.core = core;
    this.transport = new Transport(core.settings);
    this.cluster = new Cluster(core, (...packet) => this.#receive(...packet));
    this.#heartbeat = heartbeat ? new Heartbeat(heartbeat.interval, heartbeat.timeout) : undefined;
  }

  get id(): string { return this.core.id; }

  get topicCount(): number { return this.#topics.size; }

  // Who

  admit(connection: ClientConnection, user: User | undefined): void {
    this.connections.set(connection.id, connection);
    this.core.statistics.opened();
    this.#heartbeat?.add(connection);
    if (user) this.identify(connection, user);
    if (this.core.log.isVerbose) this.core.log.child('connection').debug('added', { connection: connection.id, ip: connection.ip });
    this.core.hooks.emit('connection:added', connection);
    connection.admit();
  }

  remove(connection: ClientConnection, code: number, reason: string): void {
    if (!this.connections.has(connection.id)) return;
    for (const topic of connection.topics ?? []) this.unsubscribe(connection, topic);
    this.connections.delete(connection.id);
    this.#heartbeat?.remove(connection);
    this.core.statistics.active--;
    if (this.core.log.isVerbose) this.core.log.child('connection').debug('removed', { connection: connection.id, code, reason });
    this.core.hooks.emit('connection:removed', connection, { code, reason });
    if (this.connections.size === 0) this.#whenEmpty?.();
  }

  /** Takes what comes from other nodes. @throws ADAPTER_FAILED */
  open(): Promise<void> { return this.cluster.start(this.#topics.keys()); }

  close(): Promise<void> {
    this.#heartbeat?.stop();
    return this.cluster.stop();
  }

  /** Resolves when nobody is connected. */
  async empty(): Promise<void> {
    if (this.connections.size > 0) await new Promise<void>((resolve) => (this.#whenEmpty = resolve));
  }

  /** @throws CONNECTION_UNKNOWN */
  connection(id: string): ClientConnection {
    const found = this.connections.get(id);
    if (!found) throw new ModuleError('CONNECTION_UNKNOWN', { connection: id });
    return found;
  }

  identify({ id }: { readonly id: string }, user: User): void {
    const connection = this.connection(id);
    assertUser(user);
    if (connection.user && connection.user.id !== user.id) throw new ModuleError('USER_MISMATCH');
    connection.user = user;
    this.subscribe(connection, userTopic(user.id));
    this.core.hooks.emit('connection:identified', connection);
  }

  hold({ id }: { readonly id: string }, isHeld: boolean): void { this.connection(id).isHeld = isHeld; }

  resume({ id }: { readonly id: string }, sessionId: string): void { this.connection(id).sessionId = sessionId; }

  subscribe({ id }: { readonly id: string }, topic: string): void {
    const connection = this.connection(id);
    let subscribers = this.#topics.get(topic);
    if (!subscribers) {
      this.#topics.set(topic, (subscribers = new Set()));
      this.cluster.subscribe(topic);
    }
    subscribers.add(connection);
    (connection.topics ??= new Set()).add(topic);
  }

  unsubscribe({ id }: { readonly id: string }, topic: string): void {
    const connection = this.connections.get(id);
    const subscribers = this.#topics.get(topic);
    if (!connection || !subscribers?.delete(connection)) return;
    connection.topics?.delete(topic);
    if (subscribers.size > 0) return;
    this.#topics.delete(topic);
    this.cluster.unsubscribe(topic);
  }

  subscribers(topic: string): ReadonlySet<ClientConnection> {
    return topic === EVERYONE ? new Set(this.connections.values()) : (this.#topics.get(topic) ?? NOBODY);
  }

  async drained(target = EVERYONE): Promise<void> {
    const one = this.connections.get(target);
    await Promise.all([...(one ? [one] : this.subscribers(target))].map((connection) => connection.idle()));
  }

  // What

  /**
   * Sends to one connection of this node. `false`: it is not queued.
   * @param replyTo the id of the message this answers; empty for an answer to one without id
   * @throws MESSAGE_INVALID, and whatever a send layer throws
   */
  transmit(connection: ClientConnection, message: Outgoing | Uint8Array, replyTo?: string): boolean {
    if (!connection.isOpen) {
      this.dropped(connection, 'CONNECTION_CLOSED', 1);
      return false;
    }
    const { hooks } = this.core;
    const target = { connection };
    const whole = message instanceof Uint8Array ? message : this.#layer(complete(message, replyTo), target);
    const queued = this.#push(connection, this.transport.prepare(whole, connection.codec, connection.deflates), replyTo !== undefined);
    if (queued && !(whole instanceof Uint8Array) && hooks.has('message:sent')) hooks.emit('message:sent', { message: whole, target });
    return queued;
  }

  send(connectionId: string, message: Outgoing): boolean {
    const connection = this.connections.get(connectionId);
    if (connection) return connection.send(message);
    if (this.cluster.isElsewhere(connectionId)) return this.core.guard(() => this.cluster.send(connectionId, complete(message)), false);
    this.dropped(undefined, 'CONNECTION_UNKNOWN', 1);
    return false;
  }

  publish(topic: string, message: Outgoing, { except }: PublishOptions = {}): number {
    const excluded = typeof except === 'string' ? [except] : except;
    return this.core.guard(() => {
      const whole = this.#layer(complete(message), { topic });
      const count = this.#fanOut(topic, whole, excluded);
      this.cluster.publish(topic, whole, excluded);
      return count;
    }, 0);
  }

  deliver(topic: string, message: Outgoing, position: { readonly epoch?: string; readonly offset?: number } = {}): number {
    return this.core.guard(() => this.#fanOut(topic, this.#layer(complete({ ...message, ...position }), { topic })), 0);
  }

  dropped(connection: ClientConnection | undefined, code: string, count: number): void {
    this.core.statistics.dropped += count;
    for (let each = 0; each < count && this.core.hooks.has('message:dropped'); each++) this.core.hooks.emit('message:dropped', { connection, code });
  }

  /** From another node; a packet that names a connection is for that one alone. */
  #receive(topic: string, { message, except, to }: Packet): void {
    if (to === undefined) this.#fanOut(topic, message, except);
    else this.connections.get(to)?.send(message);
  }

  #layer(message: Outgoing, target: Target): Outgoing {
    try {
      return this.#layers(message, target);
    } catch (cause) {
      throw new ModuleError('SEND_LAYER_DROPPED', { type: message.type, reason: toError(cause).message }, { cause });
    }
  }

  #fanOut(topic: string, message: Outgoing, except?: readonly string[]): number {
    const recipients = topic === EVERYONE ? this.connections.values() : this.#topics.get(topic);
    if (!recipients) return 0;
    const excluded = except && new Set(except);
    let count = 0;
    // Nearly always there is one codec and no compression: the frame made first serves all.
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

  #push(connection: ClientConnection, frame: Frame, own: boolean): boolean {
    if (!connection.outbox.push(frame, own)) return false;
    this.core.statistics.sent++;
    this.core.statistics.bytesSent += frame.length;
    return true;
  }
}

/**
 * Where it is not known who somebody is, the id of his connection stands for him, and others see it: nobody else may call himself so.
 * @throws USER_ID_RESERVED
 */
export function assertUser({ id }: User): void {
  if (isConnectionId(id)) throw new ModuleError('USER_ID_RESERVED');
}

/** The message with what every message has. */
function complete(message: Outgoing, replyTo?: string): Outgoing {
  const given: unknown = isRecord(message) && typeof message.toJSON === 'function' ? (message.toJSON as () => unknown)() : message;
  if (!isRecord(given) || typeof given.type !== 'string') throw new ModuleError('MESSAGE_INVALID', { reason: 'it must be an object with a string "type"' });
  const whole: Record<string, unknown> & { type: string } = { id: undefined, ...given, type: given.type };
  const now = Date.now();
  whole.id = given.id ?? newId(now);
  whole.timestamp = given.timestamp ?? timestamp(now);
  if (replyTo) whole.replyTo = replyTo;
  return whole;
}
