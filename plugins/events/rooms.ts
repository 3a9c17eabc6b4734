/** Who is in which room of a namespace, on this node: what Socket.IO calls the adapter of a namespace. */
export class Rooms {
  /** Ids of sockets by room. Every socket is in the room of its own id. */
  readonly rooms = new Map<string, Set<string>>();

  add(id: string, room: string): void {
    const members = this.rooms.get(room);
    if (members) members.add(id);
    else this.rooms.set(room, new Set([id]));
  }

  remove(id: string, room: string): void {
    const members = this.rooms.get(room);
    members?.delete(id);
    if (members?.size === 0) this.rooms.delete(room);
  }
}
