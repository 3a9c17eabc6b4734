import { EVERYONE, type Adapter } from '../contracts.ts';
import { ModuleError } from '../errors.ts';
import type { Outgoing } from '../protocol.ts';
import type { Core } from '../runtime/core.ts';
import { newNodeId, nodeOf } from '../runtime/ids.ts';
import { Channels } from './channels.ts';
import { decodePacket, encodePacket, type Body, type MessageBody } from './packet.ts';
import { Peers } from './peers.ts';
import { Sequences } from './sequences.ts';

/** The topic of a node, for what is meant for it alone. */
const nodeTopic = (nodeId: string): string => `node:${nodeId}`;

/**
 * Cluster sends to other nodes and receives from them, through the adapter. A failing adapter causes an `error` event;
 * local delivery goes on.
 */
export class Cluster {
  readonly peers: Peers;
  readonly channels: Channels;
  readonly #core: Core;
  readonly #adapter: Adapter | undefined;
  readonly #receive: (topic: string, body: MessageBody) => void;
  readonly #run = newNodeId();
  readonly #sequences = new Sequences();
  /** The topics of this node, each with the promise of its subscription until that stands. */
  readonly #topics = new Map<string, Promise<void> | undefined>();
  #gaps = 0;

  /** @param receive delivers a message to the subscribers of a topic, or to the connection that it names */
  constructor(core: Core, receive: (topic: string, body: MessageBody) => void) {
    this.#core = core;
    this.#adapter = core.settings.adapter;
    this.#receive = receive;
    this.peers = new Peers({
      id: core.id,
      run: this.#run,
      say: (peer, to) => this.#forward(to === undefined ? EVERYONE : nodeTopic(to), { peer }),
      joined: (node) => core.hooks.emit('node:joined', { node }),
      left: (node) => {
        this.#sequences.forgetNode(node);
        this.channels.forget(node);
        core.hooks.emit('node:left', { node });
      },
      doubled: () => core.report(new ModuleError('NODE_ID_TAKEN', { node: core.id }), { phase: 'adapter' }),
    });
    this.channels = new Channels(core, {
      peers: () => this.peers.ids,
      forward: (body, node) => this.#forward(node === undefined ? EVERYONE : nodeTopic(node), body),
    });
  }

  /** Packets of other nodes that were lost on their way, as far as it is known. */
  get gaps(): number { return this.#gaps; }

  /** @param topics those with subscribers on this node */
  start(topics: Iterable<string>): Promise<void> {
    return this.#must('start', async (adapter) => {
      await adapter.start({
        id: this.#core.id,
        receive: (topic, bytes) => this.#read(topic, bytes),
        healthChanged: () => this.#core.statistics.board.refresh('adapter'),
      });
      const all = [EVERYONE, nodeTopic(this.#core.id), ...topics];
      for (const topic of all) this.#topics.set(topic, undefined);
      await Promise.all(all.map(async (topic) => adapter.subscribe(topic)));
      this.peers.start();
      // It was asked before it had started.
      this.#core.statistics.board.refresh('adapter');
    });
  }

  stop(): Promise<void> {
    this.peers.stop();
    return this.#must('stop', (adapter) => adapter.stop());
  }

  async #must(action: string, act: (adapter: Adapter) => Promise<void>): Promise<void> {
    try {
      if (this.#adapter) await act(this.#adapter);
    } catch (cause) {
      throw this.#error(action, cause);
    }
  }

  subscribe(topic: string): void {
    if (!this.#adapter) return;
    const standing = this.#tell('subscribe', (adapter) => adapter.subscribe(topic));
    this.#topics.set(topic, standing);
    // It may have ended and begun again meanwhile.
    const settle = (): void => { if (this.#topics.get(topic) === standing) this.#topics.set(topic, undefined); };
    standing?.then(settle, settle);
  }

  unsubscribe(topic: string): void {
    // The node itself needs these two.
    if (!this.#adapter || topic === EVERYONE || topic === nodeTopic(this.#core.id)) return;
    this.#topics.delete(topic);
    this.#sequences.forgetTopic(topic);
    void this.#tell('unsubscribe', (adapter) => adapter.unsubscribe(topic));
  }

  /** Resolves when everything that is published to a topic reaches this node; nothing, where it already does. */
  whenSubscribed(topic: string): Promise<void> | undefined { return this.#topics.get(topic); }

  publish(topic: string, message: Outgoing, except?: readonly string[]): void {
    if (this.#adapter) this.#forward(topic, { message, except });
  }

  /** Whether another living node holds a connection. */
  isElsewhere(connectionId: string): boolean {
    return this.#adapter !== undefined && this.peers.has(nodeOf(connectionId));
  }

  send(connectionId: string, message: Outgoing): true {
    this.#forward(nodeTopic(nodeOf(connectionId)), { message, to: connectionId });
    return true;
  }

  #forward(topic: string, body: Body): void {
    void this.#tell('publish', (adapter) => {
      const envelope = { from: this.#core.id, run: this.#run, ...this.#sequences.next(topic) };
      return adapter.publish(topic, encodePacket(envelope, body));
    });
  }

  /** Does something with the adapter. A failure is reported, and rejects the promise. */
  #tell(action: string, act: (adapter: Adapter) => void | Promise<void>): Promise<void> | undefined {
    if (!this.#adapter) return undefined;
    const fail = (cause: unknown): ModuleError => {
      const error = this.#error(action, cause);
      this.#core.report(error, { phase: 'adapter' });
      return error;
    };
    try {
      const done = act(this.#adapter);
      if (!(done instanceof Promise)) return undefined;
      const told = done.catch((cause: unknown) => { throw fail(cause); });
      // The failure has been reported, so a caller that does not await the promise misses nothing.
      told.catch(() => undefined);
      return told;
    } catch (error) {
      fail(error);
      return undefined;
    }
  }

  #read(topic: string, bytes: Uint8Array): void {
    void this.#tell('give a packet that can be read', () => {
      const packet = decodePacket(bytes);
      if ('peer' in packet) this.peers.receive(packet.from, packet.run, packet.peer);
      if (packet.from === this.#core.id) return;
      // Only topics that are subscribed and nodes that are known: forged packets leave nothing behind.
      if (this.#topics.has(topic) && this.peers.has(packet.from) && !this.#isNew(topic, packet)) return;
      this.peers.heard(packet.from);
      if ('message' in packet) this.#receive(topic, packet);
      else if ('channel' in packet) this.channels.receive(packet.from, packet);
      else if ('answer' in packet) this.channels.settle(packet.from, packet);
    });
  }

  /** Whether a packet comes for the first time and in order. Missing ones are reported. */
  #isNew(topic: string, packet: Parameters<Sequences['note']>[1]): boolean {
    const place = this.#sequences.note(topic, packet);
    if (place === 'after a gap') {
      this.#gaps++;
      this.#core.hooks.emit('node:gap', { node: packet.from, topic });
    }
    return place !== 'repeated';
  }

  #error(action: string, cause: unknown): ModuleError {
    return new ModuleError('ADAPTER_FAILED', { adapter: this.#adapter!.name, action }, { cause });
  }
}
