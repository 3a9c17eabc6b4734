import { ModuleError, type Connection, type Message, type Outgoing, type Quota } from '../../src/index.ts';
import { toFields } from './event-wire.ts';

/** Acknowledgements that one socket may owe after their listeners returned. Beyond it, the oldest is given, empty. */
const MAX_PER_SOCKET = 64;

/** Sent instead of an answer that cannot be encoded. The `error` event has the whole of it. */
const UNWRITABLE = new ModuleError('INTERNAL_ERROR');

/** The answer to one event, given once. */
export class Acknowledgement {
  readonly #id: string | undefined;
  readonly #connection: Connection;
  readonly #fields: Partial<Outgoing>;
  /** While its handler runs. Later the answer needs nothing of the message, whose content may be large. */
  #message: Message | undefined;
  #whenGiven: (() => void) | undefined;
  /** Given, or about to be answered with an error. */
  #isOver = false;

  /** @param fields what every message of the namespace carries */
  constructor(message: Message, connection: Connection, fields: Partial<Outgoing>) {
    this.#message = message;
    this.#id = message.id;
    this.#connection = connection;
    this.#fields = fields;
    // From here on this answers, and not the kernel when the handler returns.
    message.ack = false;
  }

  get isGiven(): boolean { return this.#isOver || this.#message?.isAnswered === true; }

  /** What layers and listeners call. A second call changes nothing, nor does one after the kernel's timeout. */
  readonly give = (...args: unknown[]): void => {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#whenGiven?.();
    if (this.#message?.isAnswered) return;
    if (this.#message) this.#message.isAnswered = true;
    const { code, message } = UNWRITABLE;
    if (!this.#send({ type: 'ack', ...toFields(args) })) this.#send({ type: 'error', content: { code, message } });
  };

  /** `false`: it is not queued. */
  #send(answer: Outgoing): boolean {
    return !this.#connection.isOpen || this.#connection.send({ ...answer, replyTo: this.#id, ...this.#fields });
  }

  /** The kernel answers it, with an error. */
  fail(): void { this.#isOver = true; }

  /** The handler is done, and the answer still to be given. @param whenGiven is called when it is given */
  park(whenGiven: () => void): void {
    this.#message = undefined;
    this.#whenGiven = whenGiven;
  }

  /** Resolves when it is given. */
  given(): Promise<void> { return new Promise((resolve) => (this.#whenGiven = resolve)); }
}

/** The acknowledgements that one socket owes after their listeners returned. */
export class OwedAcknowledgements {
  readonly #owed = new Set<Acknowledgement>();
  readonly #quota: Quota;
  readonly #owner: string;

  /** @param owner under which the quota counts them */
  constructor(quota: Quota, owner: string) {
    this.#quota = quota;
    this.#owner = owner;
  }

  /**
   * Waits for an answer that something else may still give.
   * @param start starts the time limit, and returns its undo
   */
  add(answer: Acknowledgement, start: (expire: () => void) => () => void): void {
    if (!this.#reserve()) {
      const [oldest] = this.#owed;
      oldest?.give();
      if (!this.#reserve()) return answer.give();
    }
    const cancel = start(() => answer.give());
    this.#owed.add(answer);
    answer.park(() => {
      this.#owed.delete(answer);
      this.#quota.give(this.#owner);
      cancel();
    });
  }

  #reserve(): boolean { return this.#owed.size < MAX_PER_SOCKET && this.#quota.take(this.#owner) === undefined; }

  /** Gives all of them, without content. */
  close(): void { for (const answer of [...this.#owed]) answer.give(); }
}
