/** Who is in which room of a namespace, on this node: what Socket.IO calls the adapter of a namespace. */
export class Rooms {
  /** Ids of sockets by room. Every socket is in the room of its own id. */
  readonly rooms = new Map<string, Set<string>>();

  /** `false`: it was in it before. */
  add(id: string, room: string): boolean {
    const members = this.rooms.get(room);
    if (!members) this.rooms.set(room, new Set([id]));
    else if (members.has(id)) return false;
    else members.add(id);
    return true;
  }

  /** `false`: it was not in it. */
  remove(id: string, room: string): boolean {
    const members = this.rooms.get(room);
    if (!members?.delete(id)) return false;
    if (members.size === 0) this.rooms.delete(room);
    return true;
  }
}
