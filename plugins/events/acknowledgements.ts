import { ModuleError, type Connection, type Message, type Outgoing } from '../../src/index.ts';
import { toFields } from './arguments.ts';
import type { Host } from './host.ts';

/** Answers of one socket that may still be given after their listeners have returned; beyond it, the oldest is given without content. */
const MOST_OPEN = 64;

/** Instead of an answer that cannot be written, of which the `error` event tells. */
const UNWRITABLE = new ModuleError('INTERNAL_ERROR');

/** The answer to one event, given once. */
export class Acknowledgement {
  readonly #message: Message;
  readonly #connection: Connection;
  readonly #fields: Partial<Outgoing>;
  #whenGiven: (() => void) | undefined;
  /** Given, or about to be answered with an error. */
  #isOver = false;

  /** @param fields what every message of the namespace carries */
  constructor(message: Message, connection: Connection, fields: Partial<Outgoing>) {
    this.#message = message;
    this.#connection = connection;
    this.#fields = fields;
    // From here on it is answered by us, and not by the kernel when the handler returns.
    message.ack = false;
  }

  get isGiven(): boolean { return this.#isOver || this.#message.isAnswered; }

  /** What layers and listeners call. A second call changes nothing, nor does one after the kernel has answered, because it took too long. */
  readonly give = (...args: unknown[]): void => {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#whenGiven?.();
    if (this.#message.isAnswered) return;
    this.#message.isAnswered = true;
    const { code, message } = UNWRITABLE;
    if (!this.#send({ type: 'ack', ...toFields(args) })) this.#send({ type: 'error', content: { code, message } });
  };

  /** `false`: it is not queued. */
  #send(answer: Outgoing): boolean {
    return !this.#connection.isOpen || this.#connection.send({ ...answer, replyTo: this.#message.id, ...this.#fields });
  }

  /** The kernel answers it, with an error. */
  fail(): void { this.#isOver = true; }

  onceGiven(listener: () => void): void { this.#whenGiven = listener; }

  /** Resolves once it is given. */
  given(): Promise<void> { return new Promise((resolve) => this.onceGiven(resolve)); }
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
