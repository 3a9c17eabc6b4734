import type { Connection } from '../contracts.ts';
import { customerKey } from './customer-key.ts';

/**
 * The key under which a client's entries are counted: the user; else the address; else, over a unix socket without an
 * address, the connection. An anonymous client gets no new budget by reconnecting.
 *
 * @example const full = table.set(key, value, actorKey(connection));
 */
export function actorKey({ id, ip, user }: Pick<Connection, 'id' | 'ip' | 'user'>): string {
  if (user) return `user:${user.id}`;
  return ip === '' ? `connection:${id}` : `address:${customerKey(ip)}`;
}
