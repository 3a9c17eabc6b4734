import type { Reply } from './authentication.ts';
import { serverError, type ClientError } from './client-error.ts';
import type { OutgoingMessage } from './frames.ts';
import type { Recovery } from './recovery.ts';
import type { Position } from './topic-positions.ts';

export interface MembershipPort {
  request(message: OutgoingMessage): Promise<Reply>;
  send(message: OutgoingMessage): Promise<void>;
  /** Sends a message before those of the queue. */
  ask(message: Reply, onReply: (reply: Reply) => void): void;
  fail(error: ClientError): void;
}

/** Codes that say that nothing was to be done. */
const DONE = ['ALREADY_IN_ROOM'];

/** What the client has joined and subscribed to. A new connection has none of it: the requests are sent again. */
export class Memberships {
  readonly port: MembershipPort;
  readonly #recovery: Recovery;
  /** The requests, by the topic that they join. */
  readonly #requests = new Map<string, OutgoingMessage>();
  /** The last call for a topic that is not answered yet. An earlier one decides nothing. */
  readonly #latest = new Map<string, OutgoingMessage>();

  constructor(port: MembershipPort, recovery: Recovery) {
    this.port = port;
    this.#recovery = recovery;
  }

  has(topic: string): boolean { return this.#requests.has(topic); }
  entries(): [topic: string, request: OutgoingMessage][] { return [...this.#requests]; }
  load(entries: Iterable<readonly [topic: string, request: OutgoingMessage]>): void {
    for (const [topic, request] of entries) this.#requests.set(topic, request);
  }

  /** Sends the request, and remembers it if the server agrees. */
  async add(topic: string, message: OutgoingMessage, position?: Position): Promise<any> {
    this.#latest.set(topic, message);
    try {
      const known = position ?? this.#recovery.positions.get(topic);
      const { content } = await this.port.request(withPosition(message, known));
      // Left meanwhile: the answer to that follows.
      if (this.#latest.get(topic) === message) {
        this.#requests.set(topic, message);
        this.#recovery.state(message.topic === undefined ? content?.history : content);
      }
      return content;
    } finally {
      this.#settled(topic, message);
    }
  }

  /** Forgets first: a failing request must not bring it back. */
  async remove(topic: string, message: OutgoingMessage): Promise<void> {
    this.forget(topic);
    this.#latest.set(topic, message);
    try {
      await this.port.request(message);
    } finally {
      // Messages that came before the answer have a position again.
      if (!this.has(topic)) this.forget(topic);
      this.#settled(topic, message);
    }
  }

  #settled(topic: string, message: OutgoingMessage): void {
    if (this.#latest.get(topic) === message) this.#latest.delete(topic);
  }

  forget(topic: string): void {
    this.#requests.delete(topic);
    this.#recovery.leave(topic);
  }

  clear(): void {
    this.#requests.clear();
  }

  /** Sends all requests again that the server has not restored, on a new connection. */
  restore(): void {
    for (const [topic, message] of this.#requests) {
      if (this.#recovery.isRestored(topic)) continue;
      this.port.ask(withPosition(message, this.#recovery.positions.get(topic)), (reply) => {
        const { content } = reply;
        if (reply['type'] !== 'error') {
          return this.#recovery.state(message.topic === undefined ? content?.history : content);
        }
        if (DONE.includes(content?.code as string)) return;
        // Joined anew meanwhile: this is the answer to an earlier request.
        if (this.#requests.get(topic) === message) {
          this.#recovery.state({ topic, recovered: false, reason: 'unknown' });
          this.forget(topic);
        }
        this.port.fail(serverError(reply));
      });
    }
  }
}

/** `subscribe` has its fields at the top, `join-room` in its content. */
function withPosition(message: OutgoingMessage, position: Position | undefined): OutgoingMessage {
  if (!position) return message;
  if (message.topic !== undefined) return { ...message, position };
  return { ...message, content: { ...message.content as object, position } };
}
