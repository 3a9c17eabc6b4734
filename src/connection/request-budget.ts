import type { Connection } from '../contracts.ts';
import { ModuleError } from '../errors.ts';
import { actorKey } from '../runtime/actor-key.ts';
import { Quota } from '../runtime/quota.ts';

/** Requests to one connection that may wait for a reply. */
const MAX_REQUESTS = 1_024;
/** Requests of each connection that the budget does not count, so that a server can ask all its clients at once. */
const FREE_REQUESTS = 8;

/** The requests to clients that wait for a reply. Each takes 2 to 4 KB, and a client decides how long it waits. */
export class RequestBudget {
  readonly #quota: Quota | undefined;

  /** @param max maximum number of counted requests to all clients; 0: only uncounted requests may wait */
  constructor(max: number) {
    if (max > 0) this.#quota = new Quota({ max, maxPerOwner: Math.min(MAX_REQUESTS, max) });
  }

  /** The number of counted requests. */
  get size(): number { return this.#quota?.size ?? 0; }

  /**
   * Counts a request.
   * @param waiting the number of requests to the connection that already wait
   * @returns the actor to give back to `give`, or `undefined` for a request that is not counted
   * @throws TOO_MANY_REQUESTS
   */
  take(connection: Pick<Connection, 'id' | 'ip' | 'user'>, waiting: number): string | undefined {
    if (waiting < FREE_REQUESTS) return undefined;
    if (waiting >= MAX_REQUESTS) throw new ModuleError('TOO_MANY_REQUESTS', { of: 'this client', limit: MAX_REQUESTS });
    const actor = actorKey(connection);
    const full = this.#quota ? this.#quota.take(actor) : { of: 'all', limit: 0 };
    if (!full) return actor;
    const of = full.of === 'owner' ? 'this user or address' : 'all clients';
    throw new ModuleError('TOO_MANY_REQUESTS', { of, limit: full.limit });
  }

  give(actor: string | undefined): void { if (actor !== undefined) this.#quota?.give(actor); }
}
