import { Broadcast } from './broadcast.ts';
import type { Entrance, RoomList, Socket } from './contracts.ts';
import type { Layer } from './layers.ts';
import type { Listener } from './listeners.ts';
import type { Members } from './members.ts';
import { assertFunction } from './names.ts';

/** What the server and its namespaces have in common. */
export abstract class LocalEntrance implements Entrance<any, any> {
  readonly #members: Members;
  readonly #everybody: Broadcast;

  constructor(members: Members) {
    this.#members = members;
    this.#everybody = new Broadcast(members);
  }

  use(layer: Layer<Socket<any, any>>): this {
    assertFunction(layer, 'a layer');
    this.#members.layers.push(layer);
    return this;
  }

  on(event: string, listener: Listener): this {
    this.#members.listeners.add(event, listener);
    return this;
  }

  once(event: string, listener: Listener): this {
    this.#members.listeners.add(event, listener, true);
    return this;
  }

  off(event: string, listener: Listener): this {
    this.#members.listeners.remove(event, listener);
    return this;
  }

  to(rooms: RoomList): Broadcast { return this.#everybody.to(rooms); }

  in(rooms: RoomList): Broadcast { return this.to(rooms); }

  except(rooms: RoomList): Broadcast { return this.#everybody.except(rooms); }

  timeout(milliseconds: number): Broadcast { return this.#everybody.timeout(milliseconds); }

  emit(event: string, ...args: unknown[]): boolean { return this.#everybody.emit(event, ...args); }

  emitWithAck(event: string, ...args: unknown[]): Promise<any[]> { return this.#everybody.emitWithAck(event, ...args); }

  fetchSockets(): Promise<Socket<any, any>[]> { return this.#everybody.fetchSockets(); }

  socketsJoin(rooms: RoomList): void { this.#everybody.socketsJoin(rooms); }

  socketsLeave(rooms: RoomList): void { this.#everybody.socketsLeave(rooms); }

  disconnectSockets(close = false): void { this.#everybody.disconnectSockets(close); }
}
