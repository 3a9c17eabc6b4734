import { describe, ModuleError } from '../../src/index.ts';
import type { EventNamespace, Server } from './contracts.ts';
import { LocalEntrance } from './local-entrance.ts';
import { LocalNamespace } from './local-namespace.ts';
import { Members } from './members.ts';
import type { Rooms } from './rooms.ts';

/** What a server needs of the manager that it serves on. */
export interface Site {
  readonly clients: { readonly size: number };
  /** Opens a namespace. Returns the undo. */
  open(members: Members): () => void;
  warn(text: string): void;
}

export class LocalServer extends LocalEntrance implements Server<any, any> {
  readonly sockets: LocalNamespace;
  readonly engine: { readonly clientsCount: number };
  readonly #namespaces = new Map<string, Members>();
  readonly #undos: (() => void)[] = [];
  #site: Site | undefined;

  constructor() {
    const main = new Members('/');
    super(main);
    this.#namespaces.set('/', main);
    this.sockets = new LocalNamespace(main);
    const count = (): number => this.#site?.clients.size ?? 0;
    this.engine = { get clientsCount() { return count(); } };
  }

  of(name: string): EventNamespace<any, any> {
    if (typeof name !== 'string') throw new ModuleError('NAMESPACE_NAME_INVALID', { given: describe(name) }, { message: 'a namespace\'s name must be a text' });
    const whole = name.startsWith('/') ? name : `/${name}`;
    const present = this.#namespaces.get(whole);
    if (present) return present.namespace;
    const members = new Members(whole);
    const namespace = new LocalNamespace(members);
    if (this.#site) this.#undos.push(this.#site.open(members));
    this.#namespaces.set(whole, members);
    return namespace;
  }

  adapter(given?: unknown): Rooms {
    if (given !== undefined) this.#site?.warn('io.adapter() connects no nodes; give the manager the option "adapter"');
    return this.sockets.adapter;
  }

  /** Opens the namespaces there are, and those that come. Returns the undo. @throws DUPLICATE where they are open elsewhere, NAMESPACE_NAME_INVALID */
  attach(site: Site): () => void {
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
    return detach;
  }
}
