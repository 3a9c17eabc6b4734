import { describe, ModuleError, type Connection, type Node } from '../../src/index.ts';

const LONGEST_ROOM = 256;
const NONE: ReadonlySet<string> = new Set();

/** The rooms of one namespace on this node. Each is a topic; no more is kept of it than the kernel keeps. */
export class Rooms {
  /** Who is in each: the kernel's own sets. */
  readonly members = new Map<string, ReadonlySet<Connection>>();
  readonly #namespace: string;
  readonly #most: number;
  readonly #joined = new Map<string, Set<string>>();

  /** @param most rooms that one connection may be in */
  constructor(namespace: string, most: number) {
    this.#namespace = namespace;
    this.#most = most;
  }

  topic(room: string): string { return `ns:${this.#namespace}#${room}`; }

  of({ id }: Connection): ReadonlySet<string> { return this.#joined.get(id) ?? NONE; }

  /** @throws ROOM_INVALID, TOO_MANY_ROOMS */
  join(node: Node, connection: Connection, room: string): void {
    if (typeof room !== 'string' || room === '' || room.length > LONGEST_ROOM) {
      const given = describe(room);
      throw new ModuleError('ROOM_INVALID', { given }, { message: `a room's name is a text of 1 to ${LONGEST_ROOM} characters; given was ${given}` });
    }
    const joined = this.#joined.get(connection.id) ?? new Set();
    if (!joined.has(room) && joined.size >= this.#most) {
      throw new ModuleError('TOO_MANY_ROOMS', { namespace: this.#namespace, limit: this.#most }, { message: `a connection may be in ${this.#most} rooms of "${this.#namespace}"` });
    }
    node.subscribe(connection, this.topic(room));
    this.#joined.set(connection.id, joined.add(room));
    this.members.set(room, node.subscribers(this.topic(room)));
  }

  leave(node: Node, connection: Connection, room: string): void {
    const joined = this.#joined.get(connection.id);
    if (!joined?.delete(room)) return;
    if (joined.size === 0) this.#joined.delete(connection.id);
    node.unsubscribe(connection, this.topic(room));
    // Its connection gone, the kernel has unsubscribed it before.
    if (node.subscribers(this.topic(room)).size === 0) this.members.delete(room);
  }

  leaveAll(node: Node, connection: Connection): void { for (const room of [...this.of(connection)]) this.leave(node, connection, room); }
}
