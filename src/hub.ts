import { EVERYONE, type Adapter, type ErrorContext, type PublishOptions, type SendLayer, type Target } from './contracts.ts';
import { composeSend } from './compose.ts';
import type { ClientConnection } from './connection.ts';
import { ModuleError, toError } from './errors.ts';
import type { HookBus } from './hooks.ts';
import { newId, nodeOf, timestamp } from './ids.ts';
import { isRecord, type Codec, type Outgoing } from './protocol.ts';
import type { Settings } from './options.ts';
import type { Statistics } from './statistics.ts';
import type { Transport } from './transport.ts';

const nodeTopic = (nodeId: string): string => `node:${nodeId}`;

const NOBODY: ReadonlySet<ClientConnection> = new Set();

/** What travels between nodes. */
interface Packet {
  readonly from: string;
  readonly message: Outgoing;
  readonly except?: readonly string[];
  /** The connection it is for, when it is for one. */
  readonly to?: string;
}

/** What a hub needs of its kernel. */
export interface HubParts {
  readonly id: string;
  readonly settings: Settings;
  readonly transport: Transport;
  readonly statistics: Statistics;
  readonly hooks: HookBus;
  report(error: Error, context: ErrorContext): void;
}

/** Topics: who is subscribed on this node; encodes once, delivers, and hands to the adapter. */
export class Hub {
  readonly connections = new Map<string, ClientConnection>();
  readonly #topics = new Map<string, Set<ClientConnection>>();
  readonly #parts: HubParts;
  #layers = composeSend([]);

  constructor(parts: HubParts) {
    this.#parts = parts;
  }

