import { ModuleError, toError } from '../../src/index.ts';
import { readGathered, readSockets, type CallTarget, type Gathered } from './event-calls.ts';
import type { Broadcaster, RemoteSocket, RoomList, Socket } from './event-contracts.ts';
import { BUS_DELAY, NodesMissing, type EventNodes } from './event-nodes.ts';
import { assertDelay, assertEvent, roomNames, splitArguments } from './event-wire.ts';
import { FetchedSocket } from './fetched-socket.ts';

/** Selects sockets: all, or those in at least one of `rooms`; without those in a room of `except`. */
export interface Selection {
  readonly rooms: ReadonlySet<string> | undefined;
  readonly except: ReadonlySet<string>;
  /** The id of the sending socket, if it is in `except`. */
  readonly sender?: string | undefined;
  /** Whether only sockets of this node are selected. */
  readonly isLocal?: boolean | undefined;
}

/** Sends broadcasts to the sockets of one namespace. */
export interface BroadcastTransport {
  readonly name: string;
  /** The other nodes, while the plugin is loaded and if there is an adapter. */
  readonly nodes: EventNodes | undefined;
  /** Sends an event. Returns the number of sockets on this node for which it is queued. */
  publish(event: string, args: readonly unknown[], selection: Selection): number;
  /** The selected sockets of this node. */
  select(selection: Selection): Socket[];
  /** Sends an event to one socket. Resolves to the arguments of its acknowledgement. */
  ask(socket: Socket, event: string, args: readonly unknown[], timeout: number | undefined): Promise<unknown[]>;
  report(error: unknown): void;
}

type Missing = Gathered['missing'];

/**
 * Some sockets did not acknowledge a broadcast. `missing` has their ids and error codes, `responses` the answers, and
 * `nodes` the nodes that did not answer: nothing is known of their sockets.
 */
export class AcknowledgementsMissing extends ModuleError {
  readonly responses: readonly unknown[];
  readonly missing: Missing;
  readonly nodes: readonly string[];

  constructor(responses: readonly unknown[], missing: Missing, nodes: readonly string[] = []) {
    super('ACKNOWLEDGEMENTS_MISSING', {
      missing: missing.length, received: responses.length, ...(nodes.length > 0 && { nodes }),
    });
    this.responses = responses;
    this.missing = missing;
    this.nodes = nodes;
  }
}

/** Asks sockets of this node. */
export async function gather(
  transport: BroadcastTransport,
  targets: readonly Socket[],
  event: string,
  args: readonly unknown[],
  timeout: number | undefined,
): Promise<Gathered> {
  const answers: unknown[][] = [];
  const missing: { id: string; code: string }[] = [];
  await Promise.all(targets.map(async (target) => {
    try {
      answers.push(await transport.ask(target, event, args, timeout));
    } catch (thrown) {
      const error = toError(thrown);
      missing.push({ id: target.id, code: error instanceof ModuleError ? error.code : error.name });
    }
  }));
  return { answers, missing };
}

/** The sockets that are authenticated. Held connections get no broadcasts. */
export const reachable = (sockets: readonly Socket[]): Socket[] =>
  sockets.filter(({ connection }) => !connection.isHeld);

/** Writes a selection for other nodes. */
export const targetOf = ({ rooms, except }: Selection): CallTarget =>
  ({ ...(rooms && { rooms: [...rooms] }), ...(except.size > 0 && { except: [...except] }) });

const ALL: Selection = { rooms: undefined, except: new Set() };

