import { describe, ModuleError, toError, type Adapter, type HealthReport } from '../src/index.ts';

type Receiver = Parameters<Adapter['start']>[0];
interface Delivery {
  readonly topic: string;
  readonly packet: Uint8Array;
  readonly to: readonly MemoryAdapter[];
}

/** What the adapters of one bus share. */
class Bus {
  readonly members = new Set<MemoryAdapter>();
  #deliveries: Delivery[] = [];

  // In a later turn, as a network would: who publishes has finished before anybody receives. One turn's packets wait at most.
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
 * Topics among managers of one process, for tests and for trying out: adapters that were given the same object reach each
 * other. Packets arrive in the order in which they were published, and only where their topic is subscribed.
 *
 * @example const bus = {}; const nodes = [1, 2].map((port) => WebSocketModule.create({ port, adapter: new MemoryAdapter(bus) }));
 */
export class MemoryAdapter implements Adapter {
  static readonly MemoryAdapter: typeof MemoryAdapter = MemoryAdapter;

  readonly name = 'memory';
  readonly #bus: Bus;
  readonly #topics = new Set<string>();
  #receiver: Receiver | undefined;

  /** @param bus any object; adapters with the same one share topics. @default a new one @throws OPTION_INVALID */
  constructor(bus: object = {}) {
    const given: unknown = bus;
    if (typeof given !== 'object' || given === null) throw new ModuleError('OPTION_INVALID', { path: 'bus', given: describe(given), expected: 'an object' });
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
    // A copy: the other nodes are not to see what this one does with its bytes afterwards.
    if (to.length > 0) this.#bus.add({ topic, packet: Uint8Array.from(packet), to });
  }

  subscribe(topic: string): void {
    this.#assertStarted();
    this.#topics.add(topic);
  }

  unsubscribe(topic: string): void {
    this.#topics.delete(topic);
  }

  /** Called by the bus. A node that left or unsubscribed since gets nothing. */
  deliver(topic: string, packet: Uint8Array): void {
    try {
      if (this.#topics.has(topic)) this.#receiver?.receive(topic, packet);
    } catch (error) {
      // One node's failure is not to keep the others' packets.
      process.emitWarning(toError(error));
    }
  }

  async check(): Promise<HealthReport> {
    return { status: this.#receiver ? 'healthy' : 'unhealthy', nodes: this.#bus.members.size, topics: this.#topics.size };
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
