import { ModuleError } from '../../src/index.ts';
import type { Namespace, NamespaceOptions } from './contracts.ts';
import { LocalNamespace } from './local-namespace.ts';
import { once } from './once.ts';

/** Where namespaces are open. */
export interface Places {
  /** @throws DUPLICATE */
  add(namespace: LocalNamespace): void;
  remove(namespace: LocalNamespace): void;
}

/**
 * Namespaces defined in a class of one's own, apart from the server on which they are open.
 *
 * @example class Namespaces extends NamespaceManager { constructor() { super(); this.createNamespace('/chat', { auth: { required: true } }); } }
 */
export class NamespaceManager {
  readonly #namespaces = new Map<string, LocalNamespace>();
  #places: Places | undefined;

  get names(): readonly string[] { return [...this.#namespaces.keys()]; }

  /**
   * Defines a namespace, which is open as long as this manager is on a server.
   * @throws NAMESPACE_NAME_INVALID, OPTION_INVALID, OPTION_UNKNOWN, DUPLICATE
   */
  createNamespace(name: string, options?: NamespaceOptions): Namespace {
    if (this.#namespaces.has(name)) throw new ModuleError('DUPLICATE', { kind: 'namespace', name, owner: 'this namespace manager' });
    const namespace = new LocalNamespace(name, options);
    this.#places?.add(namespace);
    this.#namespaces.set(name, namespace);
    return namespace;
  }

  getNamespace(name: string): Namespace | undefined { return this.#namespaces.get(name); }

  /** Puts everybody out of a namespace, and forgets it. `false`: there is none. */
  deleteNamespace(name: string): boolean {
    const namespace = this.#namespaces.get(name);
    if (!namespace) return false;
    this.#namespaces.delete(name);
    this.#places?.remove(namespace);
    return true;
  }

  /** Opens its namespaces on a server: all, or none of them. Returns the undo. @throws DUPLICATE */
  attach(places: Places): () => void {
    if (this.#places) throw new ModuleError('DUPLICATE', { kind: 'namespace manager', name: this.constructor.name, owner: 'another server' });
    const added: LocalNamespace[] = [];
    try {
      for (const namespace of this.#namespaces.values()) {
        places.add(namespace);
        added.push(namespace);
      }
    } catch (error) {
      for (const namespace of added) places.remove(namespace);
      throw error;
    }
    this.#places = places;
    return once(() => {
      this.#places = undefined;
      for (const namespace of this.#namespaces.values()) places.remove(namespace);
    });
  }
}
