import { ModuleError, type User } from '../../src/index.ts';

/** Whatever a session is held on: a connection, or a socket. */
export interface Client {
  close(code?: number, reason?: string): void;
}

/** Runs work after so many milliseconds, of any number, by a monotonic clock. Returns the undo. */
export type After = (milliseconds: number, work: () => void) => () => void;

/** Who is here by which token, and when each has to go. */
export class Sessions {
  readonly #sessions = new Map<Client, { readonly user: User; readonly cancel: (() => void) | undefined }>();
  readonly #after: After;
  readonly #tolerance: number;

  /** @param tolerance milliseconds a client may stay beyond `exp` */
  constructor(after: After, tolerance: number) {
    this.#after = after;
    this.#tolerance = tolerance;
  }

  get size(): number {
    return this.#sessions.size;
  }

  /** Parts with the client when its user's `exp` has come. A later call replaces an earlier one. */
  keep(client: Client, user: User): void {
    this.forget(client);
    const { exp } = user;
    // The date is read once: what it does afterwards disconnects nobody.
    const left = typeof exp === 'number' && Number.isFinite(exp) ? exp * 1_000 + this.#tolerance - Date.now() : undefined;
    const cancel = left === undefined ? undefined : this.#after(Math.max(0, left), () => part(client, new ModuleError('TOKEN_EXPIRED')));
    this.#sessions.set(client, { user, cancel });
  }

  forget(client: Client): void {
    this.#sessions.get(client)?.cancel?.();
    this.#sessions.delete(client);
  }

  /** The sessions of a user, or by a token, by its `jti`. */
  of(id: string): (readonly [client: Client, user: User])[] {
    return [...this.#sessions].filter(([, { user }]) => user.id === id || user.jti === id).map(([client, { user }]) => [client, user]);
  }
}

/** Closes a client for a reason that it may read. */
export function part(client: Client, { closeCode, code, message }: ModuleError): void {
  client.close(closeCode, `${code}: ${message}`);
}
