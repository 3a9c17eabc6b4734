import { expect } from 'chai';
import { definePlugin, type Connection, type Node } from '../../../index.ts';
import type { RoomsOptions } from '../../../plugins/rooms.ts';
import { eventually } from '../../support/timing.ts';
import { received, serve, type Guest } from './serving.ts';

/** A lobby, and what says who a connection is. */
async function open(options: RoomsOptions = {}) {
  let node!: Node;
  const serving = await serve(options, { use: [definePlugin({ name: 'probe', setup(context) { node = context.node; } })] });
  const lobby = await serving.api.create('lobby');
  const nobody = async (roomId?: string): Promise<Guest> => {
    const one = await serving.guest();
    if (roomId !== undefined) await serving.api.join(one.id, roomId);
    return one;
  };
  const go = async ({ client, id }: Guest): Promise<void> => {
    await client.terminate();
    await eventually('it is gone', () => !serving.manager.connections.has(id));
  };
  const identify = (connection: Connection, id: string): void => node.identify(connection, { id, username: id });
  return { ...serving, lobby, nobody, go, identify };
}

/** The same, where somebody is to say whether who joins a room that is not there may make it. */
async function undecided() {
  const asked: ((verdict: boolean) => void)[] = [];
  const canCreate: RoomsOptions['canCreate'] = ({ owner }) => owner === undefined || new Promise((resolve) => asked.push(resolve));
  return { ...await open({ createOnJoin: true, canCreate }), asked };
}

describe('a nobody who says who he is', () => {
  it('takes his mutes, bans, warnings and invitations with him, wherever he is', async () => {
    const { api, lobby, nobody, identify } = await open();
    const [den, club] = [await api.create('den'), await api.create('club', { isPrivate: true })];
    const zed = await nobody('lobby');
    await api.mute('lobby', zed.id, 60_000);
    await api.warn('lobby', zed.id);
    await api.warn('lobby', 'zed');
    await api.mute('den', zed.id, 60_000);
    await api.ban('den', zed.id);
    await api.invite('club', zed.id);

    identify(zed.connection, 'zed');

    expect(await zed.refused('room-message', 'hi', { roomId: 'lobby' })).to.equal('MUTED');
    expect(await zed.refused('join-room', 'den')).to.equal('BANNED');
    expect((await zed.ask('join-room', 'club')).type).to.equal('room-joined');
    expect([...lobby.userWarnings]).to.deep.equal([['zed', 2]]);
    expect([lobby.mutedUsers, den.mutedUsers, den.bannedUsers, club.invited].map((list) => [...list.keys()])).to.deep.equal([['zed'], ['zed'], ['zed'], ['zed']]);
  });

  it('is told when his mute is over, which is the longer one of two', async () => {
    const { api, manager, lobby, nobody, identify } = await open();
    const [short, long] = [await nobody('lobby'), await nobody('lobby')];
    const before = manager.inspect()['deadlines']!;
    await api.mute('lobby', long.id, 60_000);
    await api.mute('lobby', short.id, 100);

    identify(short.connection, 'short');
    const over = await short.client.next('unmuted');
    await api.mute('lobby', 'long', 1_000);
    identify(long.connection, 'long');

    expect(over.content).to.deep.equal({ roomId: 'lobby' });
    expect(lobby.mutedUntil('long')!.getTime() - Date.now()).to.be.above(10_000);
    expect([...lobby.mutedUsers.keys()]).to.deep.equal(['long']);
    expect(manager.inspect()['deadlines']).to.equal(before + 1);
    await api.unmute('lobby', 'long');
    expect(lobby.mutedUsers.size).to.equal(0);
  });

  it('is put out by all his connections where he was banned as a nobody', async () => {
    const { api, lobby, members, nobody, identify, events } = await open();
    const [zed, watcher] = await members('lobby', 'zed', 'watcher');
    const other = await nobody('lobby');
    await api.ban('lobby', other.id);

    identify(other.connection, 'zed');

    expect((await zed.client.next('banned')).content).to.deep.equal({ roomId: 'lobby' });
    expect([...lobby.users]).to.deep.equal(['watcher']);
    expect(events.at(-1)).to.equal('left lobby zed');
    expect((await received(watcher, 'user-left')).map(({ content }) => content.userId as string)).to.deep.equal([other.id, 'zed']);
    expect(await received(other, 'banned')).to.have.length(1);
  });

  it('is neither banned nor muted where he turns out to be an owner', async () => {
    const { api, nobody, guest, identify } = await open();
    const den = await api.create('den', { owner: 'olga' });
    const olga = await guest('olga');
    await api.join(olga.id, 'den');
    const other = await nobody('den');
    await api.mute('den', other.id, 60_000);
    await api.ban('den', other.id);

    identify(other.connection, 'olga');

    expect((await olga.ask('room-message', 'hi', { roomId: 'den', ack: true })).type).to.equal('ack');
    expect([den.bannedUsers.size, den.mutedUsers.size]).to.deep.equal([0, 0]);
  });

  it('has no role by it where he is banned', async () => {
    const { api, lobby, nobody, identify } = await open();
    const other = await nobody('lobby');
    await api.setRole('lobby', other.id, 'admin');
    await api.ban('lobby', 'zed');

    identify(other.connection, 'zed');

    expect([...lobby.roles]).to.deep.equal([]);
    expect([...lobby.users]).to.deep.equal([]);
  });

  it('owns no more rooms than one may: what is too much goes with his connection', async () => {
    const { api, nobody, guest, go, identify } = await open({ maxRoomsPerOwner: 2 });
    const zed = await guest('zed');
    const other = await nobody();
    await zed.ask('create-room', 'one');
    for (const roomId of ['two', 'three']) await other.ask('create-room', roomId);

    identify(other.connection, 'zed');
    const owners = ['one', 'two', 'three'].map((roomId) => api.get(roomId)!.owner);
    const more = await zed.refused('create-room', 'four');
    await go(other);

    expect(owners).to.deep.equal(['zed', 'zed', other.id]);
    expect(more).to.equal('TOO_MANY_ROOMS');
    expect(['one', 'two', 'three'].filter((roomId) => api.get(roomId))).to.deep.equal(['one', 'two']);
  });

  it('while a room is made for him that he wants to join owns it', async () => {
    const { api, nobody, identify, asked } = await undecided();
    const zed = await nobody();
    const answer = zed.ask('join-room', 'tea');
    await eventually('the question', () => asked.length === 1);

    identify(zed.connection, 'zed');
    asked[0]!(true);

    expect((await answer).content).to.include({ roomId: 'tea', owner: 'zed', role: 'owner' });
    expect(api.members('tea')).to.deep.equal(['zed']);
  });
});

