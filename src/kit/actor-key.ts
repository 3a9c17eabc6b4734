import type { Connection } from '../contracts.ts';
import { customerKey } from './customer-key.ts';

/**
 * The owner to count a client's entries under: the user, else the address, else the connection (over a unix socket the
 * address is unknown). An anonymous client gets no new budget by connecting again.
 *
 * @example const full = table.set(key, value, actorKey(connection));
 */
export function actorKey({ id, ip, user }: Pick<Connection, 'id' | 'ip' | 'user'>): string {
  if (user) return `user:${user.id}`;
  return ip === '' ? `connection:${id}` : `address:${customerKey(ip)}`;
}
