import { actorKey, describe, ModuleError, type Connection, type Node, type Quota } from '../../src/index.ts';

const MAX_NAME_LENGTH = 256;
const NONE: ReadonlySet<string> = new Set();

/** The rooms of one connection, and its owner in the quota. */
interface JoinedRooms { readonly owner: string; readonly names: Set<string> }

/** The rooms of one namespace on this node. Each room is a topic of the kernel. */
export class NamespaceRooms {
  /** The connections in each room. These are the sets of the kernel, not copies. */
  readonly members = new Map<string, ReadonlySet<Connection>>();
  readonly #namespace: string;
  readonly #maxPerConnection: number;
  readonly #joined = new Map<string, JoinedRooms>();

  constructor(namespace: string, maxPerConnection: number) {
    this.#namespace = namespace;
    this.#maxPerConnection = maxPerConnection;
  }

  topic(room: string): string { return `ns:${this.#namespace}#${room}`; }

  of({ id }: Connection): ReadonlySet<string> { return this.#joined.get(id)?.names ?? NONE; }

  /** @throws ROOM_INVALID, TOO_MANY_ROOMS */
  join(node: Node, quota: Quota, connection: Connection, room: string): void {
    if (typeof room !== 'string' || room === '' || room.length > MAX_NAME_LENGTH) {
      const reason = `must be a string of 1 to ${MAX_NAME_LENGTH} characters, but is ${describe(room)}`;
      throw new ModuleError('ROOM_INVALID', { reason });
    }
    const joined = this.#joined.get(connection.id) ?? { owner: actorKey(connection), names: new Set() };
    const isNew = !joined.names.has(room);
    if (isNew) this.#reserve(quota, joined);
    try {
      node.subscribe(connection, this.topic(room));
    } catch (error) {
      // The connection has closed.
      if (isNew) quota.give(joined.owner);
      throw error;
    }
    joined.names.add(room);
    this.#joined.set(connection.id, joined);
    this.members.set(room, node.subscribers(this.topic(room)));
  }

  #reserve(quota: Quota, { owner, names }: JoinedRooms): void {
    const limit = this.#maxPerConnection;
    if (names.size >= limit) throw new ModuleError('TOO_MANY_ROOMS', { of: 'connection', limit });
    const full = quota.take(owner);
    if (!full) return;
    throw new ModuleError('TOO_MANY_ROOMS', { of: full.of === 'owner' ? 'client' : 'server', limit: full.limit });
  }

  leave(node: Node, quota: Quota, connection: Connection, room: string): void {
    const joined = this.#joined.get(connection.id);
    if (!joined?.names.delete(room)) return;
    quota.give(joined.owner);
    if (joined.names.size === 0) this.#joined.delete(connection.id);
    node.unsubscribe(connection, this.topic(room));
    // For a closed connection, the kernel has already unsubscribed it.
    if (node.subscribers(this.topic(room)).size === 0) this.members.delete(room);
  }

  leaveAll(node: Node, quota: Quota, connection: Connection): void {
    for (const room of [...this.of(connection)]) this.leave(node, quota, connection, room);
  }
}
