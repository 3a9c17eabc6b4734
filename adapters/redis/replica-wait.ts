import { ModuleError } from '../../src/index.ts';
import type { RedisConnection } from './redis-connection.ts';
import type { RedisLink } from './redis-link.ts';

/** Milliseconds within which replicas must confirm a write. */
const TIMEOUT = 1_000;

/**
 * ReplicaWait waits until replicas have the writes of this node. It needs a connection of its own, because WAIT holds
 * up all later commands of a connection. At most one WAIT runs at a time; the writes that are done meanwhile share the
 * next one.
 */
export class ReplicaWait {
  readonly #link: RedisLink;
  readonly #replicas: number;
  #running: Promise<void> = Promise.resolve();
  #next: Promise<void> | undefined;

  constructor(link: RedisLink, replicas: number) {
    this.#link = link;
    this.#replicas = replicas;
  }

  /**
   * Resolves when the replicas have all writes that were answered until now.
   * @param key any key of this server that nothing else uses
   * @throws REPLICAS_MISSING
   */
  confirm(key: string): Promise<void> {
    return this.#next ??= this.#running.catch(() => undefined).then(() => {
      this.#next = undefined;
      return this.#running = this.#wait(key);
    });
  }

  async #wait(key: string): Promise<void> {
    const replicas = await this.#link.run('WAIT', 0, (connection) => this.#confirmedBy(connection, key));
    if (replicas >= this.#replicas) return;
    throw new ModuleError('REPLICAS_MISSING', { replicas, wanted: this.#replicas, timeout: TIMEOUT });
  }

  async #confirmedBy(connection: RedisConnection, key: string): Promise<number> {
    // WAIT waits for the writes of its own connection only. So this connection writes a key, later than the writes that
    // must be confirmed: a replica that has the key has them, too.
    const [, replicas] = await Promise.all([
      connection.command(['SET', key, '', 'PX', '60000']),
      connection.command(['WAIT', String(this.#replicas), String(TIMEOUT)]),
    ]);
    return Number(replicas);
  }
}
