import { ModuleError } from '../errors.ts';
import type { Labelled, Undo } from './scope.ts';

/** Holds named things with their owners. A second thing of the same name is refused. */
export class Registry<T> {
  readonly #kind: string;
  readonly #entries = new Map<string, { readonly value: T; readonly owner: string }>();

  constructor(kind: string) { this.#kind = kind; }

  get size(): number { return this.#entries.size; }

  get(name: string): T | undefined { return this.#entries.get(name)?.value; }

  names(): string[] { return [...this.#entries.keys()]; }

  inventory(): Labelled[] {
    return [...this.#entries].map(([name, { owner }]) => ({ owner, label: `${this.#kind} ${name}` }));
  }

  /** @throws DUPLICATE */
  add(name: string, value: T, owner: string): Undo {
    const present = this.#entries.get(name);
    if (present) throw new ModuleError('DUPLICATE', { kind: this.#kind, name, owner: present.owner });
    const entry = { value, owner };
    this.#entries.set(name, entry);
    return () => this.#entries.get(name) === entry && this.#entries.delete(name);
  }
}
