import { describe, ModuleError, toError, type Adapter, type HealthReport } from '../src/index.ts';

type Receiver = Parameters<Adapter['start']>[0];
interface Delivery {
  readonly topic: string;
  readonly packet: Uint8Array;
  readonly to: readonly MemoryAdapter[];
}

/** Connects the adapters that were given the same object. */
class Bus {
  readonly members = new Set<MemoryAdapter>();
  #deliveries: Delivery[] = [];

  // Delivers in a later turn, as a network would: publish() has returned before. Packets wait for one turn at most.
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
 * Connects managers of one process, for tests and trials: adapters that were given the same object reach each other.
 * Packets arrive in the order in which they were published, and only at subscribers of their topic.
 *
 * @example
 * const bus = {};
 * const nodes = [3001, 3002].map((port) => WebSocketModule.create({ port, adapter: new MemoryAdapter(bus) }));
 */
export class MemoryAdapter implements Adapter {
  static readonly MemoryAdapter: typeof MemoryAdapter = MemoryAdapter;

  readonly name = 'memory';
  readonly #bus: Bus;
  readonly #topics = new Set<string>();
  #receiver: Receiver | undefined;

  /**
   * @param bus any object; adapters with the same object reach each other. @default a new one
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
  }

  async start(node: Receiver): Promise<void> {
    if (this.#receiver) throw new Error('this adapter is already started; every manager needs one of its own');
    this.#receiver = node;
    this.#bus.members.add(this);
  }

  publish(topic: string, packet: Uint8Array): void {
    this.#assertStarted();
    const to = [...this.#bus.members].filter((member) => member !== this && member.#topics.has(topic));
    // A copy: this node may change its bytes afterwards.
    if (to.length > 0) this.#bus.add({ topic, packet: Uint8Array.from(packet), to });
  }

  subscribe(topic: string): void {
    this.#assertStarted();
    this.#topics.add(topic);
  }

  unsubscribe(topic: string): void {
    this.#topics.delete(topic);
  }

  /** Called by the bus. A node that stopped or unsubscribed meanwhile receives nothing. */
  deliver(topic: string, packet: Uint8Array): void {
    try {
      if (this.#topics.has(topic)) this.#receiver?.receive(topic, packet);
    } catch (error) {
      // The failure of one node must not keep packets from others.
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
