import { expect } from 'chai';
import { MemoryAdapter } from '../../adapters/memory.ts';
import { rooms } from '../../plugins/rooms.ts';
import { pluginSuite } from '../support/plugin-suite.ts';
import { start } from '../support/start.ts';
import { eventually } from '../support/timing.ts';
import { code } from './rooms/serving.ts';

describe('rooms', () => {
  it('can be created, joined, sent messages to and left', async () => {
    const { connect } = await start({ use: [rooms()] });
    const alice = await connect();
    const bob = await connect();

    const created = await alice.request({ type: 'create-room', roomId: 'lobby' });
    await alice.request({ type: 'join-room', roomId: 'lobby' });
    const joined = await bob.request({ type: 'join-room', content: { roomId: 'lobby' } });
    const told = await alice.next('user-joined');
    await bob.send({ type: 'room-message', roomId: 'lobby', content: 'hi' });
    const heard = await alice.next('room-message');
    const own = await bob.next('room-message');
    const left = await bob.request({ type: 'leave-room', content: 'lobby' });
    const alsoTold = await alice.next('user-left');

    const { userId } = told.content;
    expect(created).to.deep.include({ type: 'room-created' });
    expect(created.content).to.include({ roomId: 'lobby', name: 'lobby', success: true, memberCount: 0 });
    expect(joined.type).to.equal('room-joined');
    expect(joined.content).to.include({
      roomId: 'lobby',
      memberCount: 2,
      role: 'member',
      isPrivate: false,
      hasPassword: false,
    });
    expect(told.content).to.deep.equal({ roomId: 'lobby', userId, memberCount: 2 });
    expect(heard.content).to.deep.equal({ roomId: 'lobby', userId, content: 'hi' });
    expect(own).to.deep.equal(heard);
    expect(left).to.deep.include({ type: 'room-left', content: { roomId: 'lobby' } });
    expect(alsoTold.content).to.deep.equal({ roomId: 'lobby', userId, memberCount: 1 });
  });

  it('are loaded by name, with options', async () => {
    const { manager, connect } = await start();
    manager.use('rooms', { maxRooms: 1 });
    await manager.ready();
    const client = await connect();

    await client.request({ type: 'create-room', roomId: 'one' });

    expect((await client.request({ type: 'create-room', roomId: 'two' })).content).to.include({
      code: 'TOO_MANY_ROOMS',
    });
    expect(manager.getMetrics().plugins['rooms']).to.deep.equal({
      rooms: 1,
      room_memberships: 0,
      room_messages_total: 0,
    });
  });

  it('let handlers of the application take precedence', async () => {
    const { manager, connect } = await start({ use: [rooms()] });
    manager.registerHandler('join_room', (message, { id }) =>
      manager
        .api('rooms')
        .join(id, (message.content as { room: string }).room)
        .then(() => 'welcome'),
    );
    await manager.api('rooms').create('lobby');
    const client = await connect();

    const reply = await client.request({ type: 'join-room', content: { room: 'lobby' } });

    expect(reply.content).to.equal('welcome');
    expect(manager.api('rooms').members('lobby')).to.have.length(1);
  });

  it('reach members on other nodes', async () => {
    const bus = {};
    const [here, there] = [
      await start({ use: [rooms()], adapter: new MemoryAdapter(bus) }),
      await start({ use: [rooms()], adapter: new MemoryAdapter(bus) }),
    ];
    const [alice, bob] = [await here.connect(), await there.connect()];
    for (const [{ manager }, client] of [[here, alice], [there, bob]] as const) {
      await manager.api('rooms').ensure('lobby');
      await client.request({ type: 'join-room', roomId: 'lobby' });
    }

    await bob.send({ type: 'room-message', roomId: 'lobby', content: 'hi' });

    expect((await alice.next('user-joined')).content).to.include({ roomId: 'lobby' });
    expect((await alice.next('room-message')).content).to.include({ content: 'hi' });
    await bob.close();
    expect((await alice.next('user-left')).content).to.include({ roomId: 'lobby' });
  });

  it('leave a working kernel when they are unloaded with 1,000 clients in them', async function () {
    this.timeout(60_000);
    const { manager, connect } = await start({ maxConnections: 1_100, use: [rooms()] });
    const before = { ...manager.inspect() };
    for (let n = 0; n < 10; n++) await manager.api('rooms').create(`room ${n}`, { maxUsers: 1_000 });
    const clients = (await Promise.all(Array.from({ length: 10 }, async () => {
      const some = [];
      for (let n = 0; n < 100; n++) some.push(await connect());
      return some;
    }))).flat();
    let n = 0;
    for (const id of manager.connections.keys()) await manager.api('rooms').join(id, `room ${n++ % 10}`);
    const [first] = clients;
    const underWay = clients
      .slice(0, 100)
      .map((client) => client.request({ type: 'room-message', roomId: 'room 0', content: 'hi', ack: true }));

    await manager.unload('rooms');

    const answers = await Promise.all(underWay);
    expect(answers.every(({ type }) => type === 'ack' || type === 'error')).to.be.true;
    expect(manager.connections.size).to.equal(1_000);
    expect(first!.messages.every(({ type }) => type !== 'user-left')).to.be.true;
    const after = manager.inspect();
    expect(after).to.include({
      topics: before['topics'],
      deadlines: before['deadlines'],
      decorations: 0,
      plugins: before['plugins']! - 1,
    });
    expect((await first!.request({ type: 'ping' })).type).to.equal('pong');
    expect((await first!.request({ type: 'join-room', roomId: 'room 0' })).content).to.include({
      code: 'UNKNOWN_TYPE',
    });
    expect(manager.broadcast({ type: 'word' })).to.equal(1_000);
    manager.use(rooms());
    await manager.ready();
    await manager.api('rooms').create('room 0');
    expect((await first!.request({ type: 'join-room', roomId: 'room 0' })).type).to.equal('room-joined');
  });

  it('reject calls of an API that is kept after unload', async () => {
    const { manager, connect } = await start({ use: [rooms()] });
    const client = await connect();
    const api = manager.api('rooms');
    await api.create('lobby');

    await manager.unload('rooms');
    const [id] = [...manager.connections.keys()];

    expect(await code(api.create('another'))).to.equal('CONTEXT_CLOSED');
    expect(await code(api.join(id!, 'lobby'))).to.equal('ROOM_UNKNOWN');
    expect(api.list()).to.deep.equal([]);
    expect((await client.request({ type: 'ping' })).type).to.equal('pong');
  });

  it('leave nothing behind after a flood of joins and leaves', async () => {
    const { manager, connect } = await start({
      use: [rooms({ createOnJoin: true, maxRoomsPerOwner: 5, defaults: { behavior: { emptyTimeout: 10 } } })],
    });
    const clients = [await connect(), await connect(), await connect()];

    const answers = await Promise.all(
      clients.flatMap((client) =>
        Array.from({ length: 300 }, (_, n) =>
          client.request({
            type: ['join-room', 'leave-room', 'create-room', 'room-message'][n % 4]!,
            roomId: `room ${n % 23}`,
            content: 'hi',
            ack: true,
          }),
        ),
      ),
    );
    await Promise.all(clients.map((client) => client.terminate()));

    expect(answers).to.have.length(900);
    await eventually('nothing left', () => {
      const { rooms: left, room_memberships: memberships } = manager.getMetrics().plugins['rooms'] as Record<
        string,
        number
      >;
      return (left === 0 && memberships === 0) || { left, memberships };
    });
    await eventually('no deadline left', () => manager.inspect()['deadlines'] === 0);
  });
});

pluginSuite('rooms', () => rooms(), {
  async exercise(_, client) {
    await client.request({ type: 'create-room', roomId: 'lobby' });
    await client.request({ type: 'join-room', roomId: 'lobby' });
    await client.send({ type: 'room-message', roomId: 'lobby', content: 'hi' });
    await client.next('room-message');
  },
});
