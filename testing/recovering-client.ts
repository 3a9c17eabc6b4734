import { randomUUID } from 'node:crypto';
import type { Position } from '../index.ts';
import type { Client, Received } from './client.ts';

interface Pending {
  readonly message: { readonly type: string; readonly [field: string]: unknown };
  readonly sentAt: number;
  readonly resolve: (reply: Received) => void;
}

/** A topic whose missed messages the client did not get: those between two positions. */
export interface MissedTopic {
  readonly topic: string;
  readonly reason: string;
  readonly from: Position | undefined;
  readonly to: Position;
}

/**
 * A client that survives drops, for tests: it keeps its session and its positions, catches up when it reconnects, and
 * sends again what was not acknowledged.
 *
 * @example
 * const client = new RecoveringClient(() => connect(url));
 * await client.open();
 * await client.request({ type: 'join-room', roomId: 'lobby' });
 * await client.drop();
 * await client.open();
 */
export class RecoveringClient {
  /** The messages with an offset, in the order in which they were handled. */
  readonly messages: Received[] = [];
  /** Messages that the server sent although the client had them. It is empty if the server works. */
  readonly repeated: Received[] = [];
  readonly missed: MissedTopic[] = [];
  /** The position in each topic. */
  readonly positions = new Map<string, Position>();
  readonly #connect: () => Promise<Client>;
  readonly #pending = new Map<string, Pending>();
  #client: Client | undefined;
  #sessionId: string | undefined;

  /** @param connect opens a connection, and authenticates it */
  constructor(connect: () => Promise<Client>) { this.#connect = connect; }

  get sessionId(): string | undefined { return this.#sessionId; }

  /** The connection; `undefined` while there is none. */
  get client(): Client | undefined { return this.#client; }

  /** Connects, and recovers. Resolves with the content of the server's answer. */
  async open(): Promise<any> {
    const client = await this.#connect();
    client.ws.on('message', (data: Buffer) => this.#receive(client, JSON.parse(data.toString()) as Received));
    this.#client = client;
    const positions = [...this.positions].map(([topic, position]) => ({ topic, ...position }));
    const content = { sessionId: this.#sessionId, positions };
    const reply = await client.request({ type: 'recover', content });
    if (reply.type === 'error') throw new Error(`recover was answered ${JSON.stringify(reply.content)}`);
    for (const [id, { message, sentAt }] of this.#pending) {
      void client.send({ ...message, id, ack: true, meta: { repeat: Math.round(performance.now() - sentAt) } });
    }
    return reply.content as unknown;
  }

  /** Cuts the connection without a closing handshake. */
  async drop(): Promise<void> {
    const client = this.#client;
    this.#client = undefined;
    await client?.terminate();
  }

  /** Sends a message until it is answered, also over several connections. */
  request(message: Pending['message']): Promise<Received> {
    const id = randomUUID();
    return new Promise((resolve) => {
      this.#pending.set(id, { message, sentAt: performance.now(), resolve });
      void this.#client?.send({ ...message, id, ack: true });
    });
  }

  #receive(client: Client, message: Received): void {
    // What arrives after drop() is lost, as in a network.
    if (client !== this.#client) return;
    const { content } = message;
    if (message.type === 'recovered') {
      this.#sessionId = content.sessionId as string;
      for (const state of content.topics) this.#handleState(state);
    } else if (message.type === 'subscribed' || message.type === 'messages-missed') this.#handleState(content);
    else if (message.type === 'room-joined' && content.history) this.#handleState(content.history);
    else if (message.type === 'room-left') this.positions.delete(`room:${content.roomId as string}`);
    else if (message.type === 'unsubscribed') this.positions.delete(content.topic as string);
    else if (typeof message.offset === 'number') this.#handle(message);
    const pending = this.#pending.get(message.replyTo ?? '');
    if (!pending) return;
    this.#pending.delete(message.replyTo!);
    pending.resolve(message);
  }

  #handleState({ topic, epoch, offset, id, recovered, reason, messages = [] }: Received): void {
    for (const message of messages) this.#handle(message as Received);
    const to = { epoch, offset, id: id ?? '' };
    if (recovered === false) this.missed.push({ topic, reason, from: this.positions.get(topic as string), to });
    if (reason === 'unknown' || reason === 'no-history') this.positions.delete(topic as string);
    else if (!this.#knows(topic as string, epoch as string, offset as number)) {
      this.positions.set(topic as string, to);
    }
  }

  #handle(message: Received): void {
    const { topic, epoch, offset, id } = message;
    if (this.#knows(topic as string, epoch as string, offset as number)) return void this.repeated.push(message);
    this.positions.set(topic as string, { epoch, offset, id: id! });
    this.messages.push(message);
  }

  #knows(topic: string, epoch: string, offset: number): boolean {
    const known = this.positions.get(topic);
    return known?.epoch === epoch && known.offset >= offset;
  }
}
