import type { PluginContext } from '../../src/index.ts';
import type { Room } from './room.ts';

/**
 * Rooms that are empty, each until its `emptyTimeout` is over. Those with the same one are due in the order in which they came, so one
 * deadline serves them all: a client that leaves a thousand rooms sets none.
 */
export class Endings {
  readonly #context: PluginContext;
  readonly #end: (room: Room) => void;
  /** When each is due, by the length of its time. */
  readonly #queues = new Map<number, Map<Room, number>>();

  /** @param end is told of a room whose time is over */
  constructor(context: PluginContext, end: (room: Room) => void) {
    this.#context = context;
    this.#end = end;
  }

  has(room: Room): boolean { return this.#queues.get(timeoutOf(room))?.has(room) ?? false; }

  add(room: Room): void {
    const timeout = timeoutOf(room);
    let queue = this.#queues.get(timeout);
    if (!queue) {
      this.#queues.set(timeout, (queue = new Map()));
      this.#context.after(timeout, () => this.#due(timeout));
    }
    queue.set(room, performance.now() + timeout);
  }

  delete(room: Room): void { this.#queues.get(timeoutOf(room))?.delete(room); }

  #due(timeout: number): void {
    const queue = this.#queues.get(timeout)!;
    const now = performance.now();
    for (const [room, at] of queue) {
      // A timer may be early by less than a millisecond.
      if (at > now + 1) return void this.#context.after(at - now, () => this.#due(timeout));
      queue.delete(room);
      this.#end(room);
    }
    this.#queues.delete(timeout);
  }
}

const timeoutOf = (room: Room): number => room.config.behavior.emptyTimeout;
