import { ModuleError, newId } from '../../src/index.ts';
import { readArguments, type SocketState } from './event-calls.ts';
import type { RemoteSocket, RoomList, TimedEmitter } from './event-contracts.ts';
import type { Handshake } from './event-handshake.ts';
import { BUS_DELAY, type EventNodes } from './event-nodes.ts';
import { assertDelay, assertEvent, roomNames, splitArguments } from './event-wire.ts';

/** The namespace of a fetched socket. */
export interface FetchedFrom {
  readonly name: string;
  report(error: unknown): void;
}

/** A description of a socket of another node, from the time when it was fetched. */
export class FetchedSocket implements RemoteSocket {
  readonly id: string;
  readonly handshake: Handshake;
  readonly rooms: ReadonlySet<string>;
  readonly data: any;
  readonly #node: string;
  readonly #nodes: EventNodes;
  readonly #namespace: FetchedFrom;

  constructor({ id, rooms, data, handshake }: SocketState, node: string, nodes: EventNodes, namespace: FetchedFrom) {
    this.id = id;
    this.rooms = new Set(rooms);
    this.data = data;
    this.handshake = handshake;
    this.#node = node;
    this.#nodes = nodes;
    this.#namespace = namespace;
  }

  emit(event: string, ...args: unknown[]): boolean { return this.#emit(event, args, undefined); }

  async emitWithAck(event: string, ...args: unknown[]): Promise<any> {
    const [answer] = await this.#ask(event, args, undefined);
    return answer;
  }

  timeout(milliseconds: number): TimedEmitter {
    assertDelay(milliseconds);
    return {
      emit: (event: string, ...args: unknown[]) => this.#emit(event, args, milliseconds),
      emitWithAck: async (event: string, ...args: unknown[]): Promise<any> => {
        const [answer] = await this.#ask(event, args, milliseconds);
        return answer;
      },
    };
  }

  #emit(event: string, args: readonly unknown[], timeout: number | undefined): boolean {
    assertEvent(event);
    const [given, acknowledge] = splitArguments(args);
    const isReachable = this.#nodes.nodeOf(this.id) !== undefined;
    if (!acknowledge) {
      const sent = { id: newId(), event, args: given };
      if (isReachable) this.#nodes.emit(this.#namespace.name, { socket: this.id }, sent, this.#node);
      return isReachable;
    }
    const asked = this.#ask(event, given, timeout);
    const told = timeout === undefined
      ? asked.then((answer) => Reflect.apply(acknowledge, this, answer))
      : asked.then(
          (answer) => Reflect.apply(acknowledge, this, [null, ...answer]),
          (error: unknown) => acknowledge.call(this, error),
        );
    told.catch((error: unknown) => this.#namespace.report(error));
    return isReachable;
  }

  /** @throws CONNECTION_CLOSED, REQUEST_TIMEOUT, REQUEST_ABORTED, TOO_MANY_REQUESTS, PEER_ERROR */
  async #ask(event: string, args: readonly unknown[], timeout = this.#nodes.messageTimeout): Promise<unknown[]> {
    assertEvent(event);
    const { id } = this;
    const { answers: [reply] } = await this.#nodes.ask(
      { do: 'ask', namespace: this.#namespace.name, to: { socket: id }, event, args, timeout },
      readArguments,
      { node: this.#node, timeout: timeout + BUS_DELAY },
    );
    if (reply) return reply.answer;
    if (this.#nodes.nodeOf(id) === undefined) throw new ModuleError('CONNECTION_CLOSED', { connection: id });
    throw new ModuleError('REQUEST_TIMEOUT', { type: event, attempts: 1 });
  }

  join(rooms: RoomList): void { this.#move('join', rooms); }

  leave(room: string | number): void { this.#move('leave', room); }

  #move(action: 'join' | 'leave', rooms: RoomList): void {
    const { name: namespace } = this.#namespace;
    this.#nodes.tell({ do: action, namespace, to: { socket: this.id }, rooms: roomNames(rooms) }, this.#node);
  }

  disconnect(close = false): this {
    const { name: namespace } = this.#namespace;
    this.#nodes.tell({ do: 'disconnect', namespace, to: { socket: this.id }, close }, this.#node);
    return this;
  }
}
