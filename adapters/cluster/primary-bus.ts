import {
  MemoryJournal, ModuleError, toError, type Journal, type MemoryJournalOptions, type Position, type Store,
} from '../../src/index.ts';
import { MemoryStore } from '../memory/memory-store.ts';
import { StoreData } from '../memory/store-data.ts';
import { IpcPipe, toBytes, type IpcChannel, type Operation } from './ipc-pipe.ts';

/** Functions of a store that workers may call. */
const STORE_CALLS: ReadonlySet<string> = new Set<keyof Store>([
  'lease', 'renew', 'release', 'reap', 'held', 'get', 'put', 'delete', 'touch', 'enter', 'leave', 'members', 'sizes',
  'take',
]);

/** Functions of a journal that workers may call. */
const JOURNAL_CALLS: ReadonlySet<string> = new Set<keyof Journal>(['append', 'read', 'positions', 'redact', 'drop']);

/** The adapters of one name in all workers, and the state that they share. */
class Bus {
  readonly data = new StoreData();
  readonly journal: MemoryJournal;
  readonly subscribers = new Map<string, Set<Member>>();
  readonly members = new Set<Member>();

  constructor(journal: MemoryJournalOptions) { this.journal = new MemoryJournal(journal); }
}

/** One adapter of a worker. */
class Member {
  readonly #number: number;
  readonly #pipe: IpcPipe;
  readonly #bus: Bus;
  readonly #topics = new Set<string>();
  readonly #store: MemoryStore;
  readonly #unwatch: (() => void)[];
  /** Whether the worker has missed the change of a document, because too much waited for it. */
  #hasMissed = false;

  constructor(number: number, pipe: IpcPipe, bus: Bus) {
    this.#number = number;
    this.#pipe = pipe;
    this.#bus = bus;
    this.#store = new MemoryStore(bus.data);
    bus.members.add(this);
    this.#unwatch = [
      bus.data.watchers.add((key) => this.#changed(key)),
      // If too much waits for a worker, it misses the entry, and its node reads it from the journal.
      bus.journal.watch((topic, entry) => {
        if (this.#topics.has(topic)) pipe.push(['appended', number, 0, topic, entry]);
      }),
    ];
  }

  handle([name, , question, first, second]: Operation): void {
    switch (name) {
      case 'publish': return this.#publish(String(first), toBytes(second));
      case 'subscribe': return this.#subscribe(String(first), question);
      case 'unsubscribe': return this.#unsubscribe(String(first));
      case 'ping': return this.#send('done', question, { nodes: this.#bus.members.size });
      case 'store': return void this.#call(question, this.#store, STORE_CALLS, String(first), listOf(second));
      case 'journal': return void this.#call(
        question, this.#bus.journal, JOURNAL_CALLS, String(first),
        first === 'positions' ? withMap(listOf(second)) : listOf(second),
      );
      default: this.#fail(question, unknown('operation', name));
    }
  }

  /** Called when the adapter stopped, or its worker ended. The lease in the store expires, or was released. */
  leave(): void {
    for (const topic of this.#topics) this.#unsubscribe(topic);
    this.#bus.members.delete(this);
    for (const unwatch of this.#unwatch) unwatch();
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

  async #call(
    question: number, target: object, known: ReadonlySet<string>, name: string, args: readonly unknown[],
  ): Promise<void> {
    try {
      if (!known.has(name)) throw unknown('function', name);
      const functions = target as Readonly<Record<string, (...given: readonly unknown[]) => Promise<unknown>>>;
      this.#send('done', question, await functions[name]!(...args));
    } catch (thrown) {
      this.#fail(question, toError(thrown));
    }
  }
}

const listOf = (value: unknown): readonly unknown[] => (Array.isArray(value) ? value : []);

/** The arguments of `positions`, in which the worker has replaced the map by its entries. */
const withMap = ([topics, seen]: readonly unknown[]): readonly unknown[] =>
  [topics, new Map(listOf(seen) as readonly (readonly [string, Position])[])];

/** The error for what a worker of a later version may ask for. */
const unknown = (path: string, given: string): ModuleError =>
  new ModuleError('OPTION_INVALID', { path, given, expected: 'known to the primary' });

/** PrimaryBus carries packets between the workers of a primary process, and keeps the state that they share. */
export class PrimaryBus {
  readonly #buses = new Map<string, Bus>();
  readonly #journal: MemoryJournalOptions;

  /**
   * @param journal the bounds of the history of topics
   * @throws OPTION_INVALID, OPTION_UNKNOWN
   */
  constructor(journal: MemoryJournalOptions = {}) {
    this.#journal = journal;
    // Refuses wrong bounds now, not when the first worker joins.
    this.#bus('default');
  }

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
      const joined = this.#bus(String(bus));
      members.set(number, new Member(number, pipe, joined));
      pipe.push(['done', number, question, { keyWindow: joined.journal.keyWindow }]);
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
    if (!bus) this.#buses.set(name, (bus = new Bus(this.#journal)));
    return bus;
  }
}
