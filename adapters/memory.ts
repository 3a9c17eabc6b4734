import {
  describe, MemoryJournal, ModuleError, toError, type Adapter, type HealthReport, type Journal, type Store,
} from '../src/index.ts';
import { MemoryStore } from './memory/memory-store.ts';
import { StoreData } from './memory/store-data.ts';

type Receiver = Parameters<Adapter['start']>[0];
interface Delivery {
  readonly topic: string;
  readonly packet: Uint8Array;
  readonly to: readonly MemoryAdapter[];
}

/** The adapters of one bus, and the packets to deliver. */
class Bus {
  readonly members = new Set<MemoryAdapter>();
  readonly data = new StoreData();
  readonly journal = new MemoryJournal();
  #deliveries: Delivery[] = [];

  // Delivers in a later turn, like a network: publish() returns before any node receives the packet. Only the packets
  // of one turn wait.
  add(delivery: Delivery): void {
    if (this.#deliveries.push(delivery) === 1) setImmediate(() => this.#deliver());
  }

  #deliver(): void {
    const deliveries = this.#deliveries;
    this.#deliveries = [];
    for (const { topic, packet, to } of deliveries) for (const adapter of to) adapter.deliver(topic, packet);
  }
}

const buses = new WeakMap<object, Bus>();

/**
 * Connects managers of one process, for tests and experiments. Adapters that were created with the same object share a
 * bus. Packets arrive in the order in which they were published, at the nodes that subscribe to their topic.
 *
 * @example
 * const bus = {};
 * const nodes = [8001, 8002].map((port) => WebSocketModule.create({ port, adapter: new MemoryAdapter(bus) }));
 */
export class MemoryAdapter implements Adapter {
  static readonly MemoryAdapter: typeof MemoryAdapter = MemoryAdapter;

  readonly name = 'memory';
  /** State that the adapters of one bus share, in memory. */
  readonly store: Store;
  /** The history of topics, which the adapters of one bus share, in memory. */
  readonly journal: Journal;
  readonly #bus: Bus;
  readonly #topics = new Set<string>();
  #receiver: Receiver | undefined;

  /**
   * @param bus any object; adapters with the same object share a bus. @default a new object
   * @throws OPTION_INVALID
   */
  constructor(bus: object = {}) {
    const given: unknown = bus;
    if (typeof given !== 'object' || given === null) {
      throw new ModuleError('OPTION_INVALID', { path: 'bus', given: describe(given), expected: 'an object' });
    }
    let shared = buses.get(bus);
    if (!shared) buses.set(bus, (shared = new Bus()));
    this.#bus = shared;
    this.store = new MemoryStore(shared.data);
    this.journal = shared.journal;
  }

  async start(node: Receiver): Promise<void> {
    if (this.#receiver) throw new Error('this adapter is already started; create one adapter for each manager');
    this.#receiver = node;
    this.#bus.members.add(this);
  }

  publish(topic: string, packet: Uint8Array): void {
    this.#assertStarted();
    const to = [...this.#bus.members].filter((member) => member !== this && member.#topics.has(topic));
    // A copy, because the caller may change the bytes before they are delivered.
    if (to.length > 0) this.#bus.add({ topic, packet: Uint8Array.from(packet), to });
  }

  subscribe(topic: string): void {
    this.#assertStarted();
    this.#topics.add(topic);
  }

  unsubscribe(topic: string): void {
    this.#topics.delete(topic);
  }

  /** Called by the bus. A node that has stopped or unsubscribed meanwhile receives nothing. */
  deliver(topic: string, packet: Uint8Array): void {
    try {
      if (this.#topics.has(topic)) this.#receiver?.receive(topic, packet);
    } catch (error) {
      // The failure of one node must not prevent the delivery to others.
      process.emitWarning(toError(error));
    }
  }

  async check(): Promise<HealthReport> {
    const status = this.#receiver ? 'healthy' : 'unhealthy';
    return { status, nodes: this.#bus.members.size, topics: this.#topics.size };
  }

  async stop(): Promise<void> {
    this.#bus.members.delete(this);
    this.#topics.clear();
    this.#receiver = undefined;
  }

  #assertStarted(): void {
    if (!this.#receiver) throw new Error('this adapter is not started');
  }
}

export { MemoryAdapter as default, MemoryAdapter as 'module.exports' };
