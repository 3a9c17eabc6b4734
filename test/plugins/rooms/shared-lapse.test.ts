import { expect } from 'chai';
import { knowEachOther } from '../../support/nodes.ts';
import { eventually } from '../../support/timing.ts';
import { code, received } from './serving.ts';
import { sharing } from './sharing.ts';

async function lapsing() {
  const { start, data } = sharing();
  const [here, there] = [await start(), await start()];
  await knowEachOther(here, there);
  await here.api.create('lobby', { maxUsers: 2, owner: 'alice' });
  const [alice, bob] = [await here.guest('alice'), await there.guest('bob')];
  for (const guest of [alice, bob]) await guest.ask('join-room', 'lobby');
  await alice.client.next('user-joined');
  /** Ends the lease of the other node, which learns it at the next call. */
  const lapse = async () => {
    const lapsed = new Promise((resolve) => there.manager.on('store:lapsed', resolve));
    await there.store.lapse();
    await there.api.fetchInfo('lobby').catch(() => undefined);
    await lapsed;
  };
  const comeBack = async () => {
    const back = new Promise((resolve) => there.manager.on('store:renewed', resolve));
    there.store.open();
    await back;
  };
  return { here: { ...here, start }, there, alice, bob, data, lapse, comeBack };
}

describe('rooms on a node that lost its lease', () => {
  it('refuse messages and joins, deliver nothing, and work again with a new lease', async () => {
    const { here, there, alice, bob, lapse, comeBack } = await lapsing();
    const before = (await received(bob, 'room-message')).length;
    await lapse();

    expect(await bob.refused('room-message', { roomId: 'lobby', content: 'hi' })).to.equal('STORE_UNAVAILABLE');
    expect(await bob.refused('join-room', 'other')).to.equal('STORE_UNAVAILABLE');
    expect(await bob.refused('room-kick', { roomId: 'lobby', userId: 'alice' })).to.equal('STORE_UNAVAILABLE');
    expect(await code(there.api.create('other'))).to.be.oneOf(['STORE_UNAVAILABLE', 'LEASE_LOST']);
    await alice.ask('room-message', { roomId: 'lobby', content: 'missed' }, { ack: true });
    expect(await received(bob, 'room-message')).to.have.length(before);
    expect(there.api.members('lobby')).to.deep.equal(['bob']);
    await comeBack();

    await eventually('a message arrives', async () => {
      await alice.ask('room-message', { roomId: 'lobby', content: 'again' }, { ack: true });
      return (await received(bob, 'room-message')).some(({ content }) => content.content === 'again');
    });
    expect((await bob.ask('room-message', { roomId: 'lobby', content: 'hi' }, { ack: true })).type).to.equal('ack');
    expect((await here.api.fetchInfo('lobby')).memberCount).to.equal(2);
    expect(here.errors.concat(there.errors)).to.deep.equal([]);
  });

  it('remove members who were banned, or whose room was deleted, in the meantime', async () => {
    const { here, there, bob, lapse, comeBack } = await lapsing();
    await here.api.create('other');
    await bob.ask('join-room', 'other');
    await lapse();

    await here.api.ban('lobby', 'bob');
    await here.api.delete('other');
    await comeBack();

    await eventually('bob is out', () => bob.connection.rooms!.size === 0 || [...bob.connection.rooms!]);
    expect((await bob.client.next('room-deleted')).content).to.deep.equal({ roomId: 'other' });
    expect(await bob.refused('join-room', 'lobby')).to.equal('BANNED');
    expect((await here.api.fetchInfo('lobby')).memberCount).to.equal(1);
    expect(there.errors).to.deep.equal([]);
  });

  it('remove members whose seats were given to others', async function () {
    this.timeout(60_000);
    const { here, alice, bob, lapse, comeBack } = await lapsing();
    await lapse();
    expect((await alice.client.next('user-left', 10_000)).content).to.include({ userId: 'bob' });
    const carol = await here.guest('carol');
    await carol.ask('join-room', 'lobby');

    await comeBack();

    expect((await bob.client.next('kicked')).content).to.deep.equal({ roomId: 'lobby', code: 'ROOM_FULL' });
    expect([...bob.connection.rooms!]).to.deep.equal([]);
    expect((await here.api.fetchMembers('lobby')).members.map(({ userId }) => userId)).to.deep.equal(['alice', 'carol']);
    expect(await received(alice, 'user-left')).to.have.length(1);
  });

  it('announce members again whose departure was announced', async function () {
    this.timeout(60_000);
    const { alice, bob, here, there, lapse, comeBack } = await lapsing();
    await lapse();
    expect((await alice.client.next('user-left', 10_000)).content).to.include({ userId: 'bob', memberCount: 1 });

    await comeBack();

    expect((await alice.client.next('user-joined')).content).to.include({ userId: 'bob', memberCount: 2 });
    expect([...bob.connection.rooms!]).to.deep.equal(['lobby']);
    expect(here.errors.concat(there.errors)).to.deep.equal([]);
  });

  it('forget connections that closed meanwhile', async function () {
    this.timeout(60_000);
    const { here, there, bob, lapse, comeBack } = await lapsing();
    await lapse();
    await bob.client.close();
    await eventually('bob is gone', () => there.api.members('lobby').length === 0);

    await comeBack();

    await eventually('the seat is free', async () => (await here.api.fetchInfo('lobby')).memberCount === 1, 10_000);
    expect([...here.events, ...there.events].filter((event) => event === 'left lobby bob')).to.have.length(1);
  });

  it('are restored, and not deleted, if no renewal has noticed that the store has lost its data', async function () {
    this.timeout(60_000);
    const { here, there, bob, data, lapse, comeBack } = await lapsing();
    await lapse();

    data.documents.clear();
    await comeBack();

    await eventually('the room', async () => {
      const found = await code(here.api.fetchInfo('lobby')) as { resolved?: { memberCount: number } };
      return found.resolved?.memberCount === 2 || found;
    }, 10_000);
    expect(there.api.get('lobby')).to.not.equal(undefined);
    expect(bob.client.messages.some(({ type }) => ['room-deleted', 'kicked'].includes(type))).to.equal(false);
  });

  it('let members enter again before newcomers when the store has lost its data, and never exceed maxUsers', async function () {
    this.timeout(15_000);
    const { here, there, alice, bob, data } = await lapsing();
    await here.api.create('other', { maxUsers: 2 });
    const newcomers = await Promise.all(['carol', 'dave', 'erin'].map((name) => here.guest(name)));
    const zoe = await there.guest('zoe');
    await zoe.ask('join-room', 'other');

    data.forget();
    const lobby = await Promise.all(newcomers.map((guest) => guest.refused('join-room', 'lobby')));
    const other = await Promise.all(newcomers.map((guest) => guest.ask('join-room', 'other')));

    expect(lobby).to.deep.equal(['ROOM_FULL', 'ROOM_FULL', 'ROOM_FULL']);
    expect(other.map(({ type }) => type).sort()).to.deep.equal(['error', 'error', 'room-joined']);
    for (const [room, size] of [['lobby', 2], ['other', 2]] as const) {
      expect((await here.api.fetchMembers(room)).members).to.have.length(size);
    }
    for (const { client } of [alice, bob, zoe]) expect(client.messages.some(({ type }) => type === 'kicked')).to.equal(false);
    expect(here.errors.concat(there.errors).filter(({ message }) => !message.includes('the store has lost'))).to.deep.equal([]);
  });

  it('keep their ids from new rooms when the store has lost its data', async function () {
    this.timeout(15_000);
    const { here, there, alice, bob, data } = await lapsing();
    const { start } = here;

    data.forget();
    const late = await start();
    // Before it knows the other nodes, a new node cannot know of the loss.
    await knowEachOther(here, there, late);
    const creating = [late, there].map(({ api }) => code(api.create('lobby')));

    expect(await Promise.all(creating)).to.deep.equal(['ROOM_EXISTS', 'ROOM_EXISTS']);
    for (const { client } of [alice, bob]) expect(client.messages.some(({ type }) => type === 'room-deleted')).to.equal(false);
  });

  it('are not deleted because the store was away for longer than a missing room is waited for', async function () {
    this.timeout(60_000);
    const { here, there, bob, data } = await lapsing();
    const reads = async (node: typeof there) => {
      const before = node.store.reads;
      await eventually('a read', () => node.store.reads > before + 1, 5_000);
    };

    // A server that lost its data goes away again before any node has noticed that.
    data.documents.clear();
    data.watchers.notify(undefined);
    await reads(there);
    for (const { store } of [here, there]) store.isUnreadable = true;
    await new Promise((resolve) => setTimeout(resolve, 5_500));
    for (const { store } of [here, there]) store.isUnreadable = false;
    await reads(there);
    expect(there.api.get('lobby')).to.not.equal(undefined);
    data.forget();

    await eventually('all members', async () => {
      const found = await code(here.api.fetchMembers('lobby')) as { resolved?: { members: { userId: string }[] } };
      return found.resolved?.members.length === 2 || found;
    }, 10_000);
    expect(bob.client.messages.some(({ type }) => ['room-deleted', 'kicked'].includes(type))).to.equal(false);
  });

  it('are restored with members and bans when the store has lost its data', async function () {
    this.timeout(60_000);
    const { here, there, alice, bob, data } = await lapsing();
    await here.api.mute('lobby', 'bob', 600_000);
    await here.api.setRole('lobby', 'alice', 'owner');
    await eventually('the mute there', () => there.api.get('lobby')!.mutedUntil('bob') !== undefined);

    data.forget();

    await eventually('all members', async () => {
      const found = await code(here.api.fetchMembers('lobby')) as { resolved?: { members: { userId: string }[] } };
      return found.resolved?.members.length === 2 || found;
    }, 10_000);
    expect(await code(there.api.create('Lobby', { id: 'two' }))).to.equal('ROOM_NAME_TAKEN');
    expect((await here.api.fetchList()).rooms.map(({ id }) => id)).to.deep.equal(['lobby']);
    expect(await bob.refused('room-message', { roomId: 'lobby', content: 'hi' })).to.equal('MUTED');
    expect((await alice.ask('room-unmute', { roomId: 'lobby', userId: 'bob' })).type).to.equal('room-unmute');
    expect(bob.client.messages.some(({ type }) => ['room-deleted', 'kicked'].includes(type))).to.equal(false);
    expect(here.errors.concat(there.errors).map(({ message }) => message)).to.include.members([]);
  });
});
