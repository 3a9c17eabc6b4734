import { expect } from 'chai';
import { FaultyStore } from '../../../testing/index.ts';
import { knowEachOther } from '../../support/nodes.ts';
import { eventually } from '../../support/timing.ts';
import { code, received, type Guest } from './serving.ts';
import { sharing, twoNodes } from './sharing.ts';

const typeOf = async (asked: ReturnType<Guest['ask']>) => (await asked).type;

describe('members of rooms that nodes share', () => {
  it('are at most maxUsers, however many join on all nodes at once', async () => {
    const [here, there] = await twoNodes();
    await here.api.create('small', { maxUsers: 5 });
    const guests = [];
    for (let n = 0; n < 20; n++) guests.push(await [here, there][n % 2]!.guest(`user ${n}`));

    const replies = await Promise.all(guests.map((guest) => typeOf(guest.ask('join-room', 'small'))));

    expect(replies.filter((type) => type === 'room-joined')).to.have.length(5);
    expect((await there.api.fetchMembers('small')).members).to.have.length(5);
    expect((await here.api.fetchInfo('small')).memberCount).to.equal(5);
    expect([...here.events, ...there.events].filter((event) => event.startsWith('joined'))).to.have.length(5);
  });

  it('are listed on all nodes, in the order in which they joined, with their roles', async () => {
    const [here, there] = await twoNodes();
    const [alice] = await here.members('lobby', 'alice');
    const [bob] = [await there.guest('bob')];
    await bob.ask('join-room', 'lobby');
    await there.members('lobby', 'carol');
    await there.api.setRole('lobby', 'bob', 'admin');

    const { content } = await alice.ask('get-room-info', 'lobby');
    const first = await here.api.fetchMembers('lobby', { limit: 2 });
    const second = await here.api.fetchMembers('lobby', { limit: 2, cursor: first.cursor });

    const members = [{ userId: 'alice', role: 'member' }, { userId: 'bob', role: 'admin' }, { userId: 'carol', role: 'member' }];
    expect(content).to.deep.include({ users: members, memberCount: 3 });
    expect([...first.members, ...second.members]).to.deep.equal(members);
    expect(second.cursor).to.equal(undefined);
    expect(await code(here.api.fetchMembers('other'))).to.equal('ROOM_UNKNOWN');
    expect(await code(here.api.fetchMembers('lobby', { limit: 0 }))).to.equal('OPTION_INVALID');
  });

  it('join and leave once, whatever nodes their connections are on', async () => {
    const [here, there] = await twoNodes();
    const [alice] = await here.members('lobby', 'alice');
    const [first, second] = [await here.guest('bob'), await there.guest('bob')];
    await first.ask('join-room', 'lobby');
    await second.ask('join-room', 'lobby');

    await first.ask('leave-room', 'lobby');
    await second.client.close();
    await eventually('bob left', () => [...here.events, ...there.events].includes('left lobby bob'));

    expect((await alice.client.next('user-left')).content).to.include({ userId: 'bob', memberCount: 1 });
    expect(await received(alice, 'user-joined')).to.have.length(1);
    expect(await received(alice, 'user-left')).to.have.length(1);
    const events = [...here.events, ...there.events].filter((event) => event.endsWith('bob'));
    expect(events).to.deep.equal(['joined lobby bob', 'left lobby bob']);
  });

  it('need no password on another node', async () => {
    const [here, there] = await twoNodes();
    await here.api.create('secret', { password: 'sesame' });
    const [first, second, stranger] = [await here.guest('bob'), await there.guest('bob'), await there.guest('carol')];
    await first.ask('join-room', { roomId: 'secret', password: 'sesame' });

    expect(await typeOf(second.ask('join-room', 'secret'))).to.equal('room-joined');
    expect(await stranger.refused('join-room', 'secret')).to.equal('PASSWORD_REQUIRED');
    await second.ask('leave-room', 'secret');
    await first.ask('leave-room', 'secret');
    await eventually('the seat is free', async () => (await there.api.fetchInfo('secret')).memberCount === 0);
    expect(await second.refused('join-room', 'secret')).to.equal('PASSWORD_REQUIRED');
  });

  it('are known to canJoin on another node', async () => {
    const asked: string[] = [];
    const [here, there] = await twoNodes({ canJoin: ({ userId, isMember }) => asked.push(`${userId} ${isMember}`) > 0 });
    await here.api.create('lobby');
    for (const node of [here, there]) await (await node.guest('bob')).ask('join-room', 'lobby');
    await (await there.guest('carol')).ask('join-room', 'lobby');

    expect(asked).to.deep.equal(['bob false', 'bob true', 'carol false']);
  });

  it('that are added by manager.connections have a seat, and are banned like others', async () => {
    const [here, there] = await twoNodes();
    await here.api.create('lobby');
    const bob = await there.guest('bob');
    await there.api.fetchRoom('lobby');

    await there.manager.connections.joinRoom(bob.id, 'lobby');
    await eventually('the seat', async () => (await here.api.fetchInfo('lobby')).memberCount === 1);
    await here.api.ban('lobby', 'bob');

    await eventually('bob is out', () => bob.connection.rooms!.size === 0);
    expect((await here.api.fetchInfo('lobby')).memberCount).to.equal(0);
    expect([...here.events, ...there.events].filter((event) => event.endsWith('bob'))).to.have.members(['joined lobby bob', 'left lobby bob']);
  });

  it('get every message that is published after they joined', async () => {
    const [here, there] = await twoNodes();
    const [alice] = await here.members('lobby', 'alice');

    for (let round = 0; round < 20; round++) {
      const bob = await there.guest('bob');
      await bob.ask('join-room', 'lobby');
      await alice.client.send({ type: 'room-message', roomId: 'lobby', content: round });
      expect((await bob.client.next('room-message')).content.content).to.equal(round);
      await bob.client.close();
    }
  });

  it('keep their seat when they authenticate in a full room', async () => {
    const [here, there] = await twoNodes();
    await here.api.create('small', { maxUsers: 2 });
    const alice = await there.guest('alice');
    await alice.ask('join-room', 'small');
    const guest = await here.guest();
    await guest.ask('join-room', 'small');
    await alice.client.next('user-joined');

    here.manager.identify(guest.id, { id: 'bob', username: 'Bob' });

    expect((await alice.client.next('user-left')).content).to.include({ userId: guest.id, memberCount: 2 });
    expect((await alice.client.next('user-joined')).content).to.deep.include({ userId: 'bob', username: 'Bob', memberCount: 2 });
    expect((await there.api.fetchMembers('small')).members.map(({ userId }) => userId)).to.deep.equal(['alice', 'bob']);
    expect(here.api.members('small')).to.deep.equal(['bob']);
    expect(here.events.filter((event) => !event.includes('created'))).to.deep.equal([
      `joined small ${guest.id}`, `left small ${guest.id}`, 'joined small bob',
    ]);
    expect(await (await there.guest('carol')).refused('join-room', 'small')).to.equal('ROOM_FULL');
    await guest.client.close();
    await eventually('bob left', async () => (await there.api.fetchInfo('small')).memberCount === 1);
    expect(here.errors).to.deep.equal([]);
  });

  it('that authenticate while they join are in the room as the user', async () => {
    const [here] = await twoNodes();
    await here.api.create('lobby');
    for (let round = 0; round < 10; round++) {
      const guest = await here.guest();
      const joining = here.api.join(guest.id, 'lobby');
      for (let turn = 0; turn < round; turn++) await Promise.resolve();
      here.manager.identify(guest.id, { id: `user ${round}` });
      await joining;
    }

    const expected = Array.from({ length: 10 }, (_, n) => `user ${n}`);
    await eventually('users only', async () => {
      const { members } = await here.api.fetchMembers('lobby');
      return members.map(({ userId }) => userId).sort().join() === expected.join() || members;
    });
    expect(here.api.members('lobby')).to.have.members(expected);
    expect(here.errors).to.deep.equal([]);
  });

  it('keep their seat for a while when their connection broke, on all nodes', async () => {
    const [here, there] = await twoNodes({ seatGrace: 60_000 });
    await here.api.create('small', { maxUsers: 1 });
    const [bob, carol] = [await here.guest('bob'), await there.guest('carol')];
    await bob.ask('join-room', 'small');

    await bob.client.terminate();
    await eventually('bob left', () => here.events.includes('left small bob'));
    expect(await carol.refused('join-room', 'small')).to.equal('ROOM_FULL');
    const back = await there.guest('bob');
    expect(await typeOf(back.ask('join-room', 'small'))).to.equal('room-joined');
    await back.ask('leave-room', 'small');
    expect(await typeOf(carol.ask('join-room', 'small'))).to.equal('room-joined');
  });

  it('of a node that died leave, are announced once, and free their seats', async function () {
    this.timeout(60_000);
    const { start } = sharing();
    const [here, there, dead] = [await start(), await start(), await start()];
    await knowEachOther(here, there, dead);
    const [alice] = await here.members('lobby', 'alice');
    const carol = await there.guest('carol');
    await carol.ask('join-room', 'lobby');
    const [bob, second] = [await dead.guest('bob'), await dead.guest('bob')];
    await bob.ask('join-room', 'lobby');
    await second.ask('join-room', 'lobby');
    const shared = await dead.guest('carol');
    await shared.ask('join-room', 'lobby');

    await dead.store.lapse();

    expect((await alice.client.next('user-left', 10_000)).content).to.deep.equal({ roomId: 'lobby', userId: 'bob', username: 'BOB', memberCount: 2 });
    await eventually('the members', async () => (await there.api.fetchMembers('lobby')).members.length === 2);
    const left = [...here.events, ...there.events].filter((event) => event.startsWith('left'));
    expect(left).to.deep.equal(['left lobby bob']);
    expect(await received(carol, 'user-left')).to.have.length(1);
  });

  it('are never too many, and leave no seat behind, on an unreliable store', async function () {
    this.timeout(60_000);
    const faults = { losses: 0.05, lostReplies: 0.05, duplicates: 0.1, delays: 0.3, conflicts: 0.1, lostNotices: 0.1 };
    let seed = 1;
    const { start } = sharing((store) => new FaultyStore(store, { ...faults, seed: seed++ }));
    const nodes = [await start({ seatGrace: 0 }), await start({ seatGrace: 0 })];
    await eventually('the room', async () => typeof await code(nodes[0]!.api.ensure('small', { maxUsers: 3 })) === 'object');
    const guests = [];
    for (let n = 0; n < 12; n++) guests.push(await nodes[n % 2]!.guest(`user ${n}`));

    for (let round = 0; round < 8; round++) {
      await Promise.all(guests.map(({ ask }, n) => ask((n + round) % 3 === 0 ? 'leave-room' : 'join-room', 'small')));
      const inside = nodes.flatMap(({ api }) => api.members('small'));
      expect(new Set(inside).size).to.be.at.most(3);
    }
    await Promise.all(guests.map(({ ask }) => ask('leave-room', 'small')));

    await eventually('no seat left', async () => {
      const info = await code(nodes[0]!.api.fetchInfo('small')) as { resolved?: { memberCount: number } };
      return info.resolved?.memberCount === 0 || info;
    }, 10_000);
  });
});
