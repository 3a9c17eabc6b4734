import { expect } from 'chai';
import { eventually } from '../../support/timing.ts';
import { code } from './serving.ts';
import { sharing, twoNodes } from './sharing.ts';

describe('owners of rooms that nodes share', () => {
  it('are added and removed on all nodes, and at least one stays', async () => {
    const [here, there] = await twoNodes();
    const [alice, bob] = [await here.guest('alice'), await there.guest('bob')];
    await alice.ask('create-room', 'lobby');
    for (const guest of [alice, bob]) await guest.ask('join-room', 'lobby');

    expect(await bob.refused('delete-room', 'lobby')).to.equal('FORBIDDEN');
    expect(await code(there.api.setRole('lobby', 'alice', 'member'))).to.equal('LAST_OWNER');
    await alice.ask('room-role', { roomId: 'lobby', userId: 'bob', role: 'owner' });
    expect((await bob.client.next('role-changed')).content).to.include({ role: 'owner' });
    await eventually('bob is an owner there', () => there.api.get('lobby')!.getUserRole('bob') === 'owner');
    await bob.ask('room-role', { roomId: 'lobby', userId: 'alice', role: 'guest' });

    await eventually('bob owns it here', () => here.api.get('lobby')!.owner === 'bob');
    expect(here.api.get('lobby')!.getUserRole('alice')).to.equal('guest');
    expect(await code(here.api.setRole('lobby', 'bob', 'member'))).to.equal('LAST_OWNER');
    expect(await alice.refused('delete-room', 'lobby')).to.equal('FORBIDDEN');
    expect((await bob.ask('delete-room', 'lobby')).type).to.equal('room-deleted');
  });

  it('are demoted one after the other when two nodes demote both at once', async () => {
    const [here, there] = await twoNodes();
    await here.api.create('lobby', { owner: 'alice' });
    await there.api.fetchRoom('lobby');
    await here.api.setRole('lobby', 'bob', 'owner').catch(() => undefined);
    await (await there.guest('bob')).ask('join-room', 'lobby');
    await here.api.setRole('lobby', 'bob', 'owner');

    const results = await Promise.all([
      code(here.api.setRole('lobby', 'alice', 'member')), code(there.api.setRole('lobby', 'bob', 'member')),
    ]);

    expect(results.filter((result) => result === 'LAST_OWNER'), String(results)).to.have.length(1);
    expect((await here.api.fetchInfo('lobby')).owner).to.be.oneOf(['alice', 'bob']);
  });

  it('who have left all nodes are replaced by the best member of any node, once', async () => {
    const [here, there] = await twoNodes({ ownerTimeout: 50 });
    const [alice, bob, carol] = [await here.guest('alice'), await here.guest('bob'), await there.guest('carol')];
    await alice.ask('create-room', 'lobby');
    for (const guest of [alice, bob, carol]) await guest.ask('join-room', 'lobby');
    await there.api.setRole('lobby', 'carol', 'admin');
    const second = await there.guest('alice');
    await second.ask('join-room', 'lobby');

    await alice.ask('leave-room', 'lobby');
    await second.ask('leave-room', 'lobby');

    expect((await carol.client.next('owner-changed')).content).to.deep.equal({ roomId: 'lobby', userId: 'carol', username: 'CAROL' });
    expect((await bob.client.next('owner-changed')).content).to.include({ userId: 'carol' });
    for (const { api } of [here, there]) {
      await eventually('the owner', () => api.get('lobby')!.owner === 'carol');
      expect(api.get('lobby')!.getUserRole('alice')).to.equal('owner');
    }
    await bob.ask('who');
    expect(bob.client.messages.filter(({ type }) => type === 'owner-changed')).to.have.length(1);
  });

  it('who return to another node in time stay owners', async () => {
    const [here, there] = await twoNodes({ ownerTimeout: 100 });
    const [alice, bob] = [await here.guest('alice'), await here.guest('bob')];
    await alice.ask('create-room', 'lobby');
    for (const guest of [alice, bob]) await guest.ask('join-room', 'lobby');

    await alice.ask('leave-room', 'lobby');
    await bob.client.next('user-left');
    const back = await there.guest('alice');
    await back.ask('join-room', 'lobby');
    await new Promise((resolve) => setTimeout(resolve, 150));

    expect((await here.api.fetchInfo('lobby')).owner).to.equal('alice');
    expect(bob.client.messages.some(({ type }) => type === 'owner-changed')).to.equal(false);
  });

  it('own at most maxRoomsPerOwner rooms of all nodes after a transfer', async () => {
    const [here, there] = await twoNodes({ ownerTimeout: 20, maxRoomsPerOwner: 1 });
    await there.api.create('other', { owner: 'bob' });
    const [alice, bob, carol] = [await here.guest('alice'), await here.guest('bob'), await there.guest('carol')];
    await alice.ask('create-room', 'lobby');
    for (const guest of [alice, bob, carol]) await guest.ask('join-room', 'lobby');

    await alice.ask('leave-room', 'lobby');

    expect((await carol.client.next('owner-changed')).content).to.include({ userId: 'carol' });
    expect((await alice.ask('create-room', 'new')).type).to.equal('room-created');
    expect(await code(there.api.create('third', { owner: 'carol' }))).to.equal('TOO_MANY_ROOMS');
  });

  it('who are anonymous pass the room to their user, or to a member when they close', async () => {
    const [here, there] = await twoNodes();
    const [first, second, bob] = [await here.guest(), await here.guest(), await there.guest('bob')];
    await first.ask('create-room', 'one');
    await second.ask('create-room', 'two');
    await second.ask('create-room', 'empty');
    await second.ask('join-room', 'two');
    await bob.ask('join-room', 'two');

    here.manager.identify(first.id, { id: 'alice' });
    await second.client.close();

    await eventually('alice owns it', async () => (await there.api.fetchInfo('one')).owner === 'alice');
    expect((await bob.client.next('owner-changed')).content).to.include({ roomId: 'two', userId: 'bob' });
    await eventually('the owner', () => there.api.get('two')!.owner === 'bob');
    expect(there.api.get('two')!.getUserRole(second.id)).to.equal('member');
    await eventually('the empty room is gone', async () => await there.api.fetchRoom('empty') === undefined);
    expect(here.errors).to.deep.equal([]);
  });

  it('are replaced after the node that saw them leave has stopped', async () => {
    const { start } = sharing();
    const [here, there] = [await start({ ownerTimeout: 200 }), await start({ ownerTimeout: 200 })];
    const [alice, bob] = [await here.guest('alice'), await there.guest('bob')];
    await alice.ask('create-room', 'lobby');
    for (const guest of [alice, bob]) await guest.ask('join-room', 'lobby');
    await alice.ask('leave-room', 'lobby');
    await bob.client.next('user-left');

    await here.manager.stop();

    expect((await bob.client.next('owner-changed')).content).to.include({ userId: 'bob' });
  });
});
