import type { Reply } from './authentication.ts';
import { serverError, type ClientError } from './client-error.ts';
import type { OutgoingMessage } from './frames.ts';

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
  /** The requests, by a name of what they join. */
  readonly #requests = new Map<string, OutgoingMessage>();

  constructor(port: MembershipPort) {
    this.port = port;
  }

  names(): string[] { return [...this.#requests.keys()]; }

  /** Sends the request, and remembers it if the server agrees. */
  async add(name: string, message: OutgoingMessage): Promise<any> {
    const reply = await this.port.request(message);
    this.#requests.set(name, message);
    return reply['content'];
  }

  /** Forgets first: a failing request must not bring it back. */
  async remove(name: string, message: OutgoingMessage): Promise<void> {
    this.forget(name);
    await this.port.request(message);
  }

  forget(name: string): void {
    this.#requests.delete(name);
  }

  clear(): void {
    this.#requests.clear();
  }

  /** Sends all requests again, on a new connection. */
  restore(): void {
    for (const [name, message] of this.#requests) {
      this.port.ask(message, (reply) => {
        if (reply['type'] !== 'error' || DONE.includes(reply['content']?.code as string)) return;
        // Joined anew meanwhile: this is the answer to an earlier request.
        if (this.#requests.get(name) === message) this.forget(name);
        this.port.fail(serverError(reply));
      });
    }
  }
}
