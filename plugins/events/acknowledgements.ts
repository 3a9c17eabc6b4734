import type { Connection, Message, Outgoing } from '../../src/index.ts';
import { toFields } from './arguments.ts';
import type { Host } from './host.ts';

/** Answers of one socket that may still be given after their listeners have returned; beyond it, the oldest is given without content. */
const MOST_OPEN = 64;

/** The answer to one event, given once. */
export class Acknowledgement {
  readonly #message: Message;
  readonly #connection: Connection;
  readonly #fields: Partial<Outgoing>;
  #whenGiven: (() => void) | undefined;
  #isGiven = false;

  /** @param fields what every message of the namespace carries */
  constructor(message: Message, connection: Connection, fields: Partial<Outgoing>) {
    this.#message = message;
    this.#connection = connection;
    this.#fields = fields;
    // From here on it is answered by us, and not by the kernel when the handler returns.
    message.ack = false;
  }

  get isGiven(): boolean { return this.#isGiven; }

  /** What listeners call. A second call changes nothing. */
  readonly give = (...args: unknown[]): void => {
    if (this.#isGiven) return;
    this.#isGiven = true;
    this.#whenGiven?.();
    const { id: replyTo } = this.#message;
    if (this.#connection.isOpen) this.#connection.send({ type: 'ack', replyTo, ...this.#fields, ...toFields(args) });
  };

  /** The kernel answers it, with an error. */
  fail(): void { this.#isGiven = true; }

  onceGiven(listener: () => void): void { this.#whenGiven = listener; }
}

/** The open answers of one socket. */
export class Acknowledgements {
  readonly #open = new Map<Acknowledgement, () => void>();

  /** Waits for an answer whose listeners have returned, and may still call back. */
  await(answer: Acknowledgement, { context, settings }: Host): void {
    if (this.#open.size >= MOST_OPEN) this.#open.keys().next().value!.give();
    const cancel = context.after(settings.ackTimeout, () => answer.give());
    this.#open.set(answer, cancel);
    answer.onceGiven(() => {
      this.#open.delete(answer);
      cancel();
    });
  }

  /** Gives what is open, without content. */
  close(): void { for (const answer of [...this.#open.keys()]) answer.give(); }
}
