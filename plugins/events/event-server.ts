import { describe, ModuleError } from '../../src/index.ts';
import { Broadcast } from './broadcast.ts';
import type { Entrance, EventNamespace, Rooms, Server, Socket } from './event-contracts.ts';
import type { Layer } from './event-layers.ts';
import type { Listener } from './event-listeners.ts';
import { EventMembers } from './event-members.ts';
import { assertFunction } from './event-wire.ts';

/** What a server needs of the manager on which it is open. */
export interface ServerSite {
  readonly clients: { readonly size: number };
  /** Opens a namespace. Returns the undo. */
  open(members: EventMembers): () => void;
  warn(text: string): void;
}

const ADAPTER_IGNORED = 'io.adapter() does not connect nodes; give the option "adapter" to WebSocketModule.create()';

/** A broadcast to all sockets of a namespace, which also takes layers and listeners for new sockets. */
abstract class EventEntrance extends Broadcast implements Entrance<any, any> {
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
}

class LocalEventNamespace extends EventEntrance implements EventNamespace<any, any> {
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

export class EventServer extends EventEntrance implements Server<any, any> {
  readonly sockets: EventNamespace<any, any>;
  readonly engine: { readonly clientsCount: number };
  readonly #namespaces = new Map<string, EventMembers>();
  readonly #undos: (() => void)[] = [];
  #site: ServerSite | undefined;
  /** An adapter was given before there was a site to warn of it. */
  #isAdapterIgnored = false;

  constructor() {
    const main = new EventMembers('/');
    super(main);
    this.#namespaces.set('/', main);
    this.sockets = new LocalEventNamespace(main);
    const count = (): number => this.#site?.clients.size ?? 0;
    this.engine = { get clientsCount() { return count(); } };
  }

  of(name: string): EventNamespace<any, any> {
    if (typeof name !== 'string') throw new ModuleError('NAMESPACE_NAME_INVALID', { given: describe(name) });
    const whole = name.startsWith('/') ? name : `/${name}`;
    const present = this.#namespaces.get(whole);
    if (present) return present.namespace;
    const members = new EventMembers(whole);
    const namespace = new LocalEventNamespace(members);
    if (this.#site) this.#undos.push(this.#site.open(members));
    this.#namespaces.set(whole, members);
    return namespace;
  }

  adapter(given?: unknown): Rooms {
    if (given !== undefined && this.#site) this.#site.warn(ADAPTER_IGNORED);
    else if (given !== undefined) this.#isAdapterIgnored = true;
    return this.sockets.adapter;
  }

  /**
   * Opens the namespaces there are, and those that are added later. Returns the undo.
   * @throws DUPLICATE when they are open elsewhere, NAMESPACE_NAME_INVALID
   */
  attach(site: ServerSite): () => void {
    if (this.#site) throw new ModuleError('DUPLICATE', { kind: 'server', name: 'events', owner: 'another manager' });
    this.#site = site;
    const detach = (): void => {
      this.#site = undefined;
      for (const undo of this.#undos.splice(0).reverse()) undo();
    };
    try {
      for (const members of this.#namespaces.values()) this.#undos.push(site.open(members));
    } catch (error) {
      detach();
      throw error;
    }
    if (this.#isAdapterIgnored) site.warn(ADAPTER_IGNORED);
    this.#isAdapterIgnored = false;
    return detach;
  }
}
