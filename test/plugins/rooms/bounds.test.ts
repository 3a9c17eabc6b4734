import { expect } from 'chai';
import sinon from 'sinon';
import { rooms } from '../../../plugins/rooms.ts';
import { cleanup } from '../../support/cleanup.ts';
import { heapUsed, MB } from '../../support/memory.ts';
import { start } from '../../support/start.ts';
import { eventually } from '../../support/timing.ts';
import { code, serve } from './serving.ts';

describe('the rooms of one owner', () => {
  it('are limited by address for anonymous owners, even if they reconnect', async function () {
    this.timeout(60_000);
    const { manager, connect } = await start({ trustProxy: ['127.0.0.1'], use: [rooms({ maxRooms: 100 })] });
    const clients = await Promise.all(Array.from({ length: 102 }, (_, n) => {
      return connect({ headers: { 'x-forwarded-for': `203.0.113.${n % 3}` } });
    }));

    const replies = await Promise.all(
      clients.map((client, n) => client.request({ type: 'create-room', roomId: `room ${n}` })),
    );
    const other = await connect({ headers: { 'x-forwarded-for': '203.0.113.99' } });
    const newcomer = await other.request({ type: 'create-room', roomId: 'another' });

    expect(replies.filter(({ type }) => type === 'room-created')).to.have.length(30);
    expect(replies.filter(({ content }) => content.code === 'TOO_MANY_ROOMS' && content.of === 'owner')).to.have.length(
      72,
    );
    expect(newcomer.type).to.equal('room-created');
    expect(manager.getMetrics().plugins['rooms']).to.include({ rooms: 31 });
  });

  it('are also limited for members who give them away', async () => {
    const { api, members } = await serve({ maxRoomsPerOwner: 2 });
    const [alice, bob] = await members('lobby', 'alice', 'bob');
    const outcomes: unknown[] = [];

    for (let n = 0; n < 3; n++) {
      const roomId = `room ${n}`;
      await alice.ask('create-room', { roomId });
      await bob.ask('join-room', { roomId });
      await alice.ask('room-role', { roomId, userId: 'bob', role: 'owner' });
      outcomes.push((await alice.ask('room-role', { roomId, userId: 'alice', role: 'member' })).content.code);
    }

    expect(outcomes).to.deep.equal([undefined, undefined, 'TOO_MANY_ROOMS']);
    expect([0, 1, 2].map((n) => api.get(`room ${n}`)!.owner)).to.deep.equal(['bob', 'bob', 'alice']);
  });

  it('cannot be created with maxRoomsPerOwner 0', async () => {
    const { guest } = await serve({ maxRoomsPerOwner: 0 });
    const alice = await guest('alice');

    expect(await alice.refused('create-room', 'tea')).to.equal('TOO_MANY_ROOMS');
  });
});

