import { expect } from 'chai';
import { eventually, timed, withinAllowance } from '../../support/timing.ts';
import { FaultyStore } from '../../../testing/index.ts';
import { code, received } from './serving.ts';
import { sharing, twoNodes } from './sharing.ts';

/** A room of alice, the owner, on one node, and bob on the other one. */
async function room() {
  const [here, there] = await twoNodes();
  const [alice, bob] = [await here.guest('alice'), await there.guest('bob')];
  await alice.ask('create-room', 'lobby');
  for (const guest of [alice, bob]) await guest.ask('join-room', 'lobby');
  await alice.client.next('user-joined');
  return { here, there, alice, bob };
}

describe('moderation of rooms that nodes share', () => {
  it('bans a user on all nodes', async () => {
    const { here, there, alice, bob } = await room();

    const reply = await alice.ask('room-ban', { roomId: 'lobby', userId: 'bob', reason: 'spam' });

    expect(reply.type).to.equal('room-ban');
    expect((await bob.client.next('banned')).content).to.deep.equal({ roomId: 'lobby', by: 'alice', reason: 'spam' });
    expect((await alice.client.next('user-left')).content).to.include({ userId: 'bob', memberCount: 1 });
    await eventually('bob is out', () => there.api.members('lobby').length === 0);
    expect(await bob.refused('room-message', { roomId: 'lobby', content: 'hi' })).to.equal('NOT_IN_ROOM');
    expect(await bob.refused('join-room', 'lobby')).to.equal('BANNED');
    expect([...here.events, ...there.events].filter((event) => event.startsWith('left'))).to.deep.equal(['left lobby bob']);
    await there.api.unban('lobby', 'bob');
    expect((await bob.ask('join-room', 'lobby')).type).to.equal('room-joined');
    expect(await received(alice, 'user-left')).to.have.length(1);
  });

  it('bans a user who joins at the same moment', async () => {
    const { alice, there } = await room();
    for (let round = 0; round < 20; round++) {
      const guest = await there.guest(`user ${round}`);
      const joining = there.api.join(guest.id, 'lobby').catch(() => undefined);
      for (let turn = 0; turn < round; turn++) await Promise.resolve();
      await Promise.all([joining, alice.ask('room-ban', { roomId: 'lobby', userId: `user ${round}` })]);
      // Without a ban by the owner, who did not know the user yet.
      await there.api.ban('lobby', `user ${round}`);
      await eventually('the guest is out', () => !guest.connection.rooms!.has('lobby'));
    }
    expect((await there.api.fetchMembers('lobby')).members.map(({ userId }) => userId)).to.deep.equal(['alice', 'bob']);
  });

  it('kicks a user on all nodes, who may return', async () => {
    const { here, there, alice, bob } = await room();
    const second = await here.guest('bob');
    await second.ask('join-room', 'lobby');

    await alice.ask('room-kick', { roomId: 'lobby', userId: 'bob' });

    for (const one of [bob, second]) expect((await one.client.next('kicked')).content).to.include({ roomId: 'lobby', by: 'alice' });
    await eventually('bob is out', () => [bob, second].every(({ connection }) => connection.rooms!.size === 0));
    expect((await alice.client.next('user-left')).content).to.include({ userId: 'bob', memberCount: 1 });
    expect((await bob.ask('join-room', 'lobby')).type).to.equal('room-joined');
    await alice.ask('room-kick', { roomId: 'lobby', userId: 'bob' });
    await eventually('bob is out again', () => there.api.members('lobby').length === 0);
    expect(await alice.refused('room-kick', { roomId: 'lobby', userId: 'bob' })).to.equal('NOT_IN_ROOM');
    const left = [...here.events, ...there.events].filter((event) => event.startsWith('left'));
    expect(left).to.deep.equal(['left lobby bob', 'left lobby bob']);
  });

  it('mutes a user on all nodes, who is told once when it ends', async () => {
    const { there, alice, bob } = await room();
    await alice.ask('room-mute', { roomId: 'lobby', userId: 'bob', duration: 60_000 });
    await eventually('bob is muted', () => there.api.get('lobby')!.mutedUntil('bob') !== undefined);

    expect(await bob.refused('room-message', { roomId: 'lobby', content: 'hi' })).to.equal('MUTED');
    await alice.ask('room-unmute', { roomId: 'lobby', userId: 'bob' });
    await eventually('bob is not muted', () => there.api.get('lobby')!.mutedUntil('bob') === undefined);
    await alice.ask('room-mute', { roomId: 'lobby', userId: 'bob', duration: 100 });
    await bob.client.next('unmuted');
    await bob.client.next('unmuted');

    expect((await bob.ask('room-message', { roomId: 'lobby', content: 'hi' }, { ack: true })).type).to.equal('ack');
    expect(await received(bob, 'unmuted')).to.have.length(2);
    expect(await code(there.api.unmute('lobby', 'bob'))).to.equal('NOT_MUTED');
  });

  it('shows a change to the members of another node within 50 ms', async () => {
    const { here, there, bob } = await room();
    const change = (role: string) => timed(async () => {
      await here.api.setRole('lobby', 'bob', role);
      await eventually('the role there', () => there.api.get('lobby')!.getUserRole('bob') === role);
    });

    await withinAllowance(6, async (round) => {
      if (round > 0) await change('guest');
      return { 'ms until the change is there': { value: await change('admin'), allowed: 50 } };
    });
    expect((await bob.client.next('role-changed')).content).to.deep.equal({ roomId: 'lobby', role: 'admin' });
    const carol = await here.guest('carol');
    await carol.ask('join-room', 'lobby');
    expect((await bob.ask('room-kick', { roomId: 'lobby', userId: 'carol' })).type).to.equal('room-kick');
    expect(await bob.refused('room-kick', { roomId: 'lobby', userId: 'alice' })).to.equal('FORBIDDEN');
  });

  it('counts warnings of all nodes, also those at the same moment', async () => {
    const { here, there } = await room();

    const counts = await Promise.all([1, 2, 3, 4].map((n) => [here, there][n % 2]!.api.warn('lobby', 'bob')));

    expect(counts.sort()).to.deep.equal([1, 2, 3, 4]);
    await eventually('the count there', () => there.api.get('lobby')!.userWarnings.get('bob') === 4);
  });

  it('invites a user, who needs no password on another node', async () => {
    const [here, there] = await twoNodes();
    await here.api.create('secret', { isPrivate: true, owner: 'alice' });
    const bob = await there.guest('bob');

    expect(await bob.refused('join-room', 'secret')).to.equal('ROOM_UNKNOWN');
    await here.api.invite('secret', 'bob');

    expect((await bob.client.next('room-invited')).content).to.include({ roomId: 'secret' });
    await eventually('the invitation', () => there.api.get('secret')!.invited.has('bob'));
    expect((await bob.ask('join-room', 'secret')).type).to.equal('room-joined');
  });

  it('acts on users who have left on another node, and on no others', async () => {
    const { alice, bob } = await room();
    await bob.ask('leave-room', 'lobby');
    await alice.client.next('user-left');

    expect((await alice.ask('room-ban', { roomId: 'lobby', userId: 'bob' })).type).to.equal('room-ban');
    expect(await alice.refused('room-ban', { roomId: 'lobby', userId: 'stranger' })).to.equal('NOT_IN_ROOM');
  });

  it('moves what is known about an anonymous member to the user', async () => {
    const { here, there, alice } = await room();
    const guest = await there.guest();
    await guest.ask('join-room', 'lobby');
    await here.api.warn('lobby', guest.id);
    await here.api.setRole('lobby', guest.id, 'admin');
    await alice.ask('room-mute', { roomId: 'lobby', userId: guest.id, duration: 60_000 });

    there.manager.identify(guest.id, { id: 'carol' });

    await eventually('carol is in', () => there.api.members('lobby').includes('carol'));
    const copy = there.api.get('lobby')!;
    expect([copy.getUserRole('carol'), copy.userWarnings.get('carol'), copy.mutedUntil('carol') !== undefined]).to.deep.equal(['admin', 1, true]);
    expect(await guest.refused('room-message', { roomId: 'lobby', content: 'hi' })).to.equal('MUTED');
    expect(there.errors).to.deep.equal([]);
  });

  it('removes a user who authenticates and is banned', async () => {
    const { here, there } = await room();
    await here.api.ban('lobby', 'carol');
    const guest = await there.guest();
    await guest.ask('join-room', 'lobby');

    there.manager.identify(guest.id, { id: 'carol' });

    expect((await guest.client.next('banned')).content).to.include({ roomId: 'lobby' });
    expect([...guest.connection.rooms!]).to.deep.equal([]);
    await eventually('the seat is free', async () => (await here.api.fetchInfo('lobby')).memberCount === 2);
  });

  it('limits the entries of one actor on all nodes, until they are removed', async () => {
    const { here, there, alice } = await room();
    const paid = async () => (await here.store.sizes(['rooms:paid/user:alice']))[0];
    await there.api.setRole('lobby', 'bob', 'admin');

    await alice.ask('room-ban', { roomId: 'lobby', userId: 'bob' });
    await alice.ask('room-invite', { roomId: 'lobby', userId: 'carol' });
    expect(await paid()).to.equal(2);
    for (let n = 2; n < 1_000; n++) await there.store.enter('rooms:paid/user:alice', `room/user ${n}`);

    expect(await alice.refused('room-invite', { roomId: 'lobby', userId: 'dave' })).to.equal('LIST_FULL');
    expect((await alice.ask('room-invite', { roomId: 'lobby', userId: 'carol' })).type).to.equal('room-invite');
    await there.api.ban('lobby', 'carol');
    await there.api.unban('lobby', 'carol');
    expect(await paid()).to.equal(999);
    expect((await alice.ask('room-invite', { roomId: 'lobby', userId: 'dave' })).type).to.equal('room-invite');
  });

  it('rejects with a code, and makes each change completely or not at all, on an unreliable store', async function () {
    this.timeout(60_000);
    let seed = 10;
    const faults = { losses: 0.05, lostReplies: 0.05, duplicates: 0.1, conflicts: 0.2, delays: 0.3, lostNotices: 0.2 };
    const { start } = sharing((store) => new FaultyStore(store, { ...faults, seed: seed++ }));
    const [here, there] = [await start(), await start()];
    await eventually('the room', async () => typeof await code(here.api.ensure('lobby')) === 'object');
    const bob = await there.guest('bob');
    await eventually('bob is in', async () => (await bob.ask('join-room', 'lobby')).type === 'room-joined');

    await eventually('the ban', async () => typeof await code(here.api.ban('lobby', 'bob')) === 'object');

    await eventually('bob is out', () => !bob.connection.rooms!.has('lobby'));
    await eventually('the refusal', async () => await bob.refused('join-room', 'lobby') === 'BANNED');
    await eventually('no member', async () => {
      const info = await code(here.api.fetchInfo('lobby')) as { resolved?: { memberCount: number } };
      return info.resolved?.memberCount === 0 || info;
    });
  });
});
