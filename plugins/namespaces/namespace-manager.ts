import { ModuleError } from '../../src/index.ts';
import { LocalNamespace } from './local-namespace.ts';
import type { Namespace, NamespaceOptions } from './namespace-contracts.ts';

/** Opens and closes the namespaces of one server. */
export interface OpenNamespaces {
  /** @throws DUPLICATE */
  add(namespace: LocalNamespace): void;
  remove(namespace: LocalNamespace): void;
}

/**
 * Base of a class that defines namespaces, before there is a server.
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
   * Creates a namespace. It is open while this manager is attached to a server.
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

  /** Removes all connections from a namespace and deletes it. `false`: the namespace does not exist. */
  deleteNamespace(name: string): boolean {
    const namespace = this.#namespaces.get(name);
    if (!namespace) return false;
    this.#namespaces.delete(name);
    this.#open?.remove(namespace);
    return true;
  }

  /** Opens all namespaces on a server, or none on an error. Returns its undo. @throws DUPLICATE */
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

/** Makes an undo work only once, so that further calls do not undo later additions. */
export function once(undo: () => void): () => void {
  let isDone = false;
  return () => {
    if (isDone) return;
    isDone = true;
    undo();
  };
}
