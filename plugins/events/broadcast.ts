import { ModuleError, toError } from '../../src/index.ts';
import { splitArguments } from './arguments.ts';
import type { Broadcaster, RoomList, Socket } from './contracts.ts';
import type { Membership } from './membership.ts';
import { assertDelay, assertEvent, roomNames } from './names.ts';

/** Whom a broadcast is for: everybody, or who is in one of the rooms; but for who is in one of those excluded. */
export interface Selection {
  readonly rooms: ReadonlySet<string> | undefined;
  readonly except: ReadonlySet<string>;
}

/** What carries a broadcast. */
export interface Carrier {
  /** Sends an event. Returns for how many sockets of this node it is queued. */
  publish(event: string, args: readonly unknown[], selection: Selection): number;
  /** Those of this node whom a selection is for. */
  select(selection: Selection): Membership[];
  report(error: unknown): void;
}

/** Some did not acknowledge a broadcast: `missing` says who and, by a code, why; `responses` is what did come. */
export class AcknowledgementsMissing extends ModuleError {
  readonly responses: readonly unknown[];
  readonly missing: readonly { readonly id: string; readonly code: string }[];

  constructor(responses: readonly unknown[], missing: AcknowledgementsMissing['missing']) {
    const message = `${missing.length} of ${missing.length + responses.length} sockets did not acknowledge it`;
    super('ACKNOWLEDGEMENTS_MISSING', { missing: missing.length, received: responses.length }, { message, expose: false });
    this.responses = responses;
    this.missing = missing;
  }
}

const EVERYBODY: Selection = { rooms: undefined, except: new Set() };

export class Broadcast implements Broadcaster<any, any> {
  readonly #carrier: Carrier;
  readonly #selection: Selection;
  readonly #timeout: number | undefined;

  constructor(carrier: Carrier, selection = EVERYBODY, timeout?: number) {
    this.#carrier = carrier;
    this.#selection = selection;
    this.#timeout = timeout;
  }

  to(rooms: RoomList): Broadcast { return this.#with({ ...this.#selection, rooms: extended(this.#selection.rooms, rooms) }); }

  in(rooms: RoomList): Broadcast { return this.to(rooms); }

  except(rooms: RoomList): Broadcast { return this.#with({ ...this.#selection, except: extended(this.#selection.except, rooms) }); }

  #with(selection: Selection): Broadcast { return new Broadcast(this.#carrier, selection, this.#timeout); }

  timeout(milliseconds: number): Broadcast {
    assertDelay(milliseconds);
    return new Broadcast(this.#carrier, this.#selection, milliseconds);
  }

  emit(event: string, ...args: unknown[]): boolean {
    assertEvent(event);
    const [given, answered] = splitArguments(args);
    if (!answered) return this.#carrier.publish(event, given, this.#selection) > 0;
    const targets = this.#carrier.select(this.#selection);
    this.#ask(targets, event, given)
      .then((came) => answered(null, came), (error: unknown) => answered(error, (error as AcknowledgementsMissing).responses))
      .catch((error: unknown) => this.#carrier.report(error));
    return targets.length > 0;
  }

  async emitWithAck(event: string, ...args: unknown[]): Promise<any[]> {
    assertEvent(event);
    return this.#ask(this.#carrier.select(this.#selection), event, args);
  }

  async #ask(targets: readonly Membership[], event: string, args: readonly unknown[]): Promise<unknown[]> {
    const responses: unknown[] = [];
    const missing: { id: string; code: string }[] = [];
    await Promise.all(targets.map(async (target) => {
      try {
        const [answer] = await target.ask(event, args, this.#timeout);
        responses.push(answer);
      } catch (thrown) {
        const error = toError(thrown);
        missing.push({ id: target.connection.id, code: error instanceof ModuleError ? error.code : error.name });
      }
    }));
    if (missing.length > 0) throw new AcknowledgementsMissing(responses, missing);
    return responses;
  }

  async fetchSockets(): Promise<Socket[]> { return this.#carrier.select(this.#selection).map(({ socket }) => socket); }

  socketsJoin(rooms: RoomList): void { for (const target of this.#carrier.select(this.#selection)) target.join(rooms); }

  socketsLeave(rooms: RoomList): void { for (const target of this.#carrier.select(this.#selection)) target.leave(rooms); }

  disconnectSockets(close = false): void { for (const target of this.#carrier.select(this.#selection)) target.disconnect(close); }
}

const extended = (rooms: ReadonlySet<string> | undefined, more: RoomList): Set<string> => new Set([...(rooms ?? []), ...roomNames(more)]);
