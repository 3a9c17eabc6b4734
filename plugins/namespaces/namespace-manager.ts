import { ModuleError } from '../../src/index.ts';
import { LocalNamespace } from './local-namespace.ts';
import type { Namespace, NamespaceOptions } from './namespace-contracts.ts';

/** The open namespaces of one server. */
export interface OpenNamespaces {
  /** @throws DUPLICATE */
  add(namespace: LocalNamespace): void;
  remove(namespace: LocalNamespace): void;
}

/**
 * Namespaces defined in a class, apart from the server on which they are open.
 *
 * @example
 * class Namespaces extends NamespaceManager {
 *   constructor() {
 *     super();
 *     this.createNamespace('/chat', { auth: { required: true } });
 *   }
 * }
 */
export class NamespaceManager {
  readonly #namespaces = new Map<string, LocalNamespace>();
  #open: OpenNamespaces | undefined;

  get names(): readonly string[] { return [...this.#namespaces.keys()]; }

  /**
   * Defines a namespace, which is open while this manager is attached to a server.
   * @throws NAMESPACE_NAME_INVALID, OPTION_INVALID, OPTION_UNKNOWN, DUPLICATE
   */
  createNamespace(name: string, options?: NamespaceOptions): Namespace {
    if (this.#namespaces.has(name)) {
      throw new ModuleError('DUPLICATE', { kind: 'namespace', name, owner: 'this namespace manager' });
    }
    const namespace = new LocalNamespace(name, options);
    this.#open?.add(namespace);
    this.#namespaces.set(name, namespace);
    return namespace;
  }

  getNamespace(name: string): Namespace | undefined { return this.#namespaces.get(name); }

  /** Puts all connections out of a namespace and deletes it. `false`: there is no such namespace. */
  deleteNamespace(name: string): boolean {
    const namespace = this.#namespaces.get(name);
    if (!namespace) return false;
    this.#namespaces.delete(name);
    this.#open?.remove(namespace);
    return true;
  }

  /** Opens its namespaces on a server: all, or none of them. Returns the undo. @throws DUPLICATE */
  attach(open: OpenNamespaces): () => void {
    if (this.#open) {
      throw new ModuleError('DUPLICATE', {
        kind: 'namespace manager', name: this.constructor.name, owner: 'another server',
      });
    }
    const added: LocalNamespace[] = [];
    try {
      for (const namespace of this.#namespaces.values()) {
        open.add(namespace);
        added.push(namespace);
      }
    } catch (error) {
      for (const namespace of added) open.remove(namespace);
      throw error;
    }
    this.#open = open;
    return once(() => {
      this.#open = undefined;
      for (const namespace of this.#namespaces.values()) open.remove(namespace);
    });
  }
}

/** An undo that works once: called again, it leaves what was added later. */
export function once(undo: () => void): () => void {
  let isDone = false;
  return () => {
    if (isDone) return;
    isDone = true;
    undo();
  };
}
