import { ModuleError, toError, type Store } from '../../src/index.ts';
import { MemoryStore } from '../memory/memory-store.ts';
import { StoreData } from '../memory/store-data.ts';
import { IpcPipe, toBytes, type IpcChannel, type Operation } from './ipc-pipe.ts';

/** Functions of a store that workers may call. */
const STORE_CALLS: ReadonlySet<string> = new Set<keyof Store>([
  'lease', 'renew', 'release', 'reap', 'get', 'put', 'delete', 'touch', 'enter', 'leave', 'members', 'sizes', 'take',
]);

/** The adapters of one name in all workers, and the state that they share. */
class Bus {
  readonly data = new StoreData();
  readonly subscribers = new Map<string, Set<Member>>();
  readonly members = new Set<Member>();
}

/** One adapter of a worker. */
class Member {
  readonly #number: number;
  readonly #pipe: IpcPipe;
  readonly #bus: Bus;
  readonly #topics = new Set<string>();
  readonly #store: MemoryStore;
  readonly #unwatch: () => void;
  /** Whether the worker has missed the change of a document, because too much waited for it. */
  #hasMissed = false;

  constructor(number: number, pipe: IpcPipe, bus: Bus) {
    this.#number = number;
    this.#pipe = pipe;
    this.#bus = bus;
    this.#store = new MemoryStore(bus.data);
    bus.members.add(this);
    this.#unwatch = bus.data.watchers.add((key) => this.#changed(key));
  }

  handle([name, , question, first, second]: Operation): void {
    switch (name) {
      case 'publish': return this.#publish(String(first), toBytes(second));
      case 'subscribe': return this.#subscribe(String(first), question);
      case 'unsubscribe': return this.#unsubscribe(String(first));
      case 'ping': return this.#send('done', question, { nodes: this.#bus.members.size });
      case 'store': return void this.#call(question, String(first), Array.isArray(second) ? second : []);
      default: this.#fail(question, unknown('operation', name));
    }
  }

  /** Called when the adapter stopped, or its worker ended. The lease in the store expires, or was released. */
  leave(): void {
    for (const topic of this.#topics) this.#unsubscribe(topic);
    this.#bus.members.delete(this);
    this.#unwatch();
  }

  #send(name: string, question: number, ...args: unknown[]): void {
    // Before the answer, so that a worker that reads it knows of the change. Nodes ask at least every three seconds.
    if (this.#hasMissed) this.#changed(undefined);
    this.#pipe.push([name, this.#number, question, ...args]);
  }

  /** @param key `undefined` if changes may have been missed */
  #changed(key: string | undefined): void {
    const isSent = this.#pipe.push(['changed', this.#number, 0, key ?? null]);
    this.#hasMissed = !isSent || (this.#hasMissed && key !== undefined);
  }

  #fail(question: number, error: Error): void {
    const { code, details } = error instanceof ModuleError ? error : { code: 'INTERNAL_ERROR', details: {} };
    this.#send('failed', question, code, error.message, details);
  }

  // If too much waits for a worker, it misses the packet, and its node reports the gap.
  #publish(topic: string, packet: Buffer): void {
    for (const member of this.#bus.subscribers.get(topic) ?? []) {
      if (member !== this) member.#pipe.push(['packet', member.#number, 0, topic, packet]);
    }
  }

  #subscribe(topic: string, question: number): void {
    this.#topics.add(topic);
    const subscribers = this.#bus.subscribers.get(topic) ?? new Set();
    this.#bus.subscribers.set(topic, subscribers.add(this));
    this.#send('done', question);
  }

  #unsubscribe(topic: string): void {
    this.#topics.delete(topic);
    const subscribers = this.#bus.subscribers.get(topic);
    if (subscribers?.delete(this) && subscribers.size === 0) this.#bus.subscribers.delete(topic);
  }

  async #call(question: number, name: string, args: readonly unknown[]): Promise<void> {
    try {
      if (!STORE_CALLS.has(name)) throw unknown('store', name);
      const store = this.#store as unknown as Record<string, (...given: readonly unknown[]) => Promise<unknown>>;
      this.#send('done', question, await store[name]!(...args));
    } catch (thrown) {
      this.#fail(question, toError(thrown));
    }
  }
}

/** The error for what a worker of a later version may ask for. */
const unknown = (path: string, given: string): ModuleError =>
  new ModuleError('OPTION_INVALID', { path, given, expected: 'known to the primary' });

/** PrimaryBus carries packets between the workers of a primary process, and keeps the state that they share. */
export class PrimaryBus {
  readonly #buses = new Map<string, Bus>();

  /** Serves the adapters of a worker. Returns the undo, for when the worker has ended. */
  attach(channel: IpcChannel): () => void {
    const members = new Map<number, Member>();
    const pipe: IpcPipe = new IpcPipe(channel, (operation) => this.#receive(operation, members, pipe));
    return () => {
      pipe.close();
      for (const member of members.values()) member.leave();
      members.clear();
    };
  }

  #receive(operation: Operation, members: Map<number, Member>, pipe: IpcPipe): void {
    const [name, number, question, bus] = operation;
    const member = members.get(number);
    if (name === 'join') {
      member?.leave();
      members.set(number, new Member(number, pipe, this.#bus(String(bus))));
      pipe.push(['done', number, question]);
    } else if (name === 'stop') {
      member?.leave();
      members.delete(number);
      pipe.push(['done', number, question]);
    } else {
      member?.handle(operation);
    }
  }

  #bus(name: string): Bus {
    let bus = this.#buses.get(name);
    if (!bus) this.#buses.set(name, (bus = new Bus()));
    return bus;
  }
}
