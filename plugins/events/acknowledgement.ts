import { ModuleError, type Connection, type Message, type Outgoing, type Quota } from '../../src/index.ts';
import { toFields } from './event-wire.ts';

/** Maximum pending acknowledgements of one socket. Beyond it, the oldest is sent without content. */
const MAX_PER_SOCKET = 64;

/** Sent instead of an acknowledgement that cannot be encoded. The `error` event has the details. */
const ENCODING_FAILED = new ModuleError('INTERNAL_ERROR');

/** The acknowledgement of one event. It is sent at most once. */
export class Acknowledgement {
  readonly #id: string | undefined;
  readonly #connection: Connection;
  readonly #fields: Partial<Outgoing>;
  /** Set while the handler runs. Dropped afterwards, because its content may be large. */
  #message: Message | undefined;
  #whenGiven: (() => void) | undefined;
  /** Whether it was sent, or the kernel will send an error instead. */
  #isOver = false;

  /** @param fields fields of every message of the namespace */
  constructor(message: Message, connection: Connection, fields: Partial<Outgoing>) {
    this.#message = message;
    this.#id = message.id;
    this.#connection = connection;
    this.#fields = fields;
    // Otherwise the kernel acknowledges when the handler returns.
    message.ack = false;
  }

  get isGiven(): boolean { return this.#isOver || this.#message?.isAnswered === true; }

  /** Called by layers and listeners. Further calls, and calls after the kernel's timeout, are ignored. */
  readonly give = (...args: unknown[]): void => {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#whenGiven?.();
    if (this.#message?.isAnswered) return;
    if (this.#message) this.#message.isAnswered = true;
    const { code, message } = ENCODING_FAILED;
    if (!this.#send({ type: 'ack', ...toFields(args) })) this.#send({ type: 'error', content: { code, message } });
  };

  /** `false`: the message was not queued. */
  #send(answer: Outgoing): boolean {
    return !this.#connection.isOpen || this.#connection.send({ ...answer, replyTo: this.#id, ...this.#fields });
  }

  /** The kernel will reply with an error instead. */
  fail(): void { this.#isOver = true; }

  /** The handler returned, but the acknowledgement is pending. @param whenGiven called when it is sent */
  defer(whenGiven: () => void): void {
    this.#message = undefined;
    this.#whenGiven = whenGiven;
  }

  /** Resolves when the acknowledgement is sent. */
  given(): Promise<void> { return new Promise((resolve) => (this.#whenGiven = resolve)); }
}

/** The acknowledgements of one socket that are pending after their listeners returned. */
export class PendingAcknowledgements {
  readonly #pending = new Set<Acknowledgement>();
  readonly #quota: Quota;
  readonly #owner: string;

  /** @param owner the owner in the quota */
  constructor(quota: Quota, owner: string) {
    this.#quota = quota;
    this.#owner = owner;
  }

  /**
   * Keeps an acknowledgement until it is called or expires.
   * @param start starts the time limit; returns its undo
   */
  add(answer: Acknowledgement, start: (expire: () => void) => () => void): void {
    if (!this.#reserve()) {
      const [oldest] = this.#pending;
      oldest?.give();
      if (!this.#reserve()) return answer.give();
    }
    const cancel = start(() => answer.give());
    this.#pending.add(answer);
    answer.defer(() => {
      this.#pending.delete(answer);
      this.#quota.give(this.#owner);
      cancel();
    });
  }

  #reserve(): boolean { return this.#pending.size < MAX_PER_SOCKET && this.#quota.take(this.#owner) === undefined; }

  /** Sends all of them, without content. */
  close(): void { for (const answer of [...this.#pending]) answer.give(); }
}
