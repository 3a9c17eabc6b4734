import { userConnections, type Connection, type Node } from '../../src/index.ts';
import type { Target } from './admin-request.ts';
import { addressKey, keysOf, userKey } from './ban-store.ts';

/** A target on this node. */
export interface FoundTarget {
  readonly connections: ReadonlySet<Connection>;
  /** The keys by which it is banned. */
  readonly keys: ReadonlySet<string>;
  /** Whether one of the connections is anonymous and has no known address, so that it has no key. */
  readonly isKeyless: boolean;
  /** Whether `connectionId` names no connection of this node. */
  readonly isUnknown: boolean;
}

export function findTarget(node: Node, { userId, connectionId, address }: Target): FoundTarget {
  const connections = new Set<Connection>();
  const keys = new Set<string>();
  let isKeyless = false;
  const add = (key: string, found: Iterable<Connection>): void => {
    keys.add(key);
    for (const connection of found) connections.add(connection);
  };
  const addClient = (client: Connection): void => {
    const key = client.user ? userKey(client.user.id) : addressKey(client.ip);
    if (key !== undefined) return add(key, [client]);
    isKeyless = true;
    connections.add(client);
  };
  const anonymous = userId === undefined ? undefined : node.connections.get(userId);
  if (anonymous && !anonymous.user) addClient(anonymous);
  else if (userId !== undefined) add(userKey(userId), userConnections(node, userId));
  if (connectionId !== undefined) {
    const client = node.connections.get(connectionId);
    if (client) addClient(client);
  }
  const atAddress = address === undefined ? undefined : addressKey(address);
  if (atAddress !== undefined) add(atAddress, connectionsWithKey(node, new Set([atAddress])));
  const isUnknown = connectionId !== undefined && !node.connections.has(connectionId);
  return { connections, keys, isKeyless, isUnknown };
}

/** The connections of this node to which one of the keys applies. */
export function connectionsWithKey(node: Node, keys: ReadonlySet<string>): Connection[] {
  return [...node.connections.values()].filter((connection) => keysOf(connection).some((key) => keys.has(key)));
}
