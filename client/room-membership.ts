import type { Reply } from './authentication.ts';
import type { Memberships } from './memberships.ts';
import type { Position } from './topic-positions.ts';

const PREFIX = 'room:';
const JOIN = 'join-room';

export interface JoinOptions {
  readonly password?: string | undefined;
  /** What the application knows of the room, for example from its own storage. */
  readonly position?: Position | undefined;
}

/** The rooms of a client: messages for the server's plugin `rooms`. Joined rooms are joined again after a reconnect. */
export class RoomMembership {
  readonly #memberships: Memberships;

  constructor(memberships: Memberships) {
    this.#memberships = memberships;
  }

  /** The ids of the joined rooms. */
  get joined(): readonly string[] {
    const rooms = this.#memberships.entries().filter(([, { type }]) => type === JOIN);
    return rooms.map(([topic]) => topic.slice(PREFIX.length));
  }

  /** Joins a room. Resolves with what the server tells about it. With a position, the messages after it follow. */
  join(roomId: string, { position, ...options }: JoinOptions = {}): Promise<Reply> {
    return this.#memberships.add(PREFIX + roomId, { type: JOIN, content: { roomId, ...options } }, position);
  }

  leave(roomId: string): Promise<void> {
    return this.#memberships.remove(PREFIX + roomId, { type: 'leave-room', content: { roomId } });
  }

  /** Sends a message to the members of a room. */
  send(roomId: string, content: unknown): Promise<void> {
    return this.#memberships.port.send({ type: 'room-message', roomId, content });
  }
}
