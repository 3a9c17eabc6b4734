import { ModuleError, type User } from '../../src/index.ts';
import type { Client, ClientDeadlines } from './client-deadlines.ts';

/** The user of each client, from its current token, and the deadline of that token. */
export class TokenSessions {
  readonly #sessions = new Map<Client, { readonly user: User; readonly cancel: (() => void) | undefined }>();
  readonly #deadlines: ClientDeadlines;
  readonly #tolerance: number;

  /** @param tolerance milliseconds that a client may stay after `exp` */
  constructor(deadlines: ClientDeadlines, tolerance: number) {
    this.#deadlines = deadlines;
    this.#tolerance = tolerance;
  }

  get size(): number { return this.#sessions.size; }

  /** Closes the client at its user's `exp`. A later call replaces an earlier one. */
  keep(client: Client, user: User): void {
    this.forget(client);
    const { exp } = user;
    // The system time is read once: a later change of it disconnects no client.
    const left = typeof exp === 'number' ? exp * 1_000 + this.#tolerance - Date.now() : Infinity;
    const cancel = Number.isFinite(left)
      ? this.#deadlines.closeAfter(client, Math.max(0, left), new ModuleError('TOKEN_EXPIRED'))
      : undefined;
    this.#sessions.set(client, { user, cancel });
  }

  forget(client: Client): void {
    this.#sessions.get(client)?.cancel?.();
    this.#sessions.delete(client);
  }

  /** The sessions of a user, or of a token by its `jti`. */
  of(id: string): (readonly [client: Client, user: User])[] {
    const sessions = [...this.#sessions].map(([client, { user }]) => [client, user] as const);
    return sessions.filter(([, user]) => user.id === id || user.jti === id);
  }
}
