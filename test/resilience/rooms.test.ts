import { expect } from 'chai';
import sinon from 'sinon';
import { rooms, type RoomsApi, type RoomsOptions } from '../../plugins/rooms.ts';
import { definePlugin, type Connection, type Node } from '../../index.ts';
import { Hub } from '../../src/messages/hub.ts';
import { cleanup } from '../support/cleanup.ts';
import type { Client } from '../support/client.ts';
import { heapUsed, MB } from '../support/memory.ts';
import { start, type Started } from '../support/start.ts';
import { eventually, fastest, percentile, timed, withinAllowance } from '../support/timing.ts';

interface Furnished extends Started {
  readonly api: RoomsApi;
  readonly node: Node;
}

/** A server with so many rooms: `room 0`, `room 1`, … */
async function furnished(count: number, options: RoomsOptions = {}): Promise<Furnished> {
  let node!: Node;
  const probe = definePlugin({ name: 'probe', setup(context) { node = context.node; } });
  const limits = { maxRooms: 200_000, maxRoomsPerConnection: 10_000, defaults: { maxUsers: 100_000 } };
  const started = await start({
    maxConnections: 2_000,
    heartbeat: false,
    use: [rooms({ ...limits, ...options }), probe],
  });
  const api = started.manager.api('rooms');
  for (let n = 0; n < count; n++) await api.create(`room ${n}`);
  return { ...started, api, node };
}

/** So many clients, each with its connection on the server. */
async function arrive({ manager, connect }: Started, count: number): Promise<[Client, Connection][]> {
  const pairs: [Client, Connection][] = [];
  const listen = (connection: Connection): void => { made.push(connection); };
  const made: Connection[] = [];
  manager.on('connection:added', listen);
  for (let n = 0; n < count; n++) {
    const client = await connect();
    await eventually('a connection', () => made.length === n + 1);
    pairs.push([client, made[n]!]);
  }
  manager.off('connection:added', listen);
  return pairs;
}

async function enter({ api }: Furnished, { id }: Connection, from: number, count: number): Promise<void> {
  for (let n = from; n < from + count; n++) await api.join(id, `room ${n}`);
}

/** Milliseconds that the server takes to remove each connection that closes. */
function removals(): number[] {
  const took: number[] = [];
  const stub = sinon.stub(Hub.prototype, 'remove').callsFake(function (this: Hub, ...parameters) {
    const from = performance.now();
    stub.wrappedMethod.apply(this, parameters);
    took.push(performance.now() - from);
  });
  cleanup(() => stub.restore());
  return took;
}