  get topicCount(): number { return this.#topics.size; }

  setLayers(layers: readonly SendLayer[]): void { this.#layers = composeSend(layers); }

  async start(): Promise<void> {
    const { adapter } = this.#parts.settings;
    if (!adapter) return;
    try {
      await adapter.start({ id: this.#parts.id, receive: (topic, packet) => this.#receive(topic, packet) });
      for (const topic of [EVERYONE, nodeTopic(this.#parts.id), ...this.#topics.keys()]) await adapter.subscribe(topic);
    } catch (cause) {
      throw new ModuleError('ADAPTER_FAILED', { adapter: adapter.name, action: 'start' }, { cause });
    }
  }

  async stop(): Promise<void> { await this.#parts.settings.adapter?.stop(); }

  // Who

  subscribe(connection: ClientConnection, topic: string): void {
    if (!this.connections.has(connection.id)) throw new ModuleError('CONNECTION_UNKNOWN', { connection: connection.id });
    let subscribers = this.#topics.get(topic);
    if (!subscribers) {
      this.#topics.set(topic, (subscribers = new Set()));
      this.#tell('subscribe', (adapter) => adapter.subscribe(topic));
    }
    subscribers.add(connection);
    (connection.topics ??= new Set()).add(topic);
  }

  unsubscribe(connection: ClientConnection, topic: string): void {
    const subscribers = this.#topics.get(topic);
    connection.topics?.delete(topic);
    if (!subscribers?.delete(connection) || subscribers.size > 0) return;
    this.#topics.delete(topic);
    this.#tell('unsubscribe', (adapter) => adapter.unsubscribe(topic));
  }

  remove(connection: ClientConnection): void {
    for (const topic of connection.topics ?? []) this.unsubscribe(connection, topic);
    this.connections.delete(connection.id);
  }

  subscribers(topic: string): ReadonlySet<ClientConnection> {
    return topic === EVERYONE ? new Set(this.connections.values()) : (this.#topics.get(topic) ?? NOBODY);
  }

  // What

  /**
   * Sends to one connection of this node. `false`: it is not queued.
   * @param replyTo the id of the message this answers; empty for an answer to one without id
   * @throws MESSAGE_INVALID, and whatever a send layer throws
   */
  send(connection: ClientConnection, message: Outgoing | Uint8Array, replyTo?: string): boolean {
    if (!connection.isOpen) {
      this.dropped(connection, 'CONNECTION_CLOSED', 1);
      return false;
    }
    const target = { connection };
    const whole = message instanceof Uint8Array ? message : this.#layer(complete(message, replyTo), target);
    const queued = this.#push(connection, this.#parts.transport.prepare(whole, connection.codec, connection.deflates), replyTo !== undefined);
    if (queued && !(whole instanceof Uint8Array) && this.#parts.hooks.has('message:sent')) this.#parts.hooks.emit('message:sent', { message: whole, target });
    return queued;
  }

  /** Sends to a connection on whichever node holds it. `false`: it is not queued. */
  sendTo(connectionId: string, message: Outgoing): boolean {
    const connection = this.connections.get(connectionId);
    if (connection) return connection.send(message);
    const node = nodeOf(connectionId);
    if (this.#parts.settings.adapter && node !== '' && node !== this.#parts.id) return this.#forward(nodeTopic(node), { from: this.#parts.id, message: complete(message), to: connectionId });
    this.dropped(undefined, 'CONNECTION_UNKNOWN', 1);
    return false;
  }

  /** Sends to a topic's subscribers on every node. Returns how many are on this one. @throws as send() does */
  publish(topic: string, message: Outgoing, { except }: PublishOptions = {}): number {
    const excluded = except === undefined ? undefined : typeof except === 'string' ? [except] : except;
    const whole = this.#layer(complete(message), { topic });
    const count = this.#fanOut(topic, whole, excluded);
    if (this.#parts.settings.adapter) this.#forward(topic, { from: this.#parts.id, message: whole, ...(excluded ? { except: excluded } : {}) });
    return count;
  }

  /** Sends to a topic's subscribers on this node only. */
  deliver(topic: string, message: Outgoing, position: { readonly epoch?: string; readonly offset?: number } = {}): number {
    return this.#fanOut(topic, this.#layer(complete({ ...message, ...position }), { topic }));
  }

  dropped(connection: ClientConnection | undefined, code: string, count: number): void {
    this.#parts.statistics.dropped += count;
    for (let each = 0; each < count && this.#parts.hooks.has('message:dropped'); each++) this.#parts.hooks.emit('message:dropped', { connection, code });
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
    let count = 0;
    // Nearly always there is one codec and no compression: the frame made first serves all.
    let codec: Codec | undefined;
    let deflates = false;
    let frame: Buffer | undefined;
    let others: Map<Codec, [plain?: Buffer, deflated?: Buffer]> | undefined;
    for (const connection of recipients) {
      if (!connection.isOpen || except?.includes(connection.id)) continue;
      if (frame === undefined || connection.codec !== codec || connection.deflates !== deflates) {
        ({ codec, deflates } = connection);
        others ??= new Map();
        let made = others.get(codec);
        if (!made) others.set(codec, (made = []));
        frame = made[deflates ? 1 : 0] ??= this.#parts.transport.prepare(message, codec, deflates);
      }
      if (this.#push(connection, frame, false)) count++;
    }
    if (this.#parts.hooks.has('message:sent')) this.#parts.hooks.emit('message:sent', { message, target: { topic } });
    return count;
  }

  #push(connection: ClientConnection, frame: Buffer, own: boolean): boolean {
    if (!connection.outbox.push(frame, own)) return false;
    this.#parts.statistics.sent++;
    this.#parts.statistics.bytesSent += frame.length;
    return true;
  }

  // Other nodes

  #forward(topic: string, packet: Packet): boolean {
    this.#tell('publish', (adapter) => adapter.publish(topic, Buffer.from(JSON.stringify(packet))));
    return true;
  }

  #tell(action: string, act: (adapter: Adapter) => void | Promise<void>): void {
    const { adapter } = this.#parts.settings;
    if (!adapter) return;
    const fail = (cause: unknown): void => this.#parts.report(new ModuleError('ADAPTER_FAILED', { adapter: adapter.name, action }, { cause }), { phase: 'adapter' });
    try {
      const done = act(adapter);
      if (done instanceof Promise) done.catch(fail);
    } catch (error) {
      fail(error);
    }
  }

  // The bus is a trust boundary: what comes over it is checked like any input.
  #receive(topic: string, bytes: Uint8Array): void {
    try {
      const packet = JSON.parse(Buffer.from(bytes).toString()) as Packet;
      if (!isRecord(packet) || !isRecord(packet.message) || typeof packet.message.type !== 'string') throw new TypeError('not a packet');
      if (packet.from === this.#parts.id) return;
      if (packet.to === undefined) this.#fanOut(topic, packet.message, Array.isArray(packet.except) ? packet.except : undefined);
      else this.connections.get(packet.to)?.send(packet.message);
    } catch (cause) {
      this.#parts.report(new ModuleError('ADAPTER_FAILED', { adapter: this.#parts.settings.adapter!.name, action: 'give a packet that can be read' }, { cause }), { phase: 'adapter' });
    }
  }
}

/** The message with what every message has. */
function complete(message: Outgoing, replyTo?: string): Outgoing {
  const given: unknown = isRecord(message) && typeof message.toJSON === 'function' ? (message.toJSON as () => unknown)() : message;
  if (!isRecord(given) || typeof given.type !== 'string') throw new ModuleError('MESSAGE_INVALID', { reason: 'it must be an object with a string "type"' });
  const whole: Record<string, unknown> & { type: string } = { id: undefined, ...given, type: given.type };
  whole.id = given.id ?? newId();
  whole.timestamp = given.timestamp ?? timestamp();
  if (replyTo) whole.replyTo = replyTo;
  return whole;
}