/** Selects all sockets of a namespace, except the sender. */
export const allBut = (sender: string): Selection => ({ rooms: undefined, except: new Set([sender]), sender });

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

  get local(): Broadcast { return this.#with({ ...this.#selection, isLocal: true }); }

  #with(selection: Selection): Broadcast { return new Broadcast(this.#transport, selection, this.#timeout); }

  timeout(milliseconds: number): Broadcast {
    assertDelay(milliseconds);
    return new Broadcast(this.#transport, this.#selection, milliseconds);
  }

  emit(event: string, ...args: unknown[]): boolean {
    assertEvent(event);
    const [given, acknowledge] = splitArguments(args);
    if (!acknowledge) return this.#transport.publish(event, given, this.#selection) > 0;
    const targets = reachable(this.#selected);
    const fail = (error: unknown): unknown =>
      acknowledge.call(this, error, (error as AcknowledgementsMissing).responses);
    this.#ask(targets, event, given)
      .then((came) => acknowledge.call(this, null, came), fail)
      .catch((error: unknown) => this.#transport.report(error));
    return targets.length > 0;
  }

  async emitWithAck(event: string, ...args: unknown[]): Promise<any[]> {
    assertEvent(event);
    return this.#ask(reachable(this.#selected), event, args);
  }

  async #ask(targets: readonly Socket[], event: string, args: readonly unknown[]): Promise<unknown[]> {
    const nodes = this.#nodes;
    const asked = gather(this.#transport, targets, event, args, this.#timeout);
    const elsewhere = nodes && await this.#askElsewhere(nodes, event, args);
    const all = [await asked, ...(elsewhere?.gathered ?? [])];
    const responses = all.flatMap(({ answers }) => answers.map(([answer]) => answer));
    const missing = all.flatMap((one) => one.missing);
    const silent = elsewhere?.silent ?? [];
    if (missing.length + silent.length > 0) throw new AcknowledgementsMissing(responses, missing, silent);
    return responses;
  }

  async #askElsewhere(nodes: EventNodes, event: string, args: readonly unknown[]): Promise<{
    readonly gathered: readonly Gathered[]; readonly silent: readonly string[];
  }> {
    const { name: namespace } = this.#transport;
    const timeout = this.#timeout ?? nodes.messageTimeout;
    const { answers, missing } = await nodes.ask(
      { do: 'gather', namespace, to: targetOf(this.#selection), event, args, timeout },
      readGathered,
      { timeout: timeout + BUS_DELAY, leftAreMissing: true },
    );
    return { gathered: answers.map(({ answer }) => answer), silent: missing.map(({ node }) => node) };
  }

  get #selected(): Socket[] { return this.#transport.select(this.#selection); }

  get #nodes(): EventNodes | undefined { return this.#selection.isLocal ? undefined : this.#transport.nodes; }

  async fetchSockets(): Promise<RemoteSocket[]> {
    const nodes = this.#nodes;
    if (!nodes) return this.#selected;
    const { name: namespace } = this.#transport;
    const { answers, missing } = await nodes.ask(
      { do: 'fetch', namespace, to: targetOf(this.#selection) },
      readSockets,
      this.#timeout === undefined ? {} : { timeout: this.#timeout },
    );
    const elsewhere = answers.flatMap(({ node, answer }) =>
      answer.map((state) => new FetchedSocket(state, node, nodes, this.#transport)));
    const sockets = [...this.#selected, ...elsewhere];
    if (missing.length > 0) throw new NodesMissing(sockets, missing);
    return sockets;
  }

  socketsJoin(rooms: RoomList): void {
    this.#tell('join', rooms);
    for (const socket of this.#selected) void socket.join(rooms);
  }

  socketsLeave(rooms: RoomList): void {
    const names = this.#tell('leave', rooms);
    for (const socket of this.#selected) for (const name of names) socket.leave(name);
  }

  #tell(action: 'join' | 'leave', rooms: RoomList): readonly string[] {
    const names = roomNames(rooms);
    const { name: namespace } = this.#transport;
    this.#nodes?.tell({ do: action, namespace, to: targetOf(this.#selection), rooms: names });
    return names;
  }

  disconnectSockets(close = false): void {
    const { name: namespace } = this.#transport;
    this.#nodes?.tell({ do: 'disconnect', namespace, to: targetOf(this.#selection), close });
    for (const socket of this.#selected) socket.disconnect(close);
  }
}

const extended = (rooms: ReadonlySet<string> | undefined, more: RoomList): Set<string> =>
  new Set([...(rooms ?? []), ...roomNames(more)]);
