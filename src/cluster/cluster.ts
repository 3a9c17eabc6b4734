import { EVERYONE, type Adapter } from '../contracts.ts';
import { ModuleError, toError } from '../errors.ts';
import type { Outgoing } from '../protocol.ts';
import { check } from '../runtime/check.ts';
import type { Core } from '../runtime/core.ts';
import { newNodeId, nodeOf } from '../runtime/ids.ts';
import { ADAPTER } from '../runtime/options.ts';
import { Channels } from './channels.ts';
import { LeaseKeeper } from './lease-keeper.ts';
import { decodePacket, encodePacket, type Body, type MessageBody } from './packet.ts';
import { Peers } from './peers.ts';
import { Sequences } from './sequences.ts';

/** The topic of a node, for packets to this node alone. */
const nodeTopic = (nodeId: string): string => `node:${nodeId}`;

/**
 * Cluster sends to other nodes and receives from them, through the adapter. If the adapter fails, an `error` event is
 * emitted; the clients of this node are still served.
 */
export class Cluster {
  readonly peers: Peers;
  readonly channels: Channels;
  /** `undefined` if the adapter has no store. */
  readonly lease: LeaseKeeper | undefined;
  readonly #core: Core;
  #adapter: Adapter | undefined;
  #joining: Promise<void> | undefined;
  #isStopped = false;
  readonly #receive: (topic: string, body: MessageBody) => void;
  readonly #run = newNodeId();
  readonly #sequences = new Sequences();
  /** The topics of this node. Each has the promise of its subscription, until that resolves. */
  readonly #topics = new Map<string, Promise<void> | undefined>();

