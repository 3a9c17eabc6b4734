import { expect } from 'chai';
import { eventually } from '../../support/timing.ts';
import { code } from './serving.ts';
import { sharing, twoNodes } from './sharing.ts';

describe('rooms that nodes share', () => {
  it('are created on one node, and listed, described and joined on the other', async () => {
    const [here, there] = await twoNodes();
    const [alice, bob] = [await here.guest('alice'), await there.guest('bob')];

    await alice.ask('create-room', 'lobby');
    const { content: list } = await bob.ask('get-rooms');
    const { content: info } = await bob.ask('get-room-info', 'lobby');
    await alice.ask('join-room', 'lobby');
    const joined = await bob.ask('join-room', 'lobby');
    const told = await alice.client.next('user-joined');
    await bob.client.send({ type: 'room-message', roomId: 'lobby', content: 'hi' });

    expect(list.total).to.equal(1);
    expect(list.rooms[0]).to.include({ roomId: 'lobby', owner: 'alice', memberCount: 0, maxUsers: 100 });
    expect(info).to.include({ roomId: 'lobby', owner: 'alice', isPrivate: false });
    expect(joined.content).to.include({ roomId: 'lobby', memberCount: 2, role: 'member' });
    expect(told.content).to.deep.equal({ roomId: 'lobby', userId: 'bob', username: 'BOB', memberCount: 2 });
    expect((await alice.client.next('room-message')).content).to.include({ userId: 'bob', content: 'hi' });
    expect((await bob.client.next('room-message')).content).to.include({ userId: 'bob', content: 'hi' });
  });

  it('have their configuration and password on all nodes', async () => {
    const [here, there] = await twoNodes();
    const metadata = { topic: 'tea', tags: ['a'] };
    await here.api.create('Tea', {
      id: 'tea', password: 'secret', maxUsers: 7, metadata, behavior: { welcomeMessage: 'hello' },
      permissions: { roles: { dj: { canPlay: true } } }, owner: 'alice',
    });
    const bob = await there.guest('bob');

    expect(await bob.refused('join-room', 'tea')).to.equal('PASSWORD_REQUIRED');
    expect(await bob.refused('join-room', { roomId: 'tea', password: 'wrong' })).to.equal('PASSWORD_WRONG');
    expect((await bob.ask('join-room', { roomId: 'tea', password: 'secret' })).type).to.equal('room-joined');
    expect((await bob.client.next('system-message')).content).to.include({ content: 'hello' });
    const [one, other] = [here.api.get('tea')!, there.api.get('tea')!];
    expect(other).to.not.equal(one);
    expect(other.config).to.deep.equal(one.config);
    expect(other.createdAt).to.deep.equal(one.createdAt);
    expect(other.getUserRole('alice')).to.equal('owner');
    expect(await there.api.fetchInfo('tea')).to.deep.include({ name: 'Tea', metadata, hasPassword: true, isPrivate: true, maxUsers: 7 });
  });

  it('have ids and names that are unique on all nodes', async () => {
    const [here, there] = await twoNodes();
    await here.api.create('Lobby', { id: 'one' });

    expect(await code(there.api.create('Other', { id: 'one' }))).to.equal('ROOM_EXISTS');
    expect(await code(there.api.create('lobby', { id: 'two' }))).to.equal('ROOM_NAME_TAKEN');
    await here.api.delete('one');
    expect((await there.api.create('lobby', { id: 'two' })).name).to.equal('lobby');
    expect((await there.api.create('Another', { id: 'one' })).id).to.equal('one');
  });

  it('are created once when many nodes create them at once', async () => {
    const { start } = sharing();
    const nodes = await Promise.all([start(), start(), start()]);

    const same = await Promise.all(nodes.map(({ api }) => code(api.create('lobby'))));
    const ensured = await Promise.all(nodes.map(({ api }) => api.ensure('hall')));
    const similar = await Promise.all(nodes.map(({ api }, index) => code(api.create(['Tea', 'tea', 'TEA'][index]!))));

    expect(same.filter((one) => one === 'ROOM_EXISTS')).to.have.length(2);
    expect(ensured.map(({ id }) => id)).to.deep.equal(['hall', 'hall', 'hall']);
    expect(similar.filter((one) => one === 'ROOM_NAME_TAKEN')).to.have.length(2);
  });

  it('count against maxRooms and maxRoomsPerOwner of all nodes', async () => {
    const [here, there] = await twoNodes({ maxRooms: 3, maxRoomsPerOwner: 1 });

    await here.api.create('one', { owner: 'alice' });
    expect(await code(there.api.create('two', { owner: 'alice' }))).to.equal('TOO_MANY_ROOMS');
    await there.api.create('two', { owner: 'bob' });
    await there.api.create('three');
    expect(await code(here.api.create('four'))).to.equal('TOO_MANY_ROOMS');

    await there.api.delete('one');
    await here.api.create('four', { owner: 'alice' });
    expect((await here.api.fetchList()).rooms.map(({ id }) => id)).to.deep.equal(['two', 'three', 'four']);
  });

  it('leave nothing in the store when they are refused or deleted', async () => {
    const { start, data } = sharing();
    const [here, there] = [await start({ maxRooms: 1 }), await start({ maxRooms: 1 })];
    const alice = await here.guest('alice');
    await here.api.create('one', { owner: 'alice' });
    await alice.ask('join-room', 'one');
    await there.api.mute('one', 'bob', 60_000);
    await there.api.setRole('one', 'alice', 'admin').catch(() => undefined);
    expect(await code(there.api.create('two', { owner: 'bob' }))).to.equal('TOO_MANY_ROOMS');
    expect(await code(there.api.create('ONE', { id: 'two', owner: 'bob' }))).to.equal('ROOM_NAME_TAKEN');

    await there.api.delete('one');

    await eventually('nothing left', () => {
      const { documents, sets } = data.sizes;
      // The document that tells lost data from deleted rooms stays.
      return (documents === 1 && sets === 0) || data.sizes;
    });
  });

  it('are deleted on all nodes, whose members are told', async () => {
    const [here, there] = await twoNodes();
    const [alice] = await here.members('lobby', 'alice');
    const bob = await there.guest('bob');
    await bob.ask('join-room', 'lobby');

    await here.api.delete('lobby');

    expect((await bob.client.next('room-deleted')).content).to.deep.equal({ roomId: 'lobby' });
    expect((await alice.client.next('room-deleted')).content).to.deep.equal({ roomId: 'lobby' });
    await eventually('the room is gone there', () => there.api.get('lobby') === undefined);
    expect([...bob.connection.rooms!]).to.deep.equal([]);
    expect(await bob.refused('join-room', 'lobby')).to.equal('ROOM_UNKNOWN');
    await eventually('all events', () => there.events.length === 3 || there.events);
    expect(here.events).to.deep.equal(['created lobby', 'joined lobby alice', 'left lobby alice', 'deleted lobby']);
    expect(there.events).to.deep.equal(['joined lobby bob', 'left lobby bob', 'deleted lobby']);
  });

  it('are deleted when they are empty on all nodes, and not before', async () => {
    const [here, there] = await twoNodes({ defaults: { behavior: { emptyTimeout: 500 } } });
    const [alice, bob] = [await here.guest('alice'), await there.guest('bob')];
    await alice.ask('create-room', 'lobby');
    await alice.ask('join-room', 'lobby');
    await bob.ask('join-room', 'lobby');

    await alice.ask('leave-room', 'lobby');
    await new Promise((resolve) => setTimeout(resolve, 700));
    expect(here.api.get('lobby')).to.not.equal(undefined);
    expect((await here.api.fetchInfo('lobby')).memberCount).to.equal(1);
    await bob.ask('leave-room', 'lobby');

    await eventually('the room is gone', () => !here.api.get('lobby') && !there.api.get('lobby'));
    expect((await here.api.fetchList()).total).to.equal(0);
  });

  it('are deleted only when they were empty for emptyTimeout, whatever node was left last', async () => {
    const [here, there] = await twoNodes({ defaults: { behavior: { emptyTimeout: 900 } } });
    const bob = await there.guest('bob');
    await here.api.create('lobby', { owner: 'alice' });
    await bob.ask('join-room', 'lobby');
    await new Promise((resolve) => setTimeout(resolve, 600));

    await bob.ask('leave-room', 'lobby');
    const left = performance.now();
    await eventually('the room is gone', () => !here.api.get('lobby') && !there.api.get('lobby'));

    expect(performance.now() - left).to.be.above(600);
  });

  it('survive a join while an empty room is deleted, or the join is refused', async () => {
    const [here, there] = await twoNodes({ defaults: { behavior: { emptyTimeout: 1 } } });
    const bob = await there.guest('bob');

    for (let round = 0; round < 30; round++) {
      const id = `room ${round}`;
      await here.api.create(id, { owner: 'alice' });
      const joined = await there.api.join(bob.id, id).then(() => true, () => false);
      await new Promise((resolve) => setTimeout(resolve, round % 5));
      await eventually('both nodes agree', async () => (await here.api.fetchRoom(id) !== undefined) === joined);
      expect(bob.connection.rooms!.has(id)).to.equal(joined);
      if (joined) await there.api.leave(bob.id, id);
    }
  });

  it('are refused with metadata that JSON cannot represent', async () => {
    const [here] = await twoNodes();

    expect(await code(here.api.create('lobby', { metadata: { big: 1n } }))).to.equal('OPTION_INVALID');
  });

  it('are created by joining them, on two nodes at once', async () => {
    const [here, there] = await twoNodes({ createOnJoin: true });
    const [alice, bob] = [await here.guest('alice'), await there.guest('bob')];

    const replies = await Promise.all([alice.ask('join-room', 'lobby'), bob.ask('join-room', 'lobby')]);

    expect(replies.map(({ type }) => type)).to.deep.equal(['room-joined', 'room-joined']);
    expect((await here.api.fetchMembers('lobby')).members.map(({ userId }) => userId)).to.have.members(['alice', 'bob']);
  });
});
