import { EVERYONE, type Adapter } from '../contracts.ts';
import type { Core } from '../runtime/core.ts';
import { ModuleError } from '../errors.ts';
import { nodeOf } from '../runtime/ids.ts';
import { toMessage, type Outgoing } from '../protocol.ts';

/**
 * How deep a message of another node may nest. It may wrap what a client sent, so this exceeds the limit for clients.
 */
const MAX_DEPTH = 1_100;

const nodeTopic = (nodeId: string): string => `node:${nodeId}`;

/** A message on its way between nodes. */
export interface Packet {
  readonly from: string;
  readonly message: Outgoing;
  readonly except?: readonly string[] | undefined;
  /** Its receiver, if it is for one connection. */
  readonly to?: string | undefined;
}

/**
 * Sends to other nodes, and receives from them, through the adapter. A failing adapter causes an `error` event; local
 * delivery goes on.
 */
export class Cluster {
  readonly #core: Core;
  readonly #adapter: Adapter | undefined;
  readonly #receive: (topic: string, packet: Packet) => void;

  constructor(core: Core, receive: (topic: string, packet: Packet) => void) {
    this.#core = core;
    this.#adapter = core.settings.adapter;
    this.#receive = receive;
  }

  /** @param topics those with subscribers on this node */
  start(topics: Iterable<string>): Promise<void> {
    return this.#must('start', async (adapter) => {
      await adapter.start({ id: this.#core.id, receive: (topic, bytes) => this.#read(topic, bytes) });
      for (const topic of [EVERYONE, nodeTopic(this.#core.id), ...topics]) await adapter.subscribe(topic);
    });
  }

  stop(): Promise<void> { return this.#must('stop', (adapter) => adapter.stop()); }

  async #must(action: string, act: (adapter: Adapter) => Promise<void>): Promise<void> {
    try {
      if (this.#adapter) await act(this.#adapter);
    } catch (cause) {
      throw this.#error(action, cause);
    }
  }

  subscribe(topic: string): void { this.#tell('subscribe', (adapter) => adapter.subscribe(topic)); }

  unsubscribe(topic: string): void {
    // The node itself needs these two.
    if (topic !== EVERYONE && topic !== nodeTopic(this.#core.id)) {
      this.#tell('unsubscribe', (adapter) => adapter.unsubscribe(topic));
    }
  }

  publish(topic: string, message: Outgoing, except?: readonly string[]): void {
    if (this.#adapter) this.#forward(topic, { from: this.#core.id, message, except });
  }

  /** Whether another node holds a connection. */
  isElsewhere(connectionId: string): boolean {
    return this.#adapter !== undefined && !['', this.#core.id].includes(nodeOf(connectionId));
  }

  send(connectionId: string, message: Outgoing): true {
    this.#forward(nodeTopic(nodeOf(connectionId)), { from: this.#core.id, message, to: connectionId });
    return true;
  }

  #forward(topic: string, packet: Packet): void {
    this.#tell('publish', (adapter) => adapter.publish(topic, Buffer.from(JSON.stringify(packet))));
  }

  #tell(action: string, act: (adapter: Adapter) => void | Promise<void>): void {
    if (!this.#adapter) return;
    const fail = (cause: unknown): void => this.#core.report(this.#error(action, cause), { phase: 'adapter' });
    try {
      const done = act(this.#adapter);
      if (done instanceof Promise) done.catch(fail);
    } catch (error) {
      fail(error);
    }
  }

  // The bus is a trust boundary: packets are checked like any input.
  #read(topic: string, bytes: Uint8Array): void {
    this.#tell('give a packet that can be read', () => {
      const packet = JSON.parse(Buffer.from(bytes).toString()) as Packet;
      toMessage(packet.message, MAX_DEPTH);
      if (packet.from !== this.#core.id) {
        this.#receive(topic, Array.isArray(packet.except) ? packet : { ...packet, except: undefined });
      }
    });
  }

  #error(action: string, cause: unknown): ModuleError {
    return new ModuleError('ADAPTER_FAILED', { adapter: this.#adapter!.name, action }, { cause });
  }
}