describe('many rooms', () => {
  it('take at most 2 ms to remove a client that disconnects from 1,000 shared rooms', async () => {
    const server = await furnished(1_000);
    const [[, other]] = await arrive(server, 1) as [[Client, Connection]];
    await enter(server, other, 0, 1_000);
    const took = removals();

    await withinAllowance(10, async () => {
      took.length = 0;
      for (const [client, connection] of await arrive(server, 10)) {
        await enter(server, connection, 0, 1_000);
        await client.terminate();
      }
      await eventually('all gone', () => took.length === 10);
      return { 'median of ten disconnects, in ms': { value: percentile(took, 0.5), allowed: 2 } };
    });

    expect(server.api.of(other.id).size).to.equal(1_000);
    expect(server.manager.getMetrics().plugins['rooms']).to.include({ room_memberships: 1_000 });
  });

  it('cost the same for a join of 1,000 members as of 50', async () => {
    const server = await furnished(2, { announce: false });
    const arrived = await arrive(server, 1_000);
    for (const [, { id }] of arrived.slice(1)) await server.api.join(id, 'room 0');
    for (const [, { id }] of arrived.slice(1, 51)) await server.api.join(id, 'room 1');
    const { id } = arrived[0]![1];
    const cycles = (room: string) => async (): Promise<void> => {
      for (let n = 0; n < 2_000; n++) {
        await server.api.join(id, room);
        await server.api.leave(id, room);
      }
    };

    await withinAllowance(5, async () => {
      const [small, large] = [await fastest(5, cycles('room 1')), await fastest(5, cycles('room 0'))];
      return { 'ms for 2,000 joins of a room of 1,000': { value: large, allowed: 1.5 * small } };
    });
  });

  it('need 50 deliveries for a message to 50 members, among 100,000 rooms', async () => {
    const server = await furnished(100_000);
    const arrived = await arrive(server, 60);
    for (const [, connection] of arrived.slice(0, 50)) await server.api.join(connection.id, 'room 77777');
    for (const [, connection] of arrived.slice(50)) await server.api.join(connection.id, 'room 77776');
    const sent = server.manager.getMetrics().messages.sentMessages;

    const count = server.api.publish('room 77777', { type: 'word' });

    expect(count).to.equal(50);
    expect(server.manager.getMetrics().messages.sentMessages - sent).to.equal(50);
    const [few, many] = [await furnished(1), server];
    const [[, lonely]] = await arrive(few, 1) as [[Client, Connection]];
    await few.api.join(lonely.id, 'room 0');
    await many.api.leaveAll(arrived[59]![1].id);
    await many.api.join(arrived[59]![1].id, 'room 99999');
    const publishing = (api: RoomsApi, room: string) => async (): Promise<void> => {
      for (let n = 0; n < 2_000; n++) api.publish(room, { type: 'word' });
      await many.manager.drained();
      await few.manager.drained();
    };
    await withinAllowance(5, async () => {
      const [one, all] = [
        await fastest(5, publishing(few.api, 'room 0')),
        await fastest(5, publishing(many.api, 'room 99999')),
      ];
      return { 'ms for 2,000 messages among 100,000 rooms': { value: all, allowed: 1.5 * one } };
    });
  });

  it('take less than 200 bytes for each of 100,000 memberships', async () => {
    // Notices of joins wait for up to a second.
    const server = await furnished(100, { announce: false });
    const arrived = await arrive(server, 1_000);
    await enter(server, arrived[0]![1], 0, 100);
    const before = heapUsed();

    for (const [, connection] of arrived.slice(1)) await enter(server, connection, 0, 100);
    await new Promise(setImmediate);

    const bytes = (heapUsed() - before) / 99_900;
    console.log(`      ${bytes.toFixed(0)} bytes a membership`);
    expect(bytes).to.be.below(200);
  });

  it('do not grow the heap over 10,000 cycles of joining and leaving', async () => {
    const server = await furnished(50);
    const arrived = await arrive(server, 20);
    const cycles = async (count: number): Promise<void> => {
      for (let n = 0; n < count; n++) {
        const { id } = arrived[n % arrived.length]![1];
        await server.api.join(id, `room ${n % 50}`);
        await server.api.leave(id, `room ${n % 50}`);
      }
      await server.manager.drained();
      await new Promise(setImmediate);
    };
    await cycles(2_000);
    const before = heapUsed();

    await cycles(10_000);

    const growth = heapUsed() - before;
    console.log(`      ${(growth / MB).toFixed(2)} MB`);
    expect(growth).to.be.below(0.5 * MB);
    expect(server.manager.getMetrics().plugins['rooms']).to.include({ room_memberships: 0 });
  });

  it('cost at most 1.1 of what publishing to the topic costs', async () => {
    const server = await furnished(1);
    const arrived = await arrive(server, 50);
    for (const [, connection] of arrived) await server.api.join(connection.id, 'room 0');
    const room = (): number =>
      server.api.publish('room 0', { type: 'word', content: { roomId: 'room 0', content: 'hello' } });
    const bare = (): number =>
      server.node.publish('room:room 0', { type: 'word', content: { roomId: 'room 0', content: 'hello' } });
    // What the sockets take to write it is the same for both.
    const repeat = async (publish: () => number): Promise<number> => {
      const took = await timed(() => { for (let n = 0; n < 200; n++) publish(); });
      await server.manager.drained();
      return took;
    };

    await withinAllowance(5, async () => {
      const times = { room: Infinity, bare: Infinity };
      // In turns, so that what else the machine does falls on both.
      for (let round = 0; round < 50; round++) {
        times.bare = Math.min(times.bare, await repeat(bare));
        times.room = Math.min(times.room, await repeat(room));
      }
      return { 'ms for 200 messages to a room': { value: times.room, allowed: 1.1 * times.bare } };
    });
  });
});
