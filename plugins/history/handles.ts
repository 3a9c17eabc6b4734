import type { Connection } from '../../src/index.ts';

/**
 * Names connections in the journal. The handle of a connection is its id. A connection that resumes a session keeps the
 * handle of the earlier one, so that it does not get a message that the earlier one was excepted from.
 */
export class Handles {
  readonly #handleOf = new Map<string, string>();
  readonly #connectionOf = new Map<string, string>();

  of(connectionId: string): string { return this.#handleOf.get(connectionId) ?? connectionId; }

  /** The id of the connection that has a handle now. */
  connectionWith(handle: string): string { return this.#connectionOf.get(handle) ?? handle; }

  /** Gives a connection the handle of an earlier one. */
  move(handle: string, { id }: Pick<Connection, 'id'>): void {
    this.#handleOf.set(id, handle);
    this.#connectionOf.set(handle, id);
  }

  /** Called when a connection is closed. */
  forget({ id }: Pick<Connection, 'id'>): void {
    const handle = this.#handleOf.get(id);
    if (handle === undefined) return;
    this.#handleOf.delete(id);
    if (this.#connectionOf.get(handle) === id) this.#connectionOf.delete(handle);
  }
}
