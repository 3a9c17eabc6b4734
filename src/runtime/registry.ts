import { ModuleError } from '../errors.ts';
import type { Undo } from './scope.ts';

interface Entry<T> { readonly value: T; readonly owner: string }

/** Named things with an owner. A second of the same name is refused, unless the first one yields. */
export class Registry<T> {
  readonly #kind: string;
  readonly #entries = new Map<string, Entry<T>>();
  readonly #yielding = new Map<string, Entry<T>>();

  constructor(kind: string) { this.#kind = kind; }

  get size(): number { return this.#entries.size + this.#yielding.size; }

  get(name: string): T | undefined { return (this.#entries.get(name) ?? this.#yielding.get(name))?.value; }

  names(): string[] { return [...new Set([...this.#entries.keys(), ...this.#yielding.keys()])]; }

  /** @throws DUPLICATE */
  add(name: string, value: T, owner: string, { yields = false } = {}): Undo {
    const entries = yields ? this.#yielding : this.#entries;
    const present = entries.get(name);
    if (present) throw new ModuleError('DUPLICATE', { kind: this.#kind, name, owner: present.owner });
    const entry = { value, owner };
    entries.set(name, entry);
    return () => entries.get(name) === entry && entries.delete(name);
  }
}