describe('what rooms remember', () => {
  const unlimited = { maxActionsPerMinute: 1_000_000, defaults: { message: { rateLimitPerMinute: 1_000_000 } } };

  it('is limited for each actor, in all rooms together, without affecting others', async () => {
    const { api, members } = await serve({ ...unlimited, maxRoomsPerOwner: 20 });
    await members('lobby', 'alice', 'bob');
    for (const owner of ['alice', 'bob']) for (let n = 0; n < 10; n++) await api.create(`${owner}'s ${n}`, { owner });
    await api.invite('bob\'s 0', 'the first', { by: 'bob' });
    const outcomes: unknown[] = [];

    for (let n = 0; n < 1_001; n++) {
      outcomes.push(await code(api.invite(`alice's ${n % 10}`, `user ${n}`, { by: 'alice' })));
    }

    expect(outcomes.slice(0, 1_000).every((outcome) => typeof outcome === 'object')).to.be.true;
    expect(outcomes[1_000]).to.equal('LIST_FULL');
    expect(await code(api.invite('bob\'s 0', 'the second', { by: 'bob' }))).to.deep.equal({ resolved: undefined });
    expect(await code(api.invite('alice\'s 0', 'by the server'))).to.deep.equal({ resolved: undefined });
    expect([...api.get('bob\'s 0')!.invited]).to.deep.equal(['the first', 'the second']);
  });

  it('does not count any more when an entry is undone, a room is deleted, or an anonymous member has left', async () => {
    const { api, guest, members } = await serve({ ...unlimited, maxRoomsPerOwner: 20 });
    await members('lobby', 'alice');
    const [first, second] = [
      await api.create('first', { owner: 'alice' }),
      await api.create('second', { owner: 'alice' }),
    ];
    const anonymous = await guest();
    await api.join(anonymous.id, 'first');
    await api.warn('first', anonymous.id, { by: 'alice' });
    for (let n = 0; n < 500; n++) await api.invite('first', `user ${n}`, { by: 'alice' });
    for (let n = 0; n < 499; n++) await api.invite('second', `user ${n}`, { by: 'alice' });
    const invite = (userId: string) => code(api.invite('first', userId, { by: 'alice' }));
    const full = await invite('a');

    await api.join((await guest('user 1')).id, 'first');
    await api.kick('first', 'user 1', { by: 'alice' });
    const undone = [await invite('a'), await invite('b')];
    await anonymous.client.terminate();
    await eventually('the anonymous member is forgotten', () => !first.remembers(anonymous.id));
    const gone = [await invite('b'), await invite('c')];
    await api.delete('second');
    const deleted = [await invite('c'), await invite('d')];

    const done = { resolved: undefined };
    expect([full, undone, gone, deleted]).to.deep.equal([
      'LIST_FULL',
      [done, 'LIST_FULL'],
      [done, 'LIST_FULL'],
      [done, done],
    ]);
    expect(second.invited.size).to.equal(499);
  });

  it('takes less than 5 MB of one anonymous client that uses every list for all it can', async function () {
    this.timeout(60_000);
    // What is sent would be measured, too: the client is in this process.
    const quiet = { announce: false, echo: false };
    const { api, guest, events } = await serve({ ...unlimited, ...quiet, maxRooms: 100_000 });
    const [client, mate] = [await guest(), await guest()];
    const name = (n: number) => `${String(n).padStart(6, '0')}${'x'.repeat(249)}`;
    const before = heapUsed();

    for (let n = 0; n < 50; n++) await code(api.create(`room ${n}`, { owner: client.id }));
    for (const roomId of [...api.manager.rooms.keys()]) {
      for (const { id } of [client, mate]) await api.join(id, roomId);
      const by = client.id;
      const count = roomId === 'room 0' ? 1_100 : 50;
      for (let n = 0; n < count; n++) await code(api.invite(roomId, name(n), { by }));
      for (let n = 0; n < count; n++) {
        for (const action of ['ban', 'warn'] as const) await code(api[action](roomId, name(n), { by }));
        await code(api.mute(roomId, name(n), 3_600_000, { by }));
      }
      for (const role of ['admin', 'guest']) await code(api.setRole(roomId, mate.id, role, { by }));
    }
    for (let n = 0; n < 5_000; n++) {
      const roomId = `room ${n % 10}`;
      await code(api.send(roomId, 'hi', { connectionId: mate.id }));
      await code(api.leave(mate.id, roomId));
      await code(api.join(mate.id, roomId));
    }

    events.length = 0;
    const used = (heapUsed() - before) / MB;
    console.log(`      ${used.toFixed(2)} MB`);
    expect(api.manager.rooms.size).to.equal(10);
    expect(used).to.be.below(5);
  });
});

describe('the lists of rooms', () => {
  it('HOSTILE 41: are bounded by their items, so that a short question costs no long answer each time', async () => {
    const { manager, connect } = await start({ use: [rooms({ maxRooms: 1_000 })] });
    const api = manager.api('rooms');
    for (let n = 0; n < 1_000; n++) await api.create(`room ${n}`);
    const [client, other] = [await connect(), await connect()];
    const list = { type: 'get-rooms', limit: 1_000 };

    const replies: Awaited<ReturnType<typeof client.request>>[] = [];
    const clock = sinon.useFakeTimers({ toFake: ['performance'] });
    cleanup(() => clock.restore());
    for (let count = 0; count < 15; count++) replies.push(await client.request(list));

    const refused = replies.filter(({ content }) => content.code === 'RATE_LIMITED');
    expect(refused).to.have.length(5);
    expect(refused[0]!.content).to.include({ scope: 'list' });
    expect((await other.request(list)).content.total, 'another client').to.equal(1_000);
  });
});
