import type { Connection } from '../../src/index.ts';

/**
 * Handles are the names of connections in the journal. At first, the handle of a connection is its id. A connection
 * that resumes a session gets the handle of the earlier connection. So a message that was not for the earlier one
 * (`except`) is not for the new one either.
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
