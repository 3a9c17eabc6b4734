// A node with rooms, on a Redis that it shares with other nodes. Clients name their user in the query.
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { WebSocketModule } from '../../../index.ts';
import { RedisAdapter } from '../../../adapters/redis.ts';
import { connectionLimits, type ConnectionLimitsOptions } from '../../../middleware/connection-limits.ts';
import { events } from '../../../plugins/events.ts';
import { namespaces } from '../../../plugins/namespaces.ts';
import { rooms, type RoomInit, type RoomsApi, type RoomsOptions } from '../../../plugins/rooms.ts';
import type { AdapterNode } from '../../../src/index.ts';
import { serve } from '../child.ts';

export interface RoomNodeOptions {
  readonly nodeId: string;
  readonly url: string;
  readonly rooms?: RoomsOptions;
  readonly limits?: ConnectionLimitsOptions;
  /** Delivers each packet of the bus twice, and packets of different topics in another order. */
  readonly isDisordered?: boolean;
}

/** What a node has seen since it started; `at` is milliseconds since the epoch. */
interface Log {
  readonly events: { readonly type: string; readonly roomId: string; readonly userId: string }[];
  readonly lapses: number[];
  readonly renewals: number[];
  readonly losses: number[];
  readonly errors: string[];
  /** What was thrown and not caught. */
  readonly failures: string[];
}

/** Repeats packets, and delivers those that arrive together in another order, but each topic in order. */
class DisorderedAdapter extends RedisAdapter {
  override start(node: AdapterNode): Promise<void> {
    const waiting = new Map<string, Uint8Array[]>();
    const flush = (): void => {
      const topics = [...waiting].reverse();
      waiting.clear();
      for (const [topic, packets] of topics) for (const packet of packets) node.receive(topic, packet);
    };
    return super.start({
      ...node,
      receive(topic, packet) {
        if (waiting.size === 0) setTimeout(flush, 20);
        const packets = waiting.get(topic) ?? [];
        waiting.set(topic, packets);
        const copy = Uint8Array.from(packet);
        const before = packets.at(-1);
        packets.push(copy, copy, ...(before ? [before] : []));
      },
    });
  }
}

let manager: ReturnType<typeof WebSocketModule.create>;
let api: RoomsApi;
const log: Log = { events: [], lapses: [], renewals: [], losses: [], errors: [], failures: [] };
process.on('uncaughtException', (error) => { log.failures.push(error.stack ?? error.message); });
process.on('unhandledRejection', (error) => { log.failures.push(error instanceof Error ? error.stack! : String(error)); });

const calls = {
  /** Resolves to the port, or to the code of the error. */
  async start({ nodeId, url, rooms: options = {}, limits, isDisordered = false }: RoomNodeOptions): Promise<number | string> {
    const server = createServer();
    const adapter = new (isDisordered ? DisorderedAdapter : RedisAdapter)({ url });
    manager = WebSocketModule.create({ server, nodeId, adapter, heartbeat: false, logLevel: 'error' });
    manager.on('error', (error) => { log.errors.push(error.message); });
    manager.on('store:lapsed', () => { log.lapses.push(Date.now()); });
    manager.on('store:renewed', () => { log.renewals.push(Date.now()); });
    manager.on('store:data-lost', () => { log.losses.push(Date.now()); });
    manager.use({
      type: 'connection',
      name: 'by-name',
      handler: (_ws, { url: path }) => {
        const id = new URL(path, 'ws://host').searchParams.get('user');
        return id ? { user: { id } } : undefined;
      },
    });
    if (limits) manager.use(connectionLimits(limits));
    manager.use(rooms(options));
    manager.use(namespaces());
    manager.use(events());
    manager.on('room:joined', ({ room, userId }) => { log.events.push({ type: 'joined', roomId: room.id, userId }); });
    manager.on('room:left', ({ room, userId }) => { log.events.push({ type: 'left', roomId: room.id, userId }); });
    try {
      await manager.ready();
    } catch (error) {
      const { code, cause } = error as { code?: string; cause?: { code?: string } };
      return cause?.code ?? code ?? String(error);
    }
    api = manager.api('rooms');
    manager.io.on('connection', (socket) => { void socket.join('sockets'); });
    server.listen(0, '127.0.0.1', 4_096);
    await once(server, 'listening');
    return (server.address() as AddressInfo).port;
  },
  async ensure(roomId: string, init: RoomInit = {}) { await api.ensure(roomId, init); },
  /** Adds a ban. */
  ban: (roomId: string, userId: string) => api.ban(roomId, userId),
  /** The members on all nodes, as the store has them. */
  async members(roomId: string): Promise<string[]> {
    const all: string[] = [];
    let cursor: string | undefined;
    do {
      const page = await api.fetchMembers(roomId, { limit: 1_000, cursor });
      all.push(...page.members.map(({ userId }) => userId));
      cursor = page.cursor;
    } while (cursor !== undefined);
    return all;
  },
  /** The members with a connection to this node. */
  local: (roomId: string) => [...api.get(roomId)?.users ?? []],
  /** Sends to the sockets of all nodes, over `events`. */
  emit(text: string) { manager.io.to('sockets').emit('news', text); },
  /** Counts the sockets of all nodes. */
  async sockets(): Promise<number> { return (await manager.io.in('sockets').fetchSockets()).length; },
  nodes: () => Number(manager.inspect()['nodes']),
  health: () => manager.getHealth().status,
  log: () => log,
  /** Milliseconds of processor time that this process has used. */
  cpu() {
    const { user, system } = process.cpuUsage();
    return (user + system) / 1_000;
  },
  heap() {
    global.gc!();
    return process.memoryUsage().heapUsed;
  },
};
export type RoomNode = typeof calls;
serve(calls);