describe('a nobody who goes', () => {
  it('is forgotten in all rooms, also those that he left, was put out of, or never was in', async () => {
    const { api, manager, nobody, go, lobby } = await open();
    const den = await api.create('den');
    const before = manager.inspect()['deadlines'];
    const [leaves, banned, never] = [await nobody('lobby'), await nobody('lobby'), await nobody()];
    for (const { id } of [leaves, banned, never]) {
      await api.warn('lobby', id);
      await api.mute('den', id, 60_000);
      await api.invite('lobby', id);
    }
    await api.setRole('lobby', leaves.id, 'admin');
    await api.leave(leaves.id, 'lobby');
    for (const roomId of ['lobby', 'den']) await api.ban(roomId, banned.id);

    for (const one of [leaves, banned, never]) await go(one);

    for (const { bannedUsers, mutedUsers, userWarnings, invited, roles } of [lobby, den]) {
      expect([bannedUsers.size, mutedUsers.size, userWarnings.size, invited.size, roles.size]).to.deep.equal([0, 0, 0, 0, 0]);
    }
    expect(manager.inspect()['deadlines']).to.equal(before);
  });

  it('is remembered no more, whatever is done to him afterwards', async () => {
    const { api, lobby, nobody, go } = await open();
    const gone = await nobody();
    await go(gone);

    await api.warn('lobby', gone.id);
    await api.mute('lobby', gone.id, 60_000);
    await api.invite('lobby', gone.id);
    await api.ban('lobby', gone.id);

    expect([lobby.bannedUsers.size, lobby.mutedUsers.size, lobby.userWarnings.size, lobby.invited.size]).to.deep.equal([0, 0, 0, 0]);
  });

  it('while a room is made for him leaves none behind', async () => {
    const { api, nobody, go, errors, events, asked } = await undecided();
    const one = await nobody();
    void one.client.send({ type: 'join-room', roomId: 'tea' });
    await eventually('the question', () => asked.length === 1);

    await go(one);
    asked[0]!(true);

    await eventually('it was made, and is gone', () => events.includes('deleted tea'));
    expect(api.get('tea')).to.equal(undefined);
    expect(errors).to.deep.equal([]);
  });

  it('after a room that remembered him leaves nothing to be done', async () => {
    const { api, manager, nobody, go, identify, errors } = await open();
    const before = manager.inspect()['deadlines'];
    const [zed, other] = [await nobody('lobby'), await nobody('lobby')];
    for (const { id } of [zed, other]) await api.mute('lobby', id, 60_000);
    await api.delete('lobby');
    const anew = await api.create('lobby');

    identify(zed.connection, 'zed');
    await go(other);

    expect(anew.mutedUsers.size).to.equal(0);
    expect(manager.inspect()['deadlines']).to.equal(before);
    expect(errors).to.deep.equal([]);
  });
});
