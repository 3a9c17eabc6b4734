import type { Connection } from '../../src/index.ts';
import { splitArguments } from './arguments.ts';
import { Broadcast, type Carrier } from './broadcast.ts';
import type { EventNamespace, Packet, RoomList, Socket } from './contracts.ts';
import type { Handshake } from './handshake.ts';
import type { Layer } from './layers.ts';
import type { Listener } from './listeners.ts';
import type { Membership } from './membership.ts';
import { assertEvent, assertFunction } from './names.ts';
import { LocalTimedEmitter } from './local-timed-emitter.ts';

/** What applications hold of a membership. All that is not theirs is private: they add properties of their own to their sockets, and replace methods. */
export class LocalSocket implements Socket {
  readonly id: string;
  readonly nsp: EventNamespace;
  readonly handshake: Handshake;
  data: any = {};
  readonly #membership: Membership;
  readonly #carrier: Carrier;

  constructor(membership: Membership, nsp: EventNamespace, handshake: Handshake, carrier: Carrier) {
    this.id = membership.connection.id;
    this.nsp = nsp;
    this.handshake = handshake;
    this.#membership = membership;
    this.#carrier = carrier;
  }

  get connection(): Connection { return this.#membership.connection; }

  get connected(): boolean { return this.#membership.isConnected; }

  get disconnected(): boolean { return !this.connected; }

  get rooms(): ReadonlySet<string> { return this.#membership.rooms; }

  // What the client sends

  on(event: string, listener: Listener): this { return this.#listen(event, listener, false); }

  once(event: string, listener: Listener): this { return this.#listen(event, listener, true); }

  #listen(event: string, listener: Listener, once: boolean): this {
    this.#membership.listen(event, listener, once);
    return this;
  }

  off(event: string, listener: Listener): this {
    this.#membership.listeners.remove(event, listener);
    return this;
  }

  removeListener(event: string, listener: Listener): this { return this.off(event, listener); }

  removeAllListeners(event?: string): this {
    this.#membership.listeners.remove(event);
    return this;
  }

  listeners(event: string): Listener[] { return this.#membership.listeners.of(event); }

  onAny(listener: Listener): this {
    assertFunction(listener, 'a listener');
    this.#membership.catchAll.push(listener);
    return this;
  }

  offAny(listener?: Listener): this {
    const { catchAll } = this.#membership;
    const index = listener ? catchAll.lastIndexOf(listener) : 0;
    if (index >= 0) catchAll.splice(index, listener ? 1 : catchAll.length);
    return this;
  }

  use(layer: Layer<Packet>): this {
    assertFunction(layer, 'a layer');
    this.#membership.layers.push(layer);
    return this;
  }

  // What the client gets

  emit(event: string, ...args: unknown[]): boolean {
    assertEvent(event);
    const [given, answered] = splitArguments(args);
    if (!answered) return this.#membership.send(event, given);
    this.#membership.ask(event, given, undefined).then((answer) => answered(...answer))
      .catch((error: unknown) => this.#membership.complain(error));
    return this.#membership.isReachable;
  }

  async emitWithAck(event: string, ...args: unknown[]): Promise<any> {
    assertEvent(event);
    const [answer] = await this.#membership.ask(event, args, undefined);
    return answer;
  }

  timeout(milliseconds: number): LocalTimedEmitter { return new LocalTimedEmitter(this.#membership, milliseconds); }

  // Rooms

  join(rooms: RoomList): void { this.#membership.join(rooms); }

  leave(room: string | number): void { this.#membership.leave(room); }

  to(rooms: RoomList): Broadcast { return this.broadcast.to(rooms); }

  in(rooms: RoomList): Broadcast { return this.to(rooms); }

  except(rooms: RoomList): Broadcast { return this.broadcast.except(rooms); }

  get broadcast(): Broadcast { return new Broadcast(this.#carrier).except(this.id); }

  disconnect(close = false): this {
    this.#membership.disconnect(close);
    return this;
  }
}