  /** @param receive delivers a message to the subscribers of a topic, or to the connection in `to` */
  constructor(core: Core, receive: (topic: string, body: MessageBody) => void) {
    this.#core = core;
    this.#adapter = core.settings.adapter;
    this.#receive = receive;
    if (this.#adapter?.store) {
      this.lease = new LeaseKeeper(core, this.#adapter.store, {
        generations: () => this.peers.generations, entered: () => this.peers.announce(),
      });
    }
    this.peers = new Peers({
      id: core.id,
      run: this.#run,
      announce: (peer, to) => {
        this.#forward(to === undefined ? EVERYONE : nodeTopic(to), { peer, generation: this.lease?.entered });
      },
      entered: (generation) => this.lease?.heard(generation),
      joined: (node) => core.hooks.emit('node:joined', { node }),
      left: (node) => {
        this.#sequences.forgetPeer(node);
        this.channels.forget(node);
        core.hooks.emit('node:left', { node });
      },
      idTaken: () => core.report(new ModuleError('NODE_ID_TAKEN', { node: core.id }), { phase: 'adapter' }),
    });
    this.channels = new Channels(core, {
      peers: () => this.peers.ids,
      forward: (body, { node, topic = EVERYONE }) => this.#forward(node === undefined ? topic : nodeTopic(node), body),
    });
  }

  /** Whether there is no adapter. */
  get isAlone(): boolean { return this.#adapter === undefined; }

  /**
   * Starts the adapter of the options.
   * @param topics those with subscribers on this node
   * @throws ADAPTER_FAILED
   */
  async start(topics: () => Iterable<string>): Promise<void> {
    if (!this.#adapter) return;
    await this.#join(this.#adapter, topics);
    // The lease first: a node whose id is taken does not announce itself.
    await this.lease?.start();
    this.peers.start();
  }

  /**
   * Connects a running node to others. After a failure, it is alone as before.
   * @param topics those with subscribers on this node
   * @throws OPTION_INVALID, MANAGER_STOPPED, DUPLICATE if it has an adapter, ADAPTER_FAILED
   */
  async use(adapter: Adapter, topics: () => Iterable<string>): Promise<void> {
    check({ adapter }, { adapter: ADAPTER }, 'useAdapter');
    if (this.#isStopped) throw new ModuleError('MANAGER_STOPPED');
    const present = this.#adapter?.name ?? (this.#joining && 'that is being started');
    if (present !== undefined) {
      throw new ModuleError('DUPLICATE', { kind: 'adapter', name: present, owner: 'the manager' });
    }
    const joining = this.#join(adapter, topics);
    this.#joining = joining;
    try {
      await joining;
      this.peers.start();
    } catch (error) {
      this.#adapter = undefined;
      this.#topics.clear();
      await this.#attempt(adapter, 'stop', () => adapter.stop()).catch((cause: unknown) => {
        this.#core.report(toError(cause), { phase: 'adapter' });
      });
      throw error;
    } finally {
      this.#joining = undefined;
    }
  }

  #join(adapter: Adapter, topics: () => Iterable<string>): Promise<void> {
    return this.#attempt(adapter, 'start', async () => {
      await adapter.start({
        id: this.#core.id,
        receive: (topic, bytes) => this.#read(topic, bytes),
        interrupted: (reason) => this.#core.hooks.emit('adapter:interrupted', { reason }),
        healthChanged: () => this.#core.statistics.healthChecks.refresh('adapter'),
      });
      this.#adapter = adapter;
      const all = [EVERYONE, nodeTopic(this.#core.id), ...topics()];
      for (const topic of all) this.#topics.set(topic, undefined);
      await Promise.all(all.map(async (topic) => adapter.subscribe(topic)));
      // The check ran before the adapter had started.
      this.#core.statistics.healthChecks.refresh('adapter');
    });
  }

  async stop(): Promise<void> {
    this.#isStopped = true;
    // A failure to join is reported to the caller of use().
    await this.#joining?.catch(() => undefined);
    this.peers.stop();
    const adapter = this.#adapter;
    if (adapter) await this.#attempt(adapter, 'stop', () => adapter.stop());
  }

  async #attempt(adapter: Adapter, action: string, act: () => Promise<void>): Promise<void> {
    try {
      await act();
    } catch (cause) {
      throw this.#error(adapter, action, cause);
    }
  }

  subscribe(topic: string): void {
    if (!this.#adapter) return;
    const subscription = this.#guard('subscribe', (adapter) => adapter.subscribe(topic));
    this.#topics.set(topic, subscription);
    // The topic may have been unsubscribed and subscribed again meanwhile.
    const settle = (): void => { if (this.#topics.get(topic) === subscription) this.#topics.set(topic, undefined); };
    subscription?.then(settle, settle);
  }

  unsubscribe(topic: string): void {
    // The node itself needs these two topics.
    if (!this.#adapter || topic === EVERYONE || topic === nodeTopic(this.#core.id)) return;
    this.#topics.delete(topic);
    this.#sequences.forgetTopic(topic);
    void this.#guard('unsubscribe', (adapter) => adapter.unsubscribe(topic));
  }

  /** Resolves when packets to a topic reach this node. Returns undefined if they already do. */
  whenSubscribed(topic: string): Promise<void> | undefined { return this.#topics.get(topic); }

  publish(topic: string, message: Outgoing, except?: readonly string[]): void {
    if (this.#adapter) this.#forward(topic, { message, except });
  }

  /** Whether a connection belongs to another running node. */
  isElsewhere(connectionId: string): boolean {
    return this.#adapter !== undefined && this.peers.has(nodeOf(connectionId));
  }

  send(connectionId: string, message: Outgoing): true {
    this.#forward(nodeTopic(nodeOf(connectionId)), { message, to: connectionId });
    return true;
  }

  #forward(topic: string, body: Body): void {
    void this.#guard('publish', (adapter) => {
      const envelope = { from: this.#core.id, run: this.#run, ...this.#sequences.next(topic) };
      return adapter.publish(topic, encodePacket(envelope, body));
    });
  }

  /** Runs an action of the adapter. A failure is reported, and rejects the promise. */
  #guard(action: string, act: (adapter: Adapter) => void | Promise<void>): Promise<void> | undefined {
    const adapter = this.#adapter;
    if (!adapter) return undefined;
    const fail = (cause: unknown): ModuleError => {
      const error = this.#error(adapter, action, cause);
      this.#core.report(error, { phase: 'adapter' });
      return error;
    };
    try {
      const done = act(adapter);
      if (!(done instanceof Promise)) return undefined;
      const guarded = done.catch((cause: unknown) => { throw fail(cause); });
      // The failure is reported already, so a caller need not handle the rejection.
      guarded.catch(() => undefined);
      return guarded;
    } catch (error) {
      fail(error);
      return undefined;
    }
  }

  #read(topic: string, bytes: Uint8Array): void {
    // A node that stood still learns here that its lease is lost, before it delivers anything.
    this.lease?.holds();
    void this.#guard('deliver a valid packet', () => {
      const packet = decodePacket(bytes);
      if ('peer' in packet) this.peers.receive(packet.from, packet.run, packet);
      if (packet.from === this.#core.id) return;
      // Only for subscribed topics: forged packets must not fill the memory.
      if (this.#topics.has(topic) && !this.#isNew(topic, packet)) return;
      this.peers.markAlive(packet.from);
      if ('message' in packet) this.#receive(topic, packet);
      else if ('channel' in packet) this.channels.receive(packet.from, packet);
      else if ('answer' in packet) this.channels.settle(packet.from, packet);
    });
  }

  /** Returns false for a repeated packet. If packets before it are missing, emits `node:gap`. */
  #isNew(topic: string, packet: Parameters<Sequences['record']>[1]): boolean {
    const order = this.#sequences.record(topic, packet, this.peers.has(packet.from));
    if (order === 'after a gap') this.#core.hooks.emit('node:gap', { node: packet.from, topic });
    return order !== 'repeated';
  }

  #error({ name: adapter }: Adapter, action: string, cause: unknown): ModuleError {
    return new ModuleError('ADAPTER_FAILED', { adapter, action }, { cause });
  }
}
