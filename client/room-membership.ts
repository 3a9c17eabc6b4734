import type { Reply } from './authentication.ts';
import type { Memberships } from './memberships.ts';

const PREFIX = 'room:';

/** The rooms of a client: messages for the server's plugin `rooms`. Joined rooms are joined again after a reconnect. */
export class RoomMembership {
  readonly #memberships: Memberships;

  constructor(memberships: Memberships) {
    this.#memberships = memberships;
  }

  /** The ids of the joined rooms. */
  get joined(): readonly string[] {
    return this.#memberships.names().filter((name) => name.startsWith(PREFIX)).map((name) => name.slice(PREFIX.length));
  }

  /** Joins a room. Resolves with what the server tells about it. */
  join(roomId: string, options: { readonly password?: string | undefined } = {}): Promise<Reply> {
    return this.#memberships.add(PREFIX + roomId, { type: 'join-room', content: { roomId, ...options } });
  }

  leave(roomId: string): Promise<void> {
    return this.#memberships.remove(PREFIX + roomId, { type: 'leave-room', content: { roomId } });
  }

  /** Sends a message to the members of a room. */
  send(roomId: string, content: unknown): Promise<void> {
    return this.#memberships.port.send({ type: 'room-message', roomId, content });
  }
}
