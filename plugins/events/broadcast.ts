import { ModuleError, toError } from '../../src/index.ts';
import type { Broadcaster, RoomList, Socket } from './event-contracts.ts';
import { assertDelay, assertEvent, roomNames, splitArguments } from './event-wire.ts';

/** Selects sockets: all, or those in at least one of `rooms`; without those in a room of `except`. */
export interface Selection {
  readonly rooms: ReadonlySet<string> | undefined;
  readonly except: ReadonlySet<string>;
}

/** Sends broadcasts to the sockets of one namespace. */
export interface BroadcastTransport {
  /** Sends an event. Returns the number of sockets on this node for which it is queued. */
  publish(event: string, args: readonly unknown[], selection: Selection): number;
  /** The selected sockets of this node. */
  select(selection: Selection): Socket[];
  /** Sends an event to one socket. Resolves to the arguments of its acknowledgement. */
  ask(socket: Socket, event: string, args: readonly unknown[], timeout: number | undefined): Promise<unknown[]>;
  report(error: unknown): void;
}

type Missing = readonly { readonly id: string; readonly code: string }[];

/** Some sockets did not acknowledge a broadcast. `missing` has their ids and error codes, `responses` the answers. */
export class AcknowledgementsMissing extends ModuleError {
  readonly responses: readonly unknown[];
  readonly missing: Missing;

  constructor(responses: readonly unknown[], missing: Missing) {
    super('ACKNOWLEDGEMENTS_MISSING', { missing: missing.length, received: responses.length });
    this.responses = responses;
    this.missing = missing;
  }
}

const ALL: Selection = { rooms: undefined, except: new Set() };

export class Broadcast implements Broadcaster<any, any> {
  readonly #transport: BroadcastTransport;
  readonly #selection: Selection;
  readonly #timeout: number | undefined;

  constructor(transport: BroadcastTransport, selection = ALL, timeout?: number) {
    this.#transport = transport;
    this.#selection = selection;
    this.#timeout = timeout;
  }

  to(rooms: RoomList): Broadcast {
    return this.#with({ ...this.#selection, rooms: extended(this.#selection.rooms, rooms) });
  }

  in(rooms: RoomList): Broadcast { return this.to(rooms); }

  except(rooms: RoomList): Broadcast {
    return this.#with({ ...this.#selection, except: extended(this.#selection.except, rooms) });
  }

  #with(selection: Selection): Broadcast { return new Broadcast(this.#transport, selection, this.#timeout); }

  timeout(milliseconds: number): Broadcast {
    assertDelay(milliseconds);
    return new Broadcast(this.#transport, this.#selection, milliseconds);
  }

  emit(event: string, ...args: unknown[]): boolean {
    assertEvent(event);
    const [given, acknowledge] = splitArguments(args);
    if (!acknowledge) return this.#transport.publish(event, given, this.#selection) > 0;
    const targets = this.#reachable();
    const fail = (error: unknown): unknown =>
      acknowledge.call(this, error, (error as AcknowledgementsMissing).responses);
    this.#ask(targets, event, given)
      .then((came) => acknowledge.call(this, null, came), fail)
      .catch((error: unknown) => this.#transport.report(error));
    return targets.length > 0;
  }

  async emitWithAck(event: string, ...args: unknown[]): Promise<any[]> {
    assertEvent(event);
    return this.#ask(this.#reachable(), event, args);
  }

  /** The selected sockets that are authenticated. Held connections get no broadcasts. */
  #reachable(): Socket[] { return this.#selected.filter(({ connection }) => !connection.isHeld); }

  async #ask(targets: readonly Socket[], event: string, args: readonly unknown[]): Promise<unknown[]> {
    const responses: unknown[] = [];
    const missing: { id: string; code: string }[] = [];
    await Promise.all(targets.map(async (target) => {
      try {
        const [answer] = await this.#transport.ask(target, event, args, this.#timeout);
        responses.push(answer);
      } catch (thrown) {
        const error = toError(thrown);
        missing.push({ id: target.id, code: error instanceof ModuleError ? error.code : error.name });
      }
    }));
    if (missing.length > 0) throw new AcknowledgementsMissing(responses, missing);
    return responses;
  }

  get #selected(): Socket[] { return this.#transport.select(this.#selection); }

  async fetchSockets(): Promise<Socket[]> { return this.#selected; }

  socketsJoin(rooms: RoomList): void { for (const socket of this.#selected) socket.join(rooms); }

  socketsLeave(rooms: RoomList): void {
    const names = roomNames(rooms);
    for (const socket of this.#selected) for (const name of names) socket.leave(name);
  }

  disconnectSockets(close = false): void { for (const socket of this.#selected) socket.disconnect(close); }
}

const extended = (rooms: ReadonlySet<string> | undefined, more: RoomList): Set<string> =>
  new Set([...(rooms ?? []), ...roomNames(more)]);
