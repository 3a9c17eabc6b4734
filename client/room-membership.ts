import { serverError, type ClientError } from './client-error.ts';
import type { OutgoingMessage } from './frames.ts';

type Reply = Readonly<Record<string, any>>;

export interface RoomPort {
  request(message: OutgoingMessage): Promise<Reply>;
  send(message: OutgoingMessage): Promise<void>;
  /** Sends a message before those of the queue. */
  ask(message: Reply, onReply: (reply: Reply) => void): void;
  fail(error: ClientError): void;
}

/** The rooms of a client: messages for the server's plugin `rooms`. Joined rooms are joined again after a reconnect. */
export class RoomMembership {
  readonly #port: RoomPort;
  /** The joined rooms, each with what joined it. */
  readonly #joined = new Map<string, Readonly<Record<string, unknown>>>();

  constructor(port: RoomPort) {
    this.#port = port;
  }

  /** The ids of the joined rooms. */
  get joined(): readonly string[] { return [...this.#joined.keys()]; }

  /** Joins a room. Resolves with what the server tells about it. */
  async join(roomId: string, options: { readonly password?: string | undefined } = {}): Promise<Reply> {
    const content = { roomId, ...options };
    const reply = await this.#port.request({ type: 'join-room', content });
    this.#joined.set(roomId, content);
    return reply['content'] as Reply;
  }

  async leave(roomId: string): Promise<void> {
    this.#joined.delete(roomId);
    await this.#port.request({ type: 'leave-room', content: { roomId } });
  }

  /** Sends a message to the members of a room. */
  send(roomId: string, content: unknown): Promise<void> {
    return this.#port.send({ type: 'room-message', roomId, content });
  }

  /** The server removed the client from a room, or deleted it. */
  forget(roomId: unknown): void {
    this.#joined.delete(roomId as string);
  }

  rejoin(): void {
    for (const [roomId, content] of this.#joined) {
      this.#port.ask({ type: 'join-room', content }, (reply) => {
        if (reply['type'] !== 'error' || reply['content']?.code === 'ALREADY_IN_ROOM') return;
        this.#joined.delete(roomId);
        this.#port.fail(serverError(reply));
      });
    }
  }

  clear(): void {
    this.#joined.clear();
  }
}
