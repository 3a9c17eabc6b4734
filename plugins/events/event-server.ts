import { describe, isRecord, ModuleError } from '../../src/index.ts';
import { Broadcast } from './broadcast.ts';
import { fromText } from './event-calls.ts';
import type { BaseNamespace, EventNamespace, Rooms, Server, Socket } from './event-contracts.ts';
import type { Layer } from './event-layers.ts';
import type { Listener } from './event-listeners.ts';
import { EventMembers } from './event-members.ts';
import { NodesMissing } from './event-nodes.ts';
import { assertFunction, assertNodeEvent, splitArguments } from './event-wire.ts';

/** The parts of a manager that a server uses. */
export interface ServerBackend {
  readonly clients: { readonly size: number };
  /** Opens a namespace. Returns its undo. */
  open(members: EventMembers): () => void;
  /** Connects the node to others. Reports a failure. */
  useAdapter(adapter: unknown): void;
}

/** Base of the server and its namespaces: broadcasts to all sockets, layers and listeners for new sockets. */
abstract class BaseEventNamespace extends Broadcast implements BaseNamespace<any, any, any, any> {
  readonly #members: EventMembers;

  constructor(members: EventMembers) {
    super(members);
    this.#members = members;
  }

  use(layer: Layer<Socket<any, any>>): this {
    assertFunction(layer, 'a layer');
    this.#members.layers.push(layer);
    return this;
  }

  on(event: string, listener: Listener): this {
    this.#members.listeners.add(event, listener);
    return this;
  }

  once(event: string, listener: Listener): this {
    this.#members.listeners.add(event, listener, true);
    return this;
  }

  off(event: string, listener: Listener): this {
    this.#members.listeners.remove(event, listener);
    return this;
  }

  serverSideEmit(event: string, ...args: unknown[]): boolean {
    assertNodeEvent(event);
    const [given, acknowledge] = splitArguments(args);
    const members = this.#members;
    if (!acknowledge) {
      members.nodes?.tell({ do: 'raise', namespace: members.name, event, args: given, isAsked: false });
      return true;
    }
    const fail = (error: unknown): unknown => acknowledge.call(this, error, (error as NodesMissing).responses);
    this.#askNodes(event, given)
      .then((came) => acknowledge.call(this, null, came), fail)
      .catch((error: unknown) => members.report(error));
    return true;
  }

  async serverSideEmitWithAck(event: string, ...args: unknown[]): Promise<any[]> {
    assertNodeEvent(event);
    return this.#askNodes(event, args);
  }

  /** @throws NodesMissing */
  async #askNodes(event: string, args: readonly unknown[]): Promise<unknown[]> {
    const { name: namespace, nodes } = this.#members;
    if (!nodes) return [];
    const { answers, missing } = await nodes.ask({ do: 'raise', namespace, event, args, isAsked: true }, readRaised);
    const responses = answers.map(({ answer: [value] }) => value);
    if (missing.length > 0) throw new NodesMissing(responses, missing);
    return responses;
  }
}

const readRaised = (given: unknown): [value: unknown] | undefined =>
  (isRecord(given) ? fromText(given.value) : undefined);

class LocalEventNamespace extends BaseEventNamespace implements EventNamespace<any, any, any, any> {
  readonly name: string;
  readonly sockets: ReadonlyMap<string, Socket>;
  readonly adapter: Rooms;

  constructor(members: EventMembers) {
    super(members);
    this.name = members.name;
    this.sockets = members.sockets;
    this.adapter = { rooms: members.rooms };
    members.namespace = this;
  }
}

export class EventServer extends BaseEventNamespace implements Server<any, any, any, any> {
  readonly sockets: EventNamespace<any, any, any, any>;
  readonly engine: { readonly clientsCount: number };
  readonly #namespaces = new Map<string, EventMembers>();
  readonly #undos: (() => void)[] = [];
  #backend: ServerBackend | undefined;
  /** An adapter that was given before the server was attached. */
  #adapter: unknown;

  constructor() {
    const main = new EventMembers('/');
    super(main);
    this.#namespaces.set('/', main);
    this.sockets = new LocalEventNamespace(main);
    const count = (): number => this.#backend?.clients.size ?? 0;
    this.engine = { get clientsCount() { return count(); } };
  }

  of(name: string): EventNamespace<any, any, any, any> {
    if (typeof name !== 'string') throw new ModuleError('NAMESPACE_NAME_INVALID', { given: describe(name) });
    const whole = name.startsWith('/') ? name : `/${name}`;
    const present = this.#namespaces.get(whole);
    if (present) return present.namespace;
    const members = new EventMembers(whole);
    const namespace = new LocalEventNamespace(members);
    if (this.#backend) this.#undos.push(this.#backend.open(members));
    this.#namespaces.set(whole, members);
    return namespace;
  }

  /** The members of a namespace, if it was opened. */
  find(name: string): EventMembers | undefined { return this.#namespaces.get(name); }

  adapter(given?: unknown): Rooms {
    if (given !== undefined && this.#backend) this.#backend.useAdapter(given);
    else if (given !== undefined) this.#adapter = given;
    return this.sockets.adapter;
  }

  /**
   * Opens all current and later namespaces on a manager. Returns its undo.
   * @throws DUPLICATE when the server is attached to another manager, NAMESPACE_NAME_INVALID
   */
  attach(backend: ServerBackend): () => void {
    if (this.#backend) throw new ModuleError('DUPLICATE', { kind: 'server', name: 'events', owner: 'another manager' });
    this.#backend = backend;
    const detach = (): void => {
      this.#backend = undefined;
      for (const undo of this.#undos.splice(0).reverse()) undo();
    };
    try {
      for (const members of this.#namespaces.values()) this.#undos.push(backend.open(members));
    } catch (error) {
      detach();
      throw error;
    }
    if (this.#adapter !== undefined) backend.useAdapter(this.#adapter);
    this.#adapter = undefined;
    return detach;
  }
}
